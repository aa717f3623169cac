//! Freezing: when a block of layers stops training, and when it trains again.
//!
//! A frozen block keeps its weights, momenta, statistics and mask; the classifier belongs to no block and
//! never freezes. Most policies freeze blocks front to back, so that the backward pass ends at the frozen
//! prefix. One that is frozen behind a block that trains hands the gradient on, which costs half its backward
//! pass.

mod autofreeze;
mod cka;
mod delayed_periodic;
mod effective_perturbation;
mod egeria;
mod freezeout;
mod grades;
mod gradient_norm;
mod none;
mod norm_window;
mod periodic;
mod periods;
mod pipetransformer;
mod planned;
mod plasticity;
mod progressive;
mod progressive_fewest;
mod progressive_resume;
mod rule;

use std::sync::Arc;

use spfde_data::{
    Architecture, Column, Columns, FreezeEvidenceRow, GradientRow, LayerRow, ParameterError, SimilarityRow,
};

use crate::{Costs, LearningRateSchedule, Plan, Spans};

pub use autofreeze::AutoFreeze;
pub use cka::Cka;
pub use delayed_periodic::DelayedPeriodic;
pub use effective_perturbation::EffectivePerturbation;
pub use egeria::Egeria;
pub use freezeout::FreezeOut;
pub use grades::{Grades, Measure};
pub use gradient_norm::{GradientNorm, NormScale};
pub use none::Never;
pub use periodic::Periodic;
pub use pipetransformer::PipeTransformer;
pub use progressive::Progressive;
pub use progressive_fewest::ProgressiveFewest;
pub use progressive_resume::ProgressiveResume;
pub use rule::{BlockState, FreezeRule, Judged, entry, policy};

/// What a freeze policy is told of the run.
#[derive(Clone, Debug)]
pub struct FreezeContext {
    /// How many epochs the run has.
    pub epochs: u32,
    /// The network.
    pub architecture: Arc<Architecture>,
    /// Epochs between two updates of the masks.
    pub mask_interval: u32,
    /// Whether the user asked for `freeze.flops_reduction`: then a reduction that cannot be reached is an
    /// error, otherwise it freezes nothing.
    pub reduction_required: bool,
    /// How the learning rate of a block that never freezes goes on, by the configuration: without a warm-up,
    /// rewinds, and what a program plugs in.
    pub learning_rate: LearningRateSchedule,
}

impl FreezeContext {
    /// A run of `epochs` epochs with the defaults of all else; the reduction is not required.
    pub fn new(epochs: u32, architecture: Arc<Architecture>) -> Self {
        let (mask_interval, learning_rate) = (2, LearningRateSchedule::default());
        Self { epochs, architecture, mask_interval, reduction_required: false, learning_rate }
    }

    /// Whether a window, as long as the interval between mask updates, ends before `epoch`.
    fn begins_window(&self, epoch: u32) -> bool {
        epoch.is_multiple_of(self.mask_interval)
    }

    /// The learning rate after so many of `parts` of an epoch, of 1 at the start.
    fn rate(&self, time: u32, parts: u32) -> f64 {
        self.learning_rate.rule().rate(1.0, time / parts, time % parts, parts, self.epochs)
    }

    /// What is left at `epoch` of the learning rate of epoch `since`, as a share of it.
    fn rate_left(&self, since: u32, epoch: u32) -> f64 {
        self.rate(epoch, 1) / self.rate(since, 1)
    }
}

/// When blocks will be frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezePlan {
    /// For each block the epochs during which it is frozen. In every epoch the blocks frozen as planned are a
    /// prefix. One that is frozen at epoch 0 is so from the start, and [`FreezeState::decide`] is not asked
    /// for it.
    pub frozen: Vec<Spans>,
    /// What a user should know, such as why nothing freezes.
    pub note: Option<String>,
}

impl FreezePlan {
    /// The plan that freezes nothing: that of every policy that decides while training.
    pub fn empty(blocks: usize) -> Self {
        Self { frozen: vec![Spans::never(); blocks], note: None }
    }
}

/// How the learning rate of a block goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The epoch at which its schedule ends, if that is not the end of the run.
    pub ends_at: Option<u32>,
    /// What its rate is multiplied by.
    pub factor: f64,
}

impl Pace {
    /// That of a block that never freezes.
    pub const PLAIN: Self = Self { ends_at: None, factor: 1.0 };

    /// Along a schedule that ends when the block freezes for good; [plain](Self::PLAIN) if it trains again.
    pub fn of(spans: &Spans) -> Self {
        Self { ends_at: spans.ends_at(), ..Self::PLAIN }
    }
}

/// A block that freezes or thaws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The block, from 0.
    pub block: usize,
    /// Whether it is frozen from now on; otherwise it trains again.
    pub frozen: bool,
    /// Why, in words.
    pub reason: String,
}

/// A rule that says when blocks freeze, as the engine asks it. [`policy`] makes one of a [`FreezeRule`].
pub trait FreezePolicy: Send + Sync {
    /// The name under which it is registered.
    fn name(&self) -> &'static str;

    /// What can be known before the first step.
    ///
    /// # Errors
    /// If what the user asked for cannot be reached.
    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError>;

    /// Whether a block may freeze at `epoch` that the plan does not have freeze.
    fn may_freeze(&self, epoch: u32) -> bool;

    /// The first epoch at which a block can freeze that the plan does not have freeze, whatever is observed;
    /// 0 if nothing is known.
    fn earliest(&self) -> u32 {
        0
    }

    /// How the learning rate of a block that is planned to be frozen during `spans` goes on in `epoch`.
    fn pace(&self, spans: &Spans, _epoch: u32) -> Pace {
        Pace::of(spans)
    }

    /// Whether it judges by the stream `layers`, besides `gradients`.
    fn reads_layers(&self) -> bool {
        false
    }

    /// Whether it judges by the stream `similarity`: a run then records it, whatever else it observes.
    fn reads_similarity(&self) -> bool {
        false
    }

    /// The deciding state at the start of one run.
    fn start(&self, plan: &Plan) -> Box<dyn FreezeState>;
}

/// The deciding state of one run.
///
/// All calls are in order of time: [`decide`](Self::decide) for an epoch comes after every row of the epochs
/// before it and before any of its own.
pub trait FreezeState: Send {
    /// One row of gradient norms, in order of (epoch, step, layer).
    fn observe(&mut self, row: &GradientRow);

    /// A layer at the end of an epoch, in order of (epoch, layer).
    fn observe_layer(&mut self, row: &LayerRow);

    /// How much a layer has changed by the end of an epoch, in order of (epoch, layer); none of a layer that
    /// was frozen when it was recorded.
    fn observe_similarity(&mut self, _row: &SimilarityRow) {}

    /// The blocks that freeze or thaw at `(epoch, 0)`. Called once for every epoch but 0, in order.
    fn decide(&mut self, epoch: u32) -> Vec<Change>;

    /// What the latest decision judged, block by block.
    fn evidence(&self) -> &[FreezeEvidenceRow];

    /// When each block was frozen so far.
    fn frozen(&self) -> &[Spans];

    /// The columns of its saved rows, `epoch` and `block` first; none if nothing is kept.
    fn columns(&self) -> Vec<Column>;

    /// What there is to know to go on after the decision for `epoch`.
    fn save(&self, epoch: u32) -> Columns;

    /// Takes over, in a fresh state, when blocks were frozen, and what [`save`](Self::save) gave.
    ///
    /// # Errors
    /// What of it does not fit, in words.
    fn restore(&mut self, frozen: Vec<Spans>, rows: &Columns) -> Result<(), String>;
}

#[cfg(test)]
mod tests;
