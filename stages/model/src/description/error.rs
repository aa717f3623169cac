//! Why a network cannot be built.

use crate::description::InputShape;

/// Why operations make no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A number is out of range.
    #[error("{at}: {what} is {found}, expected {expected}")]
    Range {
        /// The operation, or `the network`.
        at: String,
        /// What the number counts.
        what: &'static str,
        /// The number.
        found: usize,
        /// What would fit.
        expected: String,
    },
    /// Too few pixels: no window lies inside.
    #[error("{at}: an input of {input} has no room for a window of {window}x{window} pixels")]
    Vanishes {
        /// The operation.
        at: String,
        /// The shape of its input, with its padding.
        input: InputShape,
        /// Rows and columns of the window.
        window: usize,
    },
    /// The terms of an addition differ in shape.
    #[error("{at}: its terms have the shapes {main} and {shortcut}, expected the same")]
    Shapes {
        /// The operation.
        at: String,
        /// The shape of the first term.
        main: InputShape,
        /// The shape of the second term.
        shortcut: InputShape,
    },
    /// A value is read that no operation in front has written.
    #[error("{at}: it reads value {value}, which is not among the {known} values made before it")]
    Missing {
        /// The operation.
        at: String,
        /// The number of the value; 0 is the network's input.
        value: usize,
        /// How many values there are.
        known: usize,
    },
    /// Something that the kernels cannot compute, or that makes no network.
    #[error("{at}: {reason}")]
    Unsupported {
        /// The operation, or `the network`.
        at: String,
        /// What is wrong and what would be right.
        reason: &'static str,
    },
    /// The text does not describe a network.
    #[error("the description of the network cannot be read: {0}")]
    Json(String),
}
