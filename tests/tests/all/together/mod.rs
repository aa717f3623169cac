//! Several processes at one run: the same bits, and the same end for all of them.

#[cfg(unix)]
mod interrupted;
mod lost;
mod same;
mod team;
#[cfg(target_os = "linux")]
mod vanished;

pub(crate) use team::{Ended, Team, WAIT, wait};
