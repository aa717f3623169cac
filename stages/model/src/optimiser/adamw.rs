//! AdamW.

use crate::optimiser::{Optimiser, State};

/// AdamW (Loshchilov and Hutter 2019, [arXiv 1711.05101](https://arxiv.org/abs/1711.05101), algorithm 2, as
/// PyTorch writes it): m ← β₁ · m + (1 − β₁) · g, s ← β₂ · s + (1 − β₂) · g², w ← w − rate · (m̂ / (√ŝ + ε) +
/// `weight_decay` · w), where m̂ = m / (1 − β₁ᵗ) and ŝ = s / (1 − β₂ᵗ) at step t of the layer, from 1.
///
/// A weight that grows begins with m = s = 0 in the middle of the count t. Its first steps are longer than
/// the rate, up to seven times, because s takes more steps than m to fill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₁: the share of the mean that stays from step to step, from 0 to below 1.
    pub momentum: f32,
    /// β₂: the share of the mean square that stays, from 0 to below 1.
    pub squares: f32,
    /// ε, above 0.
    pub epsilon: f32,
    /// The share of a weight that is lost in a step, times the rate, from 0.
    pub weight_decay: f32,
}

impl Optimiser for AdamW {
    fn keeps_squares(&self) -> bool {
        true
    }

    fn step(&self, values: &mut [f32], state: State<'_>, gradients: &[f32], rate: f32, decay: f32) {
        let step = f64::from(state.steps) + 1.0;
        let missing = |share: f32| 1.0 - f64::from(share).powf(step);
        let scale = (f64::from(rate) / missing(self.momentum)) as f32;
        let deviation = missing(self.squares).sqrt() as f32;
        let kept = 1.0 - rate * self.weight_decay * decay;
        let state = state.momenta.iter_mut().zip(state.squares);
        for ((value, (mean, square)), gradient) in values.iter_mut().zip(state).zip(gradients) {
            *mean = self.momentum * *mean + (1.0 - self.momentum) * gradient;
            *square = self.squares * *square + (1.0 - self.squares) * gradient * gradient;
            *value = kept * *value - scale * *mean / (square.sqrt() / deviation + self.epsilon);
        }
    }
}
