//! From a rule to a policy: what all freeze policies share stands here once.

use std::sync::Arc;

use spfde_data::{
    Column, Columns, FreezeEvidenceRow, GradientRow, LayerRow, ParameterError, Parametric, Record,
    SimilarityRow,
};

use super::{Change, FreezeContext, FreezePlan, FreezePolicy, FreezeState, Pace};
use crate::cost::frozen_blocks;
use crate::{Costs, Entry, Plan, Spans, state};

/// What is kept of a block: one or more rows of one type.
pub trait BlockState: Clone + Default + Send + 'static {
    /// The type of a row.
    type Row: Record + Default;
    /// The rows that say all of it.
    fn rows(&self) -> Vec<Self::Row>;
    /// The state that these rows say.
    fn from_rows(rows: Vec<Self::Row>) -> Self;
}

impl<R: Record + Default> BlockState for R {
    type Row = R;

    fn rows(&self) -> Vec<R> {
        vec![self.clone()]
    }

    fn from_rows(rows: Vec<R>) -> Self {
        rows.into_iter().next().unwrap_or_default()
    }
}

/// What a rule decides by: the plan, the state of each block, and when each was frozen so far.
pub struct Judged<'a, S> {
    /// The plan of the run.
    pub plan: &'a Plan,
    /// The blocks' states.
    pub states: &'a mut [S],
    /// When each block was frozen so far.
    pub frozen: &'a [Spans],
    /// What is judged, for the stream `freeze_evidence`: see [`judge`](Self::judge).
    pub evidence: &'a mut Vec<FreezeEvidenceRow>,
}

impl<S> Judged<'_, S> {
    /// How many blocks in front are frozen at `epoch`, before the decision.
    pub fn prefix(&self, epoch: u32) -> usize {
        frozen_blocks(self.frozen, epoch).prefix()
    }

    /// Writes down that for a decision for `epoch` a block was judged by a `measure` against a `threshold`,
    /// both finite, in the window of this number, from 0; `budget_left` is
    /// [what freezing may still save](Self::budget_left).
    pub fn judge(&mut self, epoch: u32, block: usize, of: [f64; 2], window: u32, budget_left: f64) {
        let ([measure, threshold], block) = (of, block as u16);
        if measure.is_finite() && threshold.is_finite() {
            let epoch = epoch.saturating_sub(1);
            self.evidence.push(FreezeEvidenceRow { epoch, block, measure, threshold, window, budget_left });
        }
    }

    /// The share of the run's FLOPs that freezing may still save, of `most`, if all stays as it is now.
    pub fn budget_left(&self, most: f64) -> f64 {
        most - self.plan.cost_of(self.frozen).reduction_from(&self.plan.unfrozen_cost)
    }
}

/// What is a freeze policy's own: its parameters are the fields of the type, the rest follows.
pub trait FreezeRule: Parametric {
    /// The name under which it is registered.
    const NAME: &'static str;
    /// One sentence on what it does, without a full stop.
    const SUMMARY: &'static str;
    /// What is kept of each block; `()` if all follows from the plan.
    type State: BlockState;

    /// What can be known before the first step; nothing, unless a rule says more.
    ///
    /// # Errors
    /// If what the user asked for cannot be reached.
    fn plan(&self, _run: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan::empty(costs.architecture.blocks.len()))
    }

    /// Whether a block may freeze at `epoch` that the plan does not have freeze.
    fn may_freeze(&self, _run: &FreezeContext, _epoch: u32) -> bool {
        true
    }

    /// The first epoch at which a block can freeze, whatever is observed; 0, unless a rule says more.
    fn earliest(&self, _run: &FreezeContext) -> u32 {
        0
    }

    /// How the learning rate of a block that is planned to be frozen during `spans` goes on in `epoch`; to 0
    /// at its freezing, unless a rule says more.
    fn pace(&self, _run: &FreezeContext, spans: &Spans, _epoch: u32) -> Pace {
        Pace::of(spans)
    }

    /// A row of gradient norms of a layer of the block whose state this is, in order of (epoch, step, layer).
    /// `frozen` says whether the block is frozen; the row was only observed then.
    fn observe(&self, _state: &mut Self::State, _row: &GradientRow, _frozen: bool) {}

    /// Whether it judges by the stream `layers`, besides `gradients`.
    fn reads_layers(&self) -> bool {
        false
    }

    /// A layer of the block at the end of an epoch, in order of (epoch, layer); not of a frozen block.
    fn observe_layer(&self, _state: &mut Self::State, _row: &LayerRow) {}

    /// Whether it judges by the stream `similarity`.
    fn reads_similarity(&self) -> bool {
        false
    }

    /// How much a layer of the block has changed by the end of an epoch, in order of (epoch, layer); not of a
    /// frozen block.
    fn observe_similarity(&self, _state: &mut Self::State, _row: &SimilarityRow) {}

    /// The blocks that freeze or thaw at `(epoch, 0)`, listed front to back; any of them may.
    fn decide(&self, run: &FreezeContext, judged: Judged<'_, Self::State>, epoch: u32) -> Vec<Change>;
}

