//! The three feedback loops: what a stage decides at the end of an epoch takes effect at the next one's first
//! step.

use spfde_data::{Densities, FreezeRow, MaskRow, MaskUpdateRow, Row, SieveRow};
use timely::dataflow::operators::core::OkErr;
use timely::dataflow::operators::feedback::Handle;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Concat, Concatenate, ConnectLoop, Feedback};

use crate::initial::decider;
use crate::{Flow, Ground, Keeper, Lag, Output, Run, Tick};

/// The edge of decisions that take effect within their epoch, and whether one is of those.
type Within<'s, R> = (Handle<'s, Tick, Vec<R>>, fn(&R) -> bool);

/// One loop: declared first, read by the stages in front, closed by the stage that decides.
pub struct Loop<'s, R: Row> {
    handle: Option<Handle<'s, Tick, Vec<R>>>,
    /// Only masks may change within an epoch.
    within: Option<Within<'s, R>>,
    stream: Flow<'s, R>,
    keeper: Keeper<'s>,
    ground: Ground<'s>,
}

impl<'s, R: Row> Loop<'s, R> {
    /// A loop whose deltas at the start are `initial`: this worker's share of them. Its rows go to the trace.
    fn new(run: &Run<'s>, initial: Flow<'s, R>) -> Self {
        let looped = Self::open(run, initial);
        run.table(looped.stream());
        looped
    }

    /// As [`Loop::new`], of decisions that may also take effect within their epoch, if the mask policy's
    /// windows are steps.
    fn windowed(run: &Run<'s>, initial: Flow<'s, R>, is_within: fn(&R) -> bool) -> Self {
        if run.policies().mask.steps().is_none() {
            return Self::new(run, initial);
        }
        let (handle, decided) = run.scope().feedback(Lag::steps(1));
        let mut looped = Self::new(run, initial.concat(decided));
        looped.within = Some((handle, is_within));
        looped
    }

    /// A loop whose deltas are those of `before` and what is decided.
    fn open(run: &Run<'s>, before: Flow<'s, R>) -> Self {
        let (handle, decided) = run.scope().feedback(Lag::EPOCH);
        let (stream, keeper, ground) = (before.concat(decided), run.keeper().clone(), run.ground());
        Self { handle: Some(handle), within: None, stream, keeper, ground }
    }

    /// The deltas, each at the tick at which it takes effect, on the one worker that owns it.
    pub fn stream(&self) -> Flow<'s, R> {
        self.stream.clone()
    }

    /// Closes the loop with the decisions, each at the close of the epoch before it takes effect; mask deltas
    /// of a policy whose windows are steps also at the step before.
    pub fn close(mut self, mut decisions: Flow<'s, R>) {
        self.keeper.keep_decisions(&self.ground, decisions.clone());
        if let Some((handle, is_within)) = self.within.take() {
            let (within, at_close) =
                decisions.ok_err(move |row| if is_within(&row) { Ok(row) } else { Err(row) });
            within.connect_loop(handle);
            decisions = at_close;
        }
        decisions.connect_loop(self.handle.take().expect("only closing takes the handle"));
    }
}

/// Rows of a loop's start that are sent at a time: those who take them keep less of each than is sent.
const SLICE: usize = 1 << 14;

/// A stream of `rows` at the tick at which the run begins or goes on.
fn at_start<'s, R: Row>(run: &Run<'s>, rows: impl IntoIterator<Item = R, IntoIter: 'static>) -> Flow<'s, R> {
    let (start, mut rows) = (run.start(), rows.into_iter().peekable());
    let mut builder = OperatorBuilder::new(format!("Start {}", R::STREAM), run.scope());
    let activator = run.scope().activator_for(builder.operator_info().address);
    let (mut output, stream) = Output::new(&mut builder);
    builder.build(move |capabilities| {
        let mut held = Some([capabilities[0].delayed(&start)]);
        move |_| {
            let Some(capability) = &held else { return };
            output.send(capability, rows.by_ref().take(SLICE));
            match rows.peek() {
                Some(_) => activator.activate(),
                None => held = None,
            }
        }
    });
    stream
}

impl<'s> Loop<'s, MaskRow> {
    /// The loop of the masks; in a replay its deltas are the recorded ones, whose norms the freeze stage
    /// sees. They are no decisions of a replay that counts the weights of another mask policy, and not in its
    /// table.
    fn masked(run: &Run<'s>) -> Self {
        let Some(recorded) = run.recorded() else {
            return Self::windowed(run, at_start(run, crate::initial::initial(run)), |row| row.step > 0);
        };
        let looped = Self::open(run, crate::recorded::read(run));
        match recorded.densities {
            Densities::Recorded => run.table(looped.stream()),
            Densities::Scheduled => run.table::<MaskRow>(run.scope().concatenate([])),
        }
        looped
    }
}

impl<'s> Loop<'s, MaskUpdateRow> {
    /// The loop of what is told of mask updates: only its table reads it.
    pub(crate) fn updates(run: &Run<'s>) -> Self {
        let on_their_way = run.resumed().map(|snapshot| snapshot.rows()).unwrap_or_default();
        let decider = decider(run, &run.policies().mask);
        let is_mine = |row: &MaskUpdateRow| decider(usize::from(row.layer)) == run.worker();
        let mine: Vec<MaskUpdateRow> = on_their_way.into_iter().filter(is_mine).collect();
        Self::windowed(run, at_start(run, mine), |row| row.step > 0)
    }
}

impl<R: Row> Drop for Loop<'_, R> {
    /// # Panics
    /// If the loop was never closed: the graph would wait for decisions that cannot come.
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            // Timely panics about the open end in its own words, and a second panic would abort.
            std::mem::forget(handle);
            if !std::thread::panicking() {
                panic!("the loop of `{}` was not closed: give `close` the decisions of its stage", R::STREAM);
            }
        }
    }
}

/// The loops of a training run.
pub struct Loops<'s> {
    /// Samples that enter or leave the active set.
    pub active: Loop<'s, SieveRow>,
    /// Layers that freeze or thaw.
    pub frozen: Loop<'s, FreezeRow>,
    /// Weights that begin or cease to exist.
    pub masked: Loop<'s, MaskRow>,
}

impl<'s> Run<'s> {
    /// Declares the three loops. The initial masks, the initial active set and the blocks that the plan
    /// freezes from the start come first on them, as deltas at `(0, 0)`, so that a state at any tick is the
    /// sum of the deltas up to it. A run that goes on from a checkpoint begins with the decisions that were
    /// on their way instead: what was decided before them is in its trace, and in the state that each stage
    /// takes over. In a replay the masks are the recorded ones.
    pub fn loops(&self) -> Loops<'s> {
        Loops {
            active: Loop::new(self, at_start(self, crate::sieve::initial(self))),
            frozen: Loop::new(self, at_start(self, crate::freeze::initial(self))),
            masked: Loop::masked(self),
        }
    }
}
