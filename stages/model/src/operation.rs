//! The operations of a network, forward and backward, one per file.
//!
//! An operation reads signals: stored values, normalised and rectified while they are read. Batch norm and
//! ReLU have no operation of their own; they happen where a row is packed or added.

pub(crate) mod addition;
pub(crate) mod convolution;
pub(crate) mod linear;
pub(crate) mod loss;
mod pass;
pub(crate) mod pool;
mod rolling;
pub(crate) mod settle;
mod statistics;

pub(crate) use pass::Pass;
