//! The shape that most operators have: gather inputs, act when an epoch is complete, speak at its close.
//!
//! ```text
//! let mut window = run.window("Count");
//! let rows = window.exchanged(rows, |row: &Row| u64::from(row.sample));
//! let (mut counts_out, counts) = window.output();
//! window.build(move |close| counts_out.give(close, [rows.through(close.epoch).len()]));
//! ```

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::progress::Antichain;
use timely::progress::frontier::MutableAntichain;

use crate::{Flow, Horizon, Lag, Stash, Tick};

/// Where operators are built, and how far they go.
#[derive(Clone)]
pub(crate) struct Ground<'s> {
    pub(crate) scope: Scope<'s, Tick>,
    pub(crate) horizon: Horizon,
}

impl<'s> Ground<'s> {
    /// An operator that acts epoch by epoch.
    pub(crate) fn window(&self, name: impl Into<String>) -> Windowed<'s> {
        let builder = OperatorBuilder::new(name.into(), self.scope);
        Windowed { builder, horizon: self.horizon.clone(), pulls: Vec::new() }
    }
}

/// Takes the messages that have come to an input.
type Pull = Box<dyn FnMut(&MutableAntichain<Tick>)>;

/// An operator under construction that acts epoch by epoch.
///
/// It holds the capabilities of its outputs at the close of the epoch that it gathers, and ends at the
/// horizon: then everything that its closure holds is dropped, and what still arrives is too.
pub(crate) struct Windowed<'s> {
    builder: OperatorBuilder<'s, Tick>,
    horizon: Horizon,
    pulls: Vec<Pull>,
}

impl<'s> Windowed<'s> {
    /// Adds an input whose records arrive as `pact` says.
    pub(crate) fn input<D, P>(&mut self, stream: Flow<'s, D>, pact: P) -> Input<D>
    where
        D: Clone + 'static,
        P: ParallelizationContract<Tick, Vec<D>>,
        P::Puller: 'static,
    {
        let mut handle = self.builder.new_input(stream, pact);
        let input = Input(Rc::new(Gathered { stash: RefCell::default(), frontier: Cell::default() }));
        let gathered: Weak<Gathered<D>> = Rc::downgrade(&input.0);
        self.pulls.push(Box::new(move |frontier| {
            let gathered = gathered.upgrade();
            handle.for_each(|capability, records| match &gathered {
                Some(gathered) => gathered.stash.borrow_mut().add(&capability, records),
                None => records.clear(),
            });
            if let Some(gathered) = gathered {
                gathered.frontier.set(frontier.frontier().first().copied());
            }
        }));
        input
    }

    /// An input of this worker's own records.
    pub(crate) fn own<D: Clone + 'static>(&mut self, stream: Flow<'s, D>) -> Input<D> {
        self.input(stream, Pipeline)
    }

    /// An input of all workers' records.
    pub(crate) fn broadcast<D: ExchangeData + Clone>(&mut self, stream: Flow<'s, D>) -> Input<D> {
        self.input(stream.broadcast(), Pipeline)
    }

    /// An input whose records go to the worker that `route` names, modulo their number.
    pub(crate) fn exchanged<D: ExchangeData + Clone>(
        &mut self,
        stream: Flow<'s, D>,
        route: impl Fn(&D) -> u64 + 'static,
    ) -> Input<D> {
        self.input(stream, Exchange::new(route))
    }

    /// An input whose records all go to worker 0.
    pub(crate) fn on_first<D: ExchangeData + Clone>(&mut self, stream: Flow<'s, D>) -> Input<D> {
        self.exchanged(stream, |_| 0)
    }

