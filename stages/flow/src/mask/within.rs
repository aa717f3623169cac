//! Mask updates after so many steps of an epoch.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use spfde_data::{MaskRow, MaskUpdateRow};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::{Flow, LayerWeights, Output, Run, Stash, Tick};

use super::Host;

/// Decides after every `steps` steps of an epoch: the deltas leave at the step that they follow.
///
/// The operator holds a capability at the next step after which there may be an update, so training waits for
/// it there and at no other step.
pub(super) fn within<'s>(
    run: &Run<'s>,
    weights: Flow<'s, LayerWeights>,
    steps: NonZeroU32,
    decider: impl Fn(&LayerWeights) -> u64 + 'static,
    host: Host,
) -> (Flow<'s, MaskRow>, Flow<'s, MaskUpdateRow>) {
    let mut builder = OperatorBuilder::new("Mask within".to_owned(), run.scope());
    // The input reaches the output only through what the operator holds itself.
    let mut weights = builder.new_input_connection(weights, Exchange::new(decider), []);
    let (mut deltas_out, deltas) = Output::connected(&mut builder, []);
    let (mut updates_out, updates) = Output::connected(&mut builder, []);
    let steps = steps.get();
    let first_of = move |epoch: u32| Tick::new(epoch, steps - 1);
    let start = first_of(run.start().epoch);
    builder.build(move |capabilities| {
        let mut held = Some([0, 1].map(|output: usize| capabilities[output].delayed(&start)));
        let mut layers = Stash::<LayerWeights>::default();
        move |frontiers| {
            weights.for_each(|capability, rows| layers.add(&capability, rows));
            while let Some(capabilities) = &mut held {
                let Tick { epoch, step } = *capabilities[0].time();
                let frontier = frontiers[0].frontier().first().copied();
                // Nothing trains any more.
                let Some(frontier) = frontier else {
                    held = None;
                    return;
                };
                if frontier <= Tick::new(epoch, step) {
                    return;
                }
                while let Some((tick, layers)) = layers.next(|tick| *tick < frontier) {
                    let next = Tick::new(tick.epoch, tick.step + 1);
                    let (rows, told) = host.decide(next, &BTreeSet::new(), layers);
                    deltas_out.send(capabilities, rows);
                    updates_out.send(capabilities, told);
                }
                let next = match step.checked_add(steps) {
                    Some(step) if frontier.epoch == epoch => Tick::new(epoch, step),
                    _ => first_of(frontier.epoch.max(epoch + 1)),
                };
                capabilities.iter_mut().for_each(|capability| capability.downgrade(&next));
            }
        }
    });
    (deltas, updates)
}
