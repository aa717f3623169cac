//! The program as its users meet it: what it prints, where, with which exit code, and what it leaves alone.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod addresses;
mod analyses;
mod bench;
mod compares;
mod exports;
#[cfg(unix)]
mod follows;
#[cfg(unix)]
mod gone;
mod gradients;
mod grids;
mod imports;
mod kinds;
mod pages;
mod place;
mod predicts;
mod printed;
mod refused;
mod replays;
mod resumes;
mod rows;
mod runs;
mod scores;
mod shells;
#[cfg(unix)]
mod signals;
mod sweeps;
mod together;
mod version2;
#[cfg(unix)]
mod watches;
