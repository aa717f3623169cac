//! Analyses of recorded runs: their streams as collections, kept up to date as epochs arrive.
//!
//! A dataflow of its own: no stage of training takes part. Runs are read side by side, none more than an
//! epoch ahead of the others or of what is done with it, so that memory does not depend on their length.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use spfde_data::{Extent, FreezeRow, MaskRow, Recording, Row, ScoreRow, SieveRow};
use timely::dataflow::Scope;
use timely::dataflow::operators::vec::{Map, ToStream};
use timely::dataflow::operators::{Concatenate, ConnectLoop, Feedback};

use crate::recorded::{Pace, recorded};
use crate::{Cause, Fault, Flow, Ground, Horizon, Lag, Tick};

/// Epochs that are read before they are waited for.
const AHEAD: u32 = 1;

/// A collection that changes with the ticks of recorded runs.
pub type Changing<'s, D> = VecCollection<'s, Tick, D, isize>;

/// A run that an analysis reads.
pub struct Analysed {
    /// What messages call it.
    pub name: String,
    /// Samples of its training set: they are numbered from 0.
    pub samples: u32,
    /// Its streams.
    pub recording: Arc<dyn Recording>,
}

/// The runs of an analysis, shared by all workers.
pub struct Analysis {
    runs: Vec<Analysed>,
    interrupted: Arc<AtomicBool>,
    failed: Mutex<Option<Cause>>,
}

impl Analysis {
    /// An analysis of these runs, which ends when the flag is set.
    pub fn new(runs: Vec<Analysed>, interrupted: Arc<AtomicBool>) -> Self {
        Self { runs, interrupted, failed: Mutex::default() }
    }

    /// Why it ended before the runs did, if it did.
    pub fn failed(&self) -> Option<Cause> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far a run goes, as far as it is known; an analysis that has failed goes nowhere.
    fn end_of(&self, run: usize) -> u32 {
        match self.runs[run].recording.extent() {
            _ if self.failed().is_some() => 0,
            Extent { epochs, complete: true } => epochs,
            Extent { complete: false, .. } => u32::MAX,
        }
    }

    /// How far a run goes by now.
    fn look(&self, run: usize) -> Result<Extent, Cause> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Cause::Interrupted);
        }
        if let Some(cause) = self.failed() {
            return Err(cause);
        }
        self.runs[run].recording.look().map_err(|error| Cause::Recording(error.to_string()))
    }

    /// Says why the analysis of a run ends; the first reason counts.
    fn refuse(&self, run: usize, cause: &Cause) {
        let cause = match cause {
            Cause::Recording(reason) if !reason.starts_with(&self.runs[run].name) => {
                Cause::Recording(format!("{}: {reason}", self.runs[run].name))
            }
            cause => cause.clone(),
        };
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }
}

/// The recorded streams of some runs, on one worker.
pub struct Streams<'s> {
    scope: Scope<'s, Tick>,
    analysis: Arc<Analysis>,
    gate: Flow<'s, Fault>,
    /// What the reading of later epochs waits for.
    pace: RefCell<Vec<Flow<'s, Fault>>>,
}

/// The recorded streams of one run.
#[derive(Clone, Copy)]
pub struct StreamsOf<'a, 's> {
    streams: &'a Streams<'s>,
    run: usize,
}

impl<'s> Streams<'s> {
    /// Has `build` wire an analysis in `scope`, on every worker.
    pub fn build(scope: Scope<'s, Tick>, analysis: &Arc<Analysis>, build: impl FnOnce(&Self)) {
        let (handle, gate) = scope.feedback::<Vec<Fault>>(Lag::EPOCH);
        let streams = Self { scope, analysis: Arc::clone(analysis), gate, pace: RefCell::default() };
        build(&streams);
        scope.concatenate(streams.pace.into_inner()).connect_loop(handle);
    }

