//! From the cuts to the deltas of the active set.

use std::collections::BTreeMap;

use differential_dataflow::VecCollection;
use spfde_data::rows::SieveRow;
use spfde_policy::Cut;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::run::Run;
use crate::tick::Tick;
use crate::window::Windows;

use super::lowest::Ranked;
use super::owner;

type Update = (Ranked, Tick, i32);

/// Net changes of one cut by tick and sample: how often it came in minus how often it went, and the key it came with.
#[derive(Default)]
struct Changes(BTreeMap<Tick, BTreeMap<u32, (i32, u32)>>);

impl Changes {
    /// Files an update under its own time: a message's stamp is only a lower bound of the times inside it.
    fn add(&mut self, ((order, sample), tick, diff): Update) {
        let (net, key) = self.0.entry(tick).or_default().entry(sample).or_default();
        *net += diff;
        if diff > 0 {
            *key = order.key;
        }
    }

    /// The samples that came in (true) or went (false) at the close of `epoch`, with their keys.
    fn take(&mut self, epoch: u32) -> impl Iterator<Item = (u32, bool, u32)> + use<> {
        let close = Tick::close_of(epoch);
        let changed = self.0.remove(&close).unwrap_or_default();
        // Earlier than any decision comes only the state from which a run starts: no change.
        self.0.retain(|tick, _| *tick > close);
        changed
            .into_iter()
            .filter(|(_, (net, _))| *net != 0)
            .map(|(sample, (net, key))| (sample, net > 0, key))
    }
}

/// Turns what changed in the two cuts into who leaves and who enters, on the sample's owner.
///
/// In an exchange a sample that is cut is gone from the order at the next decision, and cannot have come back by then.
/// So what comes into the cut leaves or enters, and what goes from it is history. If instead the cut *is* the outside,
/// what comes into it leaves, and what goes from it enters.
pub(super) fn decide<'s>(
    run: &Run<'s>,
    low: VecCollection<'s, Tick, Ranked, i32>,
    first: VecCollection<'s, Tick, Ranked, i32>,
) -> StreamVec<'s, Tick, SieveRow> {
    let (workers, settings) = (run.workers(), std::sync::Arc::clone(run.settings()));
    let horizon = run.horizon();
    let mut builder = OperatorBuilder::new("Decide".to_owned(), run.scope());
    let to_owner = || Exchange::new(move |((_, sample), ..): &Update| owner(*sample, workers) as u64);
    let mut low = builder.new_input(low.inner, to_owner());
    let mut first = builder.new_input(first.inner, to_owner());
    let (output, deltas) = builder.new_output::<Vec<SieveRow>>();
    let mut output = OutputBuilder::from(output);
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let (mut low_changes, mut first_changes) = (Changes::default(), Changes::default());
        move |frontiers| {
            low.for_each(|_, updates| updates.drain(..).for_each(|update| low_changes.add(update)));
            first.for_each(|_, updates| updates.drain(..).for_each(|update| first_changes.add(update)));
            while let Some(epoch) = windows.complete(frontiers) {
                let next = epoch + 1;
                let row = |sample, diff, key| SieveRow { epoch: next, sample, diff, key, weight: 1.0 };
                let low = low_changes.take(epoch);
                let first = first_changes.take(epoch);
                if next < settings.epochs && settings.policies.sieve.decides(next) {
                    let exchange = matches!(settings.policies.sieve.decision(next).cut, Cut::Exchange { .. });
                    let leave_or_return = low.filter_map(|(sample, came, key)| match (came, exchange) {
                        (true, _) => Some(row(sample, -1, key)),
                        (false, false) => Some(row(sample, 1, 0)),
                        (false, true) => None,
                    });
                    let enter = first.filter(|(_, came, _)| *came).map(|(sample, ..)| row(sample, 1, 0));
                    let mut output = output.activate();
                    output.session(windows.capability(0)).give_iterator(leave_or_return.chain(enter));
                }
                windows.advance();
            }
        }
    });
    deltas
}
