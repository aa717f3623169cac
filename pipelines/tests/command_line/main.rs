//! The program as its users meet it: what it prints, where, with which exit code, and what it leaves alone.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod addresses;
mod bench;
#[cfg(unix)]
mod follows;
#[cfg(unix)]
mod gone;
mod grids;
mod imports;
mod place;
mod printed;
mod refused;
mod replays;
mod resumes;
mod rows;
mod runs;
mod scores;
#[cfg(unix)]
mod signals;
mod together;
mod version2;
