//! How a run is watched.

use std::path::Path;

use spfde_data::{CensoredRow, EpochRow, TimingRow};

use crate::Tick;

/// Where training stands after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step that has been applied.
    pub tick: Tick,
    /// Steps of this epoch.
    pub steps: u32,
    /// Mean loss over the epoch so far.
    pub loss: f64,
    /// Share of right samples over the epoch so far.
    pub accuracy: f64,
    /// Active samples of this epoch.
    pub active: u32,
    /// Frozen blocks.
    pub frozen_blocks: usize,
    /// Masked layers of which the step computed the gradients of all weights, absent ones too.
    pub dense_gradients: u64,
}

/// Is shown how a run goes, on the workers' own threads: be quick.
pub trait Observer: Send + Sync {
    /// The run begins, or goes on, in this directory; processes that join one are told, too.
    fn begun(&self, _directory: &Path) {}
    /// A step has been applied.
    fn step(&self, _: &StepReport) {}
    /// An epoch is complete.
    fn epoch(&self, _: &EpochRow) {}
    /// An epoch is committed with all its rows: worker 0 of process 0 alone says so, epoch by epoch.
    fn committed(&self, _: &EpochRow) {}
    /// What the record lacks of a replayed epoch.
    fn censored(&self, _: &CensoredRow) {}
    /// A worker's clock at the end of an epoch.
    fn timing(&self, _: &TimingRow) {}
    /// A worker has just spent `seconds` of wall-clock time in a stage. Every step has one call of
    /// `gradients` and one of `update` on every worker, in this order; other stages come as there is work for
    /// them.
    fn worked(&self, _worker: usize, _stage: &'static str, _seconds: f64) {}
}

/// Looks away.
impl Observer for () {}
