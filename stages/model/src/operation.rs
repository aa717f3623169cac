//! The operations of a network, forward and backward, one per file.
//!
//! An operation reads signals: stored values, normalised and rectified while they are read. Batch norm and
//! ReLU have no operation of their own; they happen where a row is packed or added.

pub(crate) mod addition;
pub(crate) mod attention;
pub(crate) mod concatenation;
pub(crate) mod convolution;
pub(crate) mod dropout;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod loss;
mod pass;
pub(crate) mod patches;
pub(crate) mod pool;
mod rolling;
pub(crate) mod settle;
mod statistics;
pub(crate) mod sum;
pub(crate) mod sums;

pub(crate) use pass::Pass;
