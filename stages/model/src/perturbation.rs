//! What is done to a shard's inputs between the draw of a batch and the forward pass.

use crate::lane::Activations;

/// A perturbation of inputs, such as an adversarial one.
pub trait Perturbation: std::fmt::Debug + Send + Sync {
    /// Whether it asks for the gradient of the inputs, which
    /// [`Network::input_gradient`](crate::Network::input_gradient) computes in a pass of its own.
    fn needs_gradient(&self) -> bool;

    /// Changes a shard's `inputs`, given their gradient, in the same layout, if it has asked for it.
    fn perturb(&self, inputs: &mut Activations, gradient: Option<&Activations>);
}
