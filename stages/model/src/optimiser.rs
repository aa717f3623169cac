//! How parameters follow their gradients.

mod adamw;
mod sgd;

pub use adamw::AdamW;
pub use sgd::MomentumSgd;

/// An optimiser: one virtual call per list of parameters and step.
///
/// What it keeps of a parameter is dropped when a weight ceases to exist, and 0 when one begins to exist.
pub trait Optimiser: std::fmt::Debug + Send + Sync {
    /// Whether it keeps a second number per parameter, `squares`. The checkpoints hold them, too.
    fn keeps_squares(&self) -> bool {
        false
    }

    /// One step of `values` along the `gradients` of the batch's mean loss, with what it keeps of them and
    /// the learning `rate` of their block. `decay` is the factor of its weight decay: 1 for weights of
    /// convolutions and linear layers, 0 for batch norms and biases.
    fn step(&self, values: &mut [f32], state: State<'_>, gradients: &[f32], rate: f32, decay: f32);
}

/// What an optimiser keeps of a list of parameters, in their order.
#[derive(Debug)]
pub struct State<'a> {
    /// One number per parameter (`momenta` in a checkpoint).
    pub momenta: &'a mut [f32],
    /// Another one, if the optimiser [keeps them](Optimiser::keeps_squares), or nothing.
    pub squares: &'a mut [f32],
    /// Steps of the layer before this one, if the optimiser keeps squares; else 0.
    pub steps: u32,
}

#[cfg(test)]
mod tests;
