//! Whole runs on small synthetic data: what they record, decide, refuse and leave behind.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "../../../pipelines/tests/command_line/addresses.rs"]
mod addresses;
mod anywhere;
mod best;
mod by_need;
mod by_similarity;
mod corruption;
mod crashing;
mod dense_gradients;
mod determinism;
mod faults;
mod freezing;
mod fuzzing;
mod hostile;
mod infobatch;
mod learning;
mod lottery;
mod masks;
mod memory;
mod observing;
mod page;
mod power;
mod predictions;
mod prefix_cache;
mod ranked_sieves;
mod reference;
mod replay;
mod resuming;
mod rigl;
mod sampling;
mod seams;
mod sieve;
mod similarity;
mod starting;
mod stopping;
mod storage;
mod support;
mod thawing;
mod together;
mod top_kast;
mod training;
mod validation;
mod verification;
mod windows;
