//! What every stage of a run shares: the scope, the settings, the edge on which faults travel, the tables.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::rows::{CensoredRow, EpochRow};
use spfde_data::segment::{Extent, Segment};
use spfde_data::table::Row;
use spfde_policy::Plan;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concatenate, Inspect};
use timely::dataflow::{Scope, StreamVec};

use crate::checkpoint::{self, Due, Keeper, Snapshot};
use crate::edge::Edge;
use crate::fault::Fault;
use crate::settings::{Policies, Recorded, Services, Settings};
use crate::tick::{Lag, Tick};
use crate::timings::Timings;
use crate::trace;
use crate::train::Trained;
use crate::window::Horizon;
use crate::windowed::{Ground, Windowed};

/// Steps between a fault and the moment at which every loader has heard of it. The loader is at most this many
/// steps ahead of training.
pub(crate) const HALT_STEPS: u32 = 2;

/// Epochs between a failed write and the moment at which every loader has heard of it: one to gather the epoch's
/// rows, one to write them while the next trains.
const STORAGE_EPOCHS: u32 = 2;

type Table<'s> = Box<dyn FnOnce(&Run<'s>, StreamVec<'s, Tick, EpochRow>) + 's>;

/// A run under construction on one worker. Stages take it by reference; [`Run::finish`] closes the graph.
pub struct Run<'s> {
    scope: Scope<'s, Tick>,
    settings: Arc<Settings>,
    services: Services,
    timings: Timings,
    outcome: Rc<RefCell<Option<Fault>>>,
    halts: Edge<'s>,
    storage: Edge<'s>,
    segments: RefCell<Vec<StreamVec<'s, Tick, Segment>>>,
    tables: RefCell<BTreeMap<&'static str, Table<'s>>>,
    epochs: RefCell<Option<StreamVec<'s, Tick, EpochRow>>>,
    keeper: Keeper<'s>,
}

/// What is left of a run on one worker when its graph is closed: look into it when the run is over.
pub struct Finished {
    fault: Rc<RefCell<Option<Fault>>>,
}

impl Finished {
    /// Why the run ended early, if it did.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.borrow().clone()
    }
}

impl<'s> Run<'s> {
    /// Starts building a run in `scope`.
    pub fn new(scope: Scope<'s, Tick>, settings: Arc<Settings>, services: Services) -> Self {
        let timings = Timings::new(scope.index(), Arc::clone(&services.observer));
        let keeper = Keeper::new(Due::new(services.checkpoints.as_ref(), &settings));
        Self {
            scope,
            settings,
            services,
            timings,
            outcome: Rc::default(),
            halts: Edge::new(scope, Lag::steps(HALT_STEPS)),
            storage: Edge::new(scope, Lag::epochs(STORAGE_EPOCHS)),
            segments: RefCell::default(),
            tables: RefCell::default(),
            epochs: RefCell::default(),
            keeper,
        }
    }

