//! Several processes at one run: the same bits, and the same end for all of them.

mod lost;
mod same;
mod team;

pub(crate) use team::{Ended, Team, WAIT, wait};