    /// The scope in which collections live.
    pub fn scope(&self) -> Scope<'s, Tick> {
        self.scope
    }

    /// The runs, in the order in which they were named.
    pub fn runs(&self) -> impl Iterator<Item = StreamsOf<'_, 's>> {
        (0..self.analysis.runs.len()).map(|run| StreamsOf { streams: self, run })
    }

    /// The run at a place.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn run(&self, run: usize) -> StreamsOf<'_, 's> {
        assert!(run < self.analysis.runs.len(), "run {run} is one of those that were named");
        StreamsOf { streams: self, run }
    }

    /// Calls `act` for every epoch that all runs have reached, or have ended before, in order: with what
    /// changes in the collection, sorted, each thing once. It is called on one worker.
    pub fn each_epoch<D: ExchangeData>(
        &self,
        collection: Changing<'s, D>,
        mut act: impl FnMut(u32, Vec<(D, isize)>) + 'static,
    ) {
        let analysis = Arc::clone(&self.analysis);
        let end = move || (0..analysis.runs.len()).map(|run| analysis.end_of(run)).max().unwrap_or(0);
        let mut window = self.ground(end).window("Each epoch");
        let changes = window.on_first(collection.inner);
        let (_, done) = window.output();
        let is_first = self.scope.index() == 0;
        // A message may be of an earlier tick than what it holds.
        let mut waiting: BTreeMap<u32, BTreeMap<D, isize>> = BTreeMap::new();
        window.build(move |close| {
            for (thing, tick, change) in changes.through(close.epoch) {
                *waiting.entry(tick.epoch).or_default().entry(thing).or_default() += change;
            }
            let later = waiting.split_off(&(close.epoch + 1));
            let mut sums: BTreeMap<D, isize> = BTreeMap::new();
            for (thing, change) in std::mem::replace(&mut waiting, later).into_values().flatten() {
                *sums.entry(thing).or_default() += change;
            }
            sums.retain(|_, change| *change != 0);
            if is_first {
                act(close.epoch, sums.into_iter().collect());
            }
        });
        self.pace.borrow_mut().push(done);
    }

    fn ground(&self, end: impl Fn() -> u32 + 'static) -> Ground<'s> {
        Ground { scope: self.scope, horizon: Horizon::new(0, end, &Rc::default()) }
    }
}

impl<'s> StreamsOf<'_, 's> {
    /// What messages call the run.
    pub fn name(&self) -> &str {
        &self.run().name
    }

    fn run(&self) -> &Analysed {
        &self.streams.analysis.runs[self.run]
    }

    fn ground(&self) -> Ground<'s> {
        let (analysis, run) = (Arc::clone(&self.streams.analysis), self.run);
        self.streams.ground(move || analysis.end_of(run))
    }

    /// The rows of a table, each on one worker, at its tick: where the table has no steps at the first step
    /// of its epoch, a row of `layers` at the epoch's close. They are as they were written: numbers of
    /// samples, layers and weights may be any if a file was forged.
    pub fn rows<R: Row>(&self) -> Flow<'s, R> {
        let (looking, run) = (Arc::clone(&self.streams.analysis), self.run);
        let refusing = Arc::clone(&looking);
        let pace = Pace {
            ground: self.ground(),
            gate: self.streams.gate.clone(),
            look: Rc::new(move || looking.look(run)),
            refuse: Rc::new(move |cause| refusing.refuse(run, cause)),
        };
        let (rows, faults) = recorded(&pace, AHEAD, &self.run().recording, None);
        self.streams.pace.borrow_mut().push(faults);
        rows
    }

    /// The collection to which rows of a table add up: `change` says what a row adds, and how often.
    pub fn deltas<R: Row, D: ExchangeData>(
        &self,
        change: impl Fn(R) -> Option<(D, isize)> + 'static,
    ) -> Changing<'s, D> {
        let tick = crate::recorded::tick_of::<R>();
        let deltas = self.rows::<R>().flat_map(move |row| {
            let at = tick(&row);
            change(row).map(|(thing, change)| (thing, at, change))
        });
        deltas.as_collection()
    }

    /// The weights that exist, of masked layers: layer and index. From `masks`.
    pub fn weights(&self) -> Changing<'s, (u16, u32)> {
        self.deltas(|row: MaskRow| Some(((row.layer, row.index), row.diff.into())))
    }

    /// The layers that are frozen. From `freezes`.
    pub fn frozen(&self) -> Changing<'s, u16> {
        self.deltas(|row: FreezeRow| Some((row.layer, row.diff.into())))
    }

    /// The samples that are trained on. From `sieves`.
    pub fn active(&self) -> Changing<'s, u32> {
        self.deltas(|row: SieveRow| Some((row.sample, row.diff.into())))
    }

    /// The samples that the sieve holds out: all others.
    pub fn held_out(&self) -> Changing<'s, u32> {
        let (worker, workers) = (self.streams.scope.index(), self.streams.scope.peers());
        let samples = (worker as u32..self.run().samples).step_by(workers);
        let all = samples.map(|sample| (sample, Tick::new(0, 0), 1)).to_stream(self.streams.scope);
        all.as_collection().concat(self.active().negate())
    }

    /// The samples that were forgotten, each as often as it was: right when it was scored, and wrong the next
    /// time, whether it was trained on or only observed. At the close of the epoch in which it was wrong.
    /// From `scores`.
    pub fn forgettings(&self) -> Changing<'s, u32> {
        let mut window = self.ground().window("Forget");
        let scores = window.exchanged(self.rows::<ScoreRow>(), |row| u64::from(row.sample));
        let (mut forgotten_out, forgotten) = window.output();
        let mut right: HashMap<u32, bool> = HashMap::new();
        window.build(move |close| {
            let mut forgotten = Vec::new();
            for ScoreRow { sample, correct, .. } in scores.through(close.epoch) {
                if right.insert(sample, correct) == Some(true) && !correct {
                    forgotten.push((sample, Tick::close_of(close.epoch), 1));
                }
            }
            forgotten_out.give(close, forgotten);
        });
        forgotten.as_collection()
    }
}
