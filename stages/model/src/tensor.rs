//! Why tensors do not fit a network.

/// Why tensors do not fit a network: one is missing, unknown, of another kind or length, or its indices do
/// not ascend below the number of weights of the dense layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tensor `{name}` {problem}")]
pub struct RestoreError {
    /// The array's name.
    pub name: String,
    /// What is wrong with it, and what was expected.
    pub problem: String,
}