/// The line of a rule in the registry.
pub fn entry<R: FreezeRule>() -> Entry<dyn FreezePolicy, FreezeContext> {
    Entry::new::<R>(R::NAME, R::SUMMARY, |parameters, run| policy(R::from_parameters(parameters), run))
}

/// The policy of a rule in one run.
///
/// # Errors
/// If a parameter is out of its range.
pub fn policy<R: FreezeRule>(rule: R, run: &FreezeContext) -> Result<Arc<dyn FreezePolicy>, ParameterError> {
    rule.check()?;
    Ok(Arc::new(Freezes { rule, context: run.clone() }))
}

/// A rule in one run.
#[derive(Clone)]
struct Freezes<R> {
    rule: R,
    context: FreezeContext,
}

impl<R: FreezeRule> FreezePolicy for Freezes<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        self.rule.plan(&self.context, costs)
    }

    fn may_freeze(&self, epoch: u32) -> bool {
        self.rule.may_freeze(&self.context, epoch)
    }

    fn earliest(&self) -> u32 {
        self.rule.earliest(&self.context)
    }

    fn pace(&self, spans: &Spans, epoch: u32) -> Pace {
        self.rule.pace(&self.context, spans, epoch)
    }

    fn reads_layers(&self) -> bool {
        self.rule.reads_layers()
    }

    fn reads_similarity(&self) -> bool {
        self.rule.reads_similarity()
    }

    fn start(&self, plan: &Plan) -> Box<dyn FreezeState> {
        let from_start = |spans: &Spans| Spans::from_start(spans.is_frozen(0).then_some(0));
        Box::new(Freezing {
            freezes: self.clone(),
            states: vec![R::State::default(); plan.frozen.len()],
            frozen: plan.frozen.iter().map(from_start).collect(),
            plan: plan.clone(),
            evidence: Vec::new(),
        })
    }
}

/// The state of one run.
struct Freezing<R: FreezeRule> {
    freezes: Freezes<R>,
    plan: Plan,
    states: Vec<R::State>,
    frozen: Vec<Spans>,
    evidence: Vec<FreezeEvidenceRow>,
}

impl<R: FreezeRule> FreezeState for Freezing<R> {
    fn observe(&mut self, row: &GradientRow) {
        let block = self.plan.architecture.layers[usize::from(row.layer)].block;
        if let Some(state) = self.states.get_mut(block) {
            self.freezes.rule.observe(state, row, self.frozen[block].is_frozen(row.epoch));
        }
    }

    fn observe_layer(&mut self, row: &LayerRow) {
        let block = self.plan.architecture.layers[usize::from(row.layer)].block;
        let training = self.frozen.get(block).is_some_and(|spans| !spans.is_frozen(row.epoch));
        // What was frozen when it was recorded says nothing.
        if training && !row.frozen {
            self.freezes.rule.observe_layer(&mut self.states[block], row);
        }
    }

    fn observe_similarity(&mut self, row: &SimilarityRow) {
        let block = self.plan.architecture.layers[usize::from(row.layer)].block;
        if self.frozen.get(block).is_some_and(|spans| !spans.is_frozen(row.epoch)) {
            self.freezes.rule.observe_similarity(&mut self.states[block], row);
        }
    }

    fn decide(&mut self, epoch: u32) -> Vec<Change> {
        let Self { freezes: Freezes { rule, context }, plan, states, frozen, evidence } = self;
        evidence.clear();
        let changes = rule.decide(context, Judged { plan, states, frozen, evidence }, epoch);
        for change in &changes {
            let spans = &mut frozen[change.block];
            if change.frozen { spans.freeze(epoch) } else { spans.thaw(epoch) }
        }
        changes
    }

    fn evidence(&self) -> &[FreezeEvidenceRow] {
        &self.evidence
    }

    fn frozen(&self) -> &[Spans] {
        &self.frozen
    }

    fn columns(&self) -> Vec<Column> {
        state::columns::<<R::State as BlockState>::Row>("block")
    }

    fn save(&self, epoch: u32) -> Columns {
        let mut rows = Columns::new(&self.columns());
        for (block, state) in (0..).zip(&self.states) {
            state.rows().into_iter().for_each(|row| state::push(&mut rows, epoch, block, row));
        }
        rows
    }

    fn restore(&mut self, frozen: Vec<Spans>, rows: &Columns) -> Result<(), String> {
        let blocks = self.states.len();
        if frozen.len() != blocks {
            return Err(format!("{} blocks; the network has {blocks}", frozen.len()));
        }
        let mut by_block = vec![Vec::new(); blocks];
        for row in 0..rows.rows {
            let (block, row) = state::get(rows, row);
            let of = by_block.get_mut(block as usize);
            of.ok_or_else(|| format!("block is {block}; the network has {blocks}, from 0"))?.push(row);
        }
        self.states = by_block.into_iter().map(R::State::from_rows).collect();
        self.frozen = frozen;
        Ok(())
    }
}
