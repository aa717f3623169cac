//! From a rule to a policy: what all freeze policies share stands here once.

use std::sync::Arc;

use spfde_data::{Column, Columns, GradientRow, ParameterError, Parametric, Record};

use super::{Change, FreezeContext, FreezePlan, FreezePolicy, FreezeState};
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

    /// A row of gradient norms of a layer of the block whose state this is, in order of (epoch, step, layer).
    /// `frozen` says whether the block is frozen; the row was only observed then.
    fn observe(&self, _state: &mut Self::State, _row: &GradientRow, _frozen: bool) {}

    /// The blocks that freeze or thaw at `(epoch, 0)`, front to back.
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

    fn start(&self, plan: &Plan) -> Box<dyn FreezeState> {
        let from_start = |spans: &Spans| Spans::from_start(spans.is_frozen(0).then_some(0));
        Box::new(Freezing {
            freezes: self.clone(),
            states: vec![R::State::default(); plan.frozen.len()],
            frozen: plan.frozen.iter().map(from_start).collect(),
            plan: plan.clone(),
        })
    }
}

/// The state of one run.
struct Freezing<R: FreezeRule> {
    freezes: Freezes<R>,
    plan: Plan,
    states: Vec<R::State>,
    frozen: Vec<Spans>,
}

impl<R: FreezeRule> FreezeState for Freezing<R> {
    fn observe(&mut self, row: &GradientRow) {
        let block = self.plan.architecture.layers[usize::from(row.layer)].block;
        if let Some(state) = self.states.get_mut(block) {
            self.freezes.rule.observe(state, row, self.frozen[block].is_frozen(row.epoch));
        }
    }

    fn decide(&mut self, epoch: u32) -> Vec<Change> {
        let Self { freezes: Freezes { rule, context }, plan, states, frozen } = self;
        let changes = rule.decide(context, Judged { plan, states, frozen }, epoch);
        for change in &changes {
            let spans = &mut frozen[change.block];
            if change.frozen { spans.freeze(epoch) } else { spans.thaw(epoch) }
        }
        changes
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