    /// Adds an output.
    pub(crate) fn output<D: Clone + 'static>(&mut self) -> (Output<D>, Flow<'s, D>) {
        Output::new(&mut self.builder)
    }

    /// Builds it: `act` is called for every epoch, once it is complete on all inputs.
    pub(crate) fn build(self, mut act: impl FnMut(&Moment<'_>) + 'static) {
        self.build_by_tick(move |moment| {
            if moment.is_complete {
                act(moment);
            }
        });
    }

    /// As [`Windowed::build`]; `act` is called also while an epoch is being gathered, to take what is
    /// complete of it ([`Input::next`]).
    pub(crate) fn build_by_tick(self, act: impl FnMut(&Moment<'_>) + 'static) {
        let Self { builder, horizon, mut pulls } = self;
        builder.build(move |mut capabilities| {
            // A stage that decides once per epoch has to speak also after an epoch in which it heard nothing,
            // so it holds its own capabilities instead of keeping those of messages.
            let hold = |capabilities: &mut Vec<Capability<Tick>>, epoch: u32| {
                let close = Tick::close_of(epoch);
                capabilities.iter_mut().for_each(|capability| capability.downgrade(&close));
            };
            let mut epoch = horizon.start();
            hold(&mut capabilities, epoch);
            let mut running = (epoch < horizon.end()).then_some((capabilities, act));
            move |frontiers| {
                pulls.iter_mut().zip(frontiers).for_each(|(pull, frontier)| pull(frontier));
                while let Some((capabilities, act)) = running.as_mut().filter(|_| epoch < horizon.epochs()) {
                    let close = Tick::close_of(epoch);
                    let is_complete = frontiers.iter().all(|frontier| !frontier.less_equal(&close));
                    act(&Moment { epoch, is_complete, capabilities });
                    if !is_complete {
                        return;
                    }
                    epoch += 1;
                    match epoch < horizon.end() {
                        true => hold(capabilities, epoch),
                        false => running = None,
                    }
                }
                running = None;
            }
        });
    }
}

/// When an operator acts.
pub(crate) struct Moment<'a> {
    /// The epoch that is gathered.
    pub(crate) epoch: u32,
    /// Whether all of it has arrived.
    pub(crate) is_complete: bool,
    capabilities: &'a [Capability<Tick>],
}

struct Gathered<D> {
    stash: RefCell<Stash<D>>,
    frontier: Cell<Option<Tick>>,
}

/// What has arrived at an input.
pub(crate) struct Input<D>(Rc<Gathered<D>>);

impl<D> Input<D> {
    /// Takes the records of all ticks up to the close of `epoch`, in order of ticks.
    pub(crate) fn through(&self, epoch: u32) -> Vec<D> {
        self.0.stash.borrow_mut().through(epoch).collect()
    }

    /// Whether nothing can arrive any more at `tick`.
    pub(crate) fn is_past(&self, tick: Tick) -> bool {
        self.0.frontier.get().is_none_or(|frontier| tick < frontier)
    }

    /// Takes the records of the earliest tick of `epoch`, if there is one that is complete.
    pub(crate) fn next(&self, epoch: u32) -> Option<(Tick, Vec<D>)> {
        self.0.stash.borrow_mut().next(|tick| tick.epoch == epoch && self.is_past(*tick))
    }
}

/// An output of an operator, which knows its place among them.
pub(crate) struct Output<D: Clone + 'static> {
    port: usize,
    builder: OutputBuilder<Tick, CapacityContainerBuilder<Vec<D>>>,
}

impl<D: Clone + 'static> Output<D> {
    /// Adds an output to an operator, which speaks at the times of its inputs.
    pub(crate) fn new<'s>(builder: &mut OperatorBuilder<'s, Tick>) -> (Self, Flow<'s, D>) {
        let inputs = 0..builder.shape().inputs();
        Self::connected(builder, inputs.map(|input| (input, Antichain::from_elem(Lag::default()))))
    }

    /// The same, of one that the inputs reach by these connections only.
    pub(crate) fn connected<'s>(
        builder: &mut OperatorBuilder<'s, Tick>,
        connection: impl IntoIterator<Item = (usize, Antichain<Lag>)> + Clone,
    ) -> (Self, Flow<'s, D>) {
        let port = builder.shape().outputs();
        let (output, stream) = builder.new_output_connection::<Vec<D>, _>(connection);
        (Self { port, builder: OutputBuilder::from(output) }, stream)
    }

    /// Sends `records` at the close of the epoch that is gathered.
    pub(crate) fn give(&mut self, moment: &Moment<'_>, records: impl IntoIterator<Item = D>) {
        self.send(moment.capabilities, records);
    }

    /// Sends `records` by its own of an operator's capabilities, one for each output.
    pub(crate) fn send(&mut self, capabilities: &[Capability<Tick>], records: impl IntoIterator<Item = D>) {
        let mut output = self.builder.activate();
        output.session(&capabilities[self.port]).give_iterator(records.into_iter());
    }
}
