//! Stochastic gradient descent with momentum.

use crate::optimiser::{Optimiser, State};

/// Stochastic gradient descent with momentum: v ← `momentum` · v + g, w ← w − rate · v, where g is the
/// gradient plus `weight_decay` · w. With `nesterov`, w ← w − rate · (g + `momentum` · v) with the new v
/// (Sutskever et al. 2013, as PyTorch writes it).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumSgd {
    /// The share of the velocity that stays from step to step, from 0 to below 1.
    pub momentum: f32,
    /// The share of a weight that is added to its gradient, from 0.
    pub weight_decay: f32,
    /// Whether a step looks ahead by the velocity.
    pub nesterov: bool,
}

impl Optimiser for MomentumSgd {
    fn step(&self, values: &mut [f32], state: State<'_>, gradients: &[f32], rate: f32, decay: f32) {
        let weight_decay = decay * self.weight_decay;
        let (momentum, nesterov) = (self.momentum, self.nesterov);
        for ((value, velocity), gradient) in values.iter_mut().zip(state.momenta).zip(gradients) {
            // In this order since the first version: recorded runs keep their bits.
            *velocity = momentum * *velocity + gradient + weight_decay * *value;
            let ahead = momentum * *velocity + gradient + weight_decay * *value;
            *value -= rate * if nesterov { ahead } else { *velocity };
        }
    }
}