    /// The scope in which stages build their operators.
    pub fn scope(&self) -> Scope<'s, Tick> {
        self.scope
    }

    /// What the run does.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Densities, sizes, freezing times and costs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.settings.plan
    }

    /// This worker, from 0.
    pub fn worker(&self) -> usize {
        self.scope.index()
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.scope.peers()
    }

    /// The worker that decides for `layer` and writes its rows: layer mod min(workers, shards).
    pub fn owner(&self, layer: usize) -> usize {
        layer % self.workers().min(self.settings.shards)
    }

    /// [`Run::owner`] as a function of its own.
    pub(crate) fn owners(&self) -> impl Fn(usize) -> usize + 'static {
        let deciding = self.workers().min(self.settings.shards);
        move |layer| layer % deciding
    }

    /// The policies of the run.
    pub fn policies(&self) -> &Policies {
        &self.settings.policies
    }

    /// The clock of this worker's stages.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// The record that the run replays, if it does.
    pub(crate) fn recorded(&self) -> Option<&Recorded> {
        self.services.recorded.as_ref()
    }

    /// Whether the run replays a record: then [`replay`](crate::replay) takes the place of [`train`](crate::train).
    pub fn replays(&self) -> bool {
        self.services.recorded.is_some()
    }

    /// How many epochs the run has: those of the settings, or those that were recorded of them, of a record that goes on so
    /// far.
    pub fn epochs(&self) -> u32 {
        let recorded = self.recorded().map(|recorded| recorded.recording.epochs());
        recorded.map_or(self.settings.epochs, |recorded| recorded.min(self.settings.epochs))
    }

    /// The checkpoint from which the run goes on, if it does.
    pub(crate) fn resumed(&self) -> Option<&Snapshot> {
        self.services.resumed.as_deref()
    }

    /// Where the run begins, or goes on.
    pub fn start(&self) -> Tick {
        Tick::new(self.resumed().map_or(0, Snapshot::epoch), 0)
    }

    /// Takes the parts of checkpoints.
    pub(crate) fn keeper(&self) -> &Keeper<'s> {
        &self.keeper
    }

    /// Where the run's operators are built, and how far it goes, as far as it is known.
    pub(crate) fn ground(&self) -> Ground<'s> {
        let planned = self.settings.epochs;
        let recording = self.recorded().map(|recorded| Arc::clone(&recorded.recording));
        let epochs = move || match recording.as_ref().map(|recording| recording.extent()) {
            Some(Extent { epochs, complete: true }) => planned.min(epochs),
            // A run that has recorded its last epoch has still to say how it ended.
            Some(Extent { complete: false, .. }) => u32::MAX,
            None => planned,
        };
        Ground { scope: self.scope, horizon: Horizon::new(self.start().epoch, epochs, &self.outcome) }
    }

    /// How far the run goes, as far as it is known.
    pub(crate) fn horizon(&self) -> Horizon {
        self.ground().horizon
    }

    /// An operator that acts epoch by epoch, as far as the run goes.
    pub(crate) fn window(&self, name: impl Into<String>) -> Windowed<'s> {
        self.ground().window(name)
    }

    /// The outside world.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// Faults and stops, on every worker, a few steps after they arose.
    pub fn halts(&self) -> StreamVec<'s, Tick, Fault> {
        self.halts.stream()
    }

    /// Failed writes, on every worker, a few epochs after they arose.
    pub(crate) fn storage_faults(&self) -> StreamVec<'s, Tick, Fault> {
        self.storage.stream()
    }

    /// Ends the run when `faults` carries a record: all workers stop at the same tick.
    ///
    /// The stream must not lag behind training: the loader waits for it.
    pub fn halt_on(&self, faults: StreamVec<'s, Tick, Fault>) {
        self.halts.add(faults);
    }

    /// As [`Run::halt_on`], for what is known only when an epoch is over.
    pub(crate) fn halt_on_storage(&self, faults: StreamVec<'s, Tick, Fault>) {
        self.storage.add(faults);
    }

    /// What has been written so far to the edge of [`Run::halt_on_storage`], each on the worker where it arose.
    pub(crate) fn storage_written(&self) -> StreamVec<'s, Tick, Fault> {
        self.storage.written(self.scope)
    }

    /// Shows the observer what the record lacks.
    pub(crate) fn show_censored(&self, censored: StreamVec<'s, Tick, CensoredRow>) {
        let observer = Arc::clone(&self.services.observer);
        censored.inspect(move |row| observer.censored(row));
    }

    pub(crate) fn add_segments(&self, segments: StreamVec<'s, Tick, Segment>) {
        self.segments.borrow_mut().push(segments);
    }

    /// Writes a stream to the table `R::STREAM` of the trace, one segment per epoch and worker.
    ///
    /// Each row has to be in the stream of exactly one worker, at the tick of its columns `epoch` and `step`
    /// (without a `step`: anywhere in its epoch). Segments of an epoch close when all of it has passed.
    ///
    /// # Panics
    /// If the run has a table of this name already: two would write the same files.
    pub fn table<R: Row>(&self, rows: StreamVec<'s, Tick, R>) {
        let table = move |run: &Run<'s>, complete| trace::sink(run, rows, complete);
        let before = self.tables.borrow_mut().insert(R::STREAM, Box::new(table));
        assert!(before.is_none(), "the run has a table `{}` already", R::STREAM);
    }

    /// Records what training, or a replay, produced: its streams become tables, and its complete epochs are the ones
    /// that are committed. Of a replay only what it adds to its source is written.
    ///
    /// # Panics
    /// If called twice.
    pub fn trace(&self, trained: &Trained<'s>) {
        // A replay has its source for these.
        if !self.replays() {
            self.table(trained.scores.clone());
            self.table(trained.gradients.clone());
            self.table(trained.layers.clone());
        }
        self.table(trained.timings.clone());
        self.table(trained.epochs.clone());
        let observer = || Arc::clone(&self.services.observer);
        let (steps, epochs, timings) = (observer(), observer(), observer());
        trained.steps.clone().inspect(move |report| steps.step(report));
        trained.epochs.clone().inspect(move |row| epochs.epoch(row));
        trained.timings.clone().inspect(move |row| timings.timing(row));
        let before = self.epochs.replace(Some(trained.epochs.clone()));
        assert!(before.is_none(), "a run has one trace");
    }

    /// Closes the graph. Only epochs that the traced training completes are committed.
    pub fn finish(self) -> Finished {
        let epochs = self.epochs.take().unwrap_or_else(|| self.scope.concatenate([]));
        let complete = epochs.broadcast();
        for table in self.tables.take().into_values() {
            table(&self, complete.clone());
        }
        let segments = self.scope.concatenate(self.segments.take());
        let kept = self.scope.concatenate(self.keeper.take());
        let checkpoints = checkpoint::sink(&self, kept, complete.clone());
        let unwritten = self.storage_written();
        trace::commit(&self, segments, checkpoints, unwritten, complete);
        self.halts.close(self.scope, &self.outcome);
        self.storage.close(self.scope, &self.outcome);
        Finished { fault: self.outcome }
    }
}
