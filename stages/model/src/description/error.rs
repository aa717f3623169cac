//! Why a network cannot be built.

/// Why operations make no network: a number out of range, shapes that do not fit together, a value that no
/// operation in front has written, something that the kernels cannot compute, or text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct BuildError {
    /// The operation, `the network`, or `the description of the network`.
    pub at: String,
    /// What is wrong and what would be right.
    pub problem: String,
}
