//! What every stage of a run shares: the scope, the settings, the edges on which faults travel.
//!
//! What is built of the stages, tables and their commit, is in [`assemble`](crate::assemble).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::{CensoredRow, EndingRow, EpochRow, Extent, Segment};
use spfde_policy::Plan;
use timely::dataflow::Scope;
use timely::dataflow::operators::{Concat, Inspect};

use crate::edge::Edge;
use crate::{
    Cause, Due, Fault, Flow, Ground, Horizon, Keeper, Lag, Policies, Recorded, Services, Settings, Snapshot,
    Tick, Timings, Windowed,
};

/// Steps between a fault and the moment at which every loader has heard of it. The loader is at most this
/// many steps ahead of training.
pub(crate) const HALT_STEPS: u32 = 2;

/// Epochs between a failed write and the moment at which every loader has heard of it: one to gather the
/// epoch's rows, one to write them while the next trains.
const STORAGE_EPOCHS: u32 = 2;

/// Writes a table, given the epochs that are complete: its segments.
type Table<'s> = Box<dyn FnOnce(&Run<'s>, Flow<'s, EpochRow>) -> Flow<'s, Segment> + 's>;

/// A run under construction on one worker. Stages take it by reference; [`Run::finish`] closes the graph.
pub struct Run<'s> {
    scope: Scope<'s, Tick>,
    settings: Arc<Settings>,
    services: Services,
    timings: Timings,
    outcome: Rc<RefCell<Option<Fault>>>,
    halts: Edge<'s>,
    storage: Edge<'s>,
    endings: Edge<'s>,
    keeper: Keeper<'s>,
    parts: RefCell<Parts<'s>>,
}

/// What the stages hand over for the graph to be closed.
#[derive(Default)]
pub(crate) struct Parts<'s> {
    /// By name, what writes a table, given the epochs that are complete.
    pub(crate) tables: BTreeMap<&'static str, Table<'s>>,
    /// The epochs that are complete.
    pub(crate) epochs: Option<Flow<'s, EpochRow>>,
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
            endings: Edge::new(scope, Lag::EPOCH),
            keeper,
            parts: RefCell::default(),
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
    pub(crate) fn owners(&self) -> impl Fn(usize) -> usize + Clone + 'static {
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

    /// Whether the run replays a record: then [`replay`](crate::replay) takes the place of
    /// [`train`](crate::train).
    pub fn replays(&self) -> bool {
        self.services.recorded.is_some()
    }

    /// How many epochs the run has: those of the settings, or those that were recorded of them, of a record
    /// that goes on so far.
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

    /// An operator that acts epoch by epoch, as far as the run goes.
    pub(crate) fn window(&self, name: impl Into<String>) -> Windowed<'s> {
        self.ground().window(name)
    }

    /// The outside world.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// Faults and stops, on every worker, a few steps after they arose.
    pub fn halts(&self) -> Flow<'s, Fault> {
        self.halts.stream()
    }

    /// Failed writes, on every worker, a few epochs after they arose.
    pub(crate) fn storage_faults(&self) -> Flow<'s, Fault> {
        self.storage.stream()
    }

    /// Ends the run when `faults` carries a record: all workers stop at the same tick.
    ///
    /// The stream must not lag behind training: the loader waits for it.
    pub fn halt_on(&self, faults: Flow<'s, Fault>) {
        self.halts.add(faults);
    }

    /// Ends the run as a success after the epoch at whose close `endings` carries a row, on all workers: the
    /// epoch is committed, the manifest says why. A stage may say so once it has seen all of the epoch; such
    /// a run keeps a checkpoint of every epoch, since each may be the last. A row that names another epoch
    /// than the one that closes is a fault.
    pub fn end_on(&self, endings: Flow<'s, EndingRow>) {
        self.keeper.may_end_early();
        let worker = self.worker() as u32;
        let mut window = self.window("End");
        let endings = window.own(endings);
        let (mut faults_out, faults) = window.output();
        window.build(move |close| {
            let fault = |EndingRow { epoch, reason }| {
                let (tick, stage) = (Tick::close_of(close.epoch), "ending".to_owned());
                let cause = match epoch == close.epoch {
                    true => Cause::Enough(reason),
                    false => Cause::Refused(format!(
                        "epoch {} cannot end the run: it is not the one that closes",
                        u64::from(epoch) + 1
                    )),
                };
                Fault { tick, worker, stage, cause }
            };
            faults_out.give(close, endings.through(close.epoch).into_iter().map(fault));
        });
        self.endings.add(faults);
    }

    /// What has ended the run so far, as a success or by a fault, each on the worker where it arose.
    pub(crate) fn ended(&self) -> Flow<'s, Fault> {
        self.endings.written(self.scope).concat(self.halts.written(self.scope))
    }

    /// Where the run ends early as a success, on every worker, at the first step after its last epoch.
    pub(crate) fn endings(&self) -> Flow<'s, Fault> {
        self.endings.stream()
    }

    /// As [`Run::halt_on`], for what is known only when an epoch is over.
    pub(crate) fn halt_on_storage(&self, faults: Flow<'s, Fault>) {
        self.storage.add(faults);
    }

    /// What has been written so far to the edge of [`Run::halt_on_storage`], each on the worker where it
    /// arose.
    pub(crate) fn storage_written(&self) -> Flow<'s, Fault> {
        self.storage.written(self.scope)
    }

    /// Shows the observer what the record lacks.
    pub(crate) fn show_censored(&self, censored: Flow<'s, CensoredRow>) {
        let observer = Arc::clone(&self.services.observer);
        censored.inspect(move |row| observer.censored(row));
    }

    /// What the stages have handed over.
    pub(crate) fn parts(&self) -> std::cell::RefMut<'_, Parts<'s>> {
        self.parts.borrow_mut()
    }

    /// Closes the edges on which faults travel. What comes first will be found in the result.
    pub(crate) fn close_edges(&self) -> Rc<RefCell<Option<Fault>>> {
        self.halts.close(self.scope, &self.outcome);
        self.storage.close(self.scope, &self.outcome);
        self.endings.close(self.scope, &self.outcome);
        Rc::clone(&self.outcome)
    }
}
