//! How parameters follow their gradients.

/// An optimiser: one virtual call per list of parameters and step.
///
/// It keeps one number per parameter (`momenta` in a checkpoint). The number of a weight that ceases to exist
/// is dropped with it; that of a weight that begins to exist is 0.
pub trait Optimiser: std::fmt::Debug + Send + Sync {
    /// One step of `values` along the `gradients` of the batch's mean loss, with its `state` and the learning
    /// `rate` of its block. `decays` holds for weights of convolutions and linear layers, not for batch norms
    /// and biases.
    fn step(&self, values: &mut [f32], state: &mut [f32], gradients: &[f32], rate: f32, decays: bool);
}

/// Stochastic gradient descent with momentum: v ← `momentum` · v + gradient + `weight_decay` · w, w ← w −
/// rate · v.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumSgd {
    /// The share of the velocity that stays from step to step, from 0 to below 1.
    pub momentum: f32,
    /// The share of a weight that is added to its gradient, from 0.
    pub weight_decay: f32,
}

impl Optimiser for MomentumSgd {
    fn step(&self, values: &mut [f32], state: &mut [f32], gradients: &[f32], rate: f32, decays: bool) {
        let weight_decay = if decays { self.weight_decay } else { 0.0 };
        for ((value, velocity), gradient) in values.iter_mut().zip(state).zip(gradients) {
            *velocity = self.momentum * *velocity + gradient + weight_decay * *value;
            *value -= rate * *velocity;
        }
    }
}
