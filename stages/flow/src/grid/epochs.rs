//! Reading a record epoch by epoch, as it is decided and as it goes on.

use std::rc::Rc;

use timely::ExchangeData;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};

use crate::replay::LOOK_AFTER;
use crate::tick::Tick;

use super::Failure;
use super::watch::{Ahead, Watch};

/// Takes rows of the epoch that is read, or of a later one.
pub(super) type Take<'a, D> = &'a mut dyn FnMut(u32, Vec<D>);

/// What `read` reads of each epoch. An epoch is read when the `ahead`th before it is decided, which the frontier of `decided`
/// tells, and when it is recorded.
pub(super) fn epochs<'s, D: ExchangeData>(
    scope: Scope<'s, Tick>,
    name: &str,
    watch: &Rc<Watch>,
    decided: StreamVec<'s, Tick, ()>,
    ahead: u32,
    mut read: impl FnMut(u32, Take<'_, D>) -> Result<(), Failure> + 'static,
) -> StreamVec<'s, Tick, D> {
    let watch = Rc::clone(watch);
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    watch.wake(scope.activator_for(builder.operator_info().address));
    let _decided = builder.new_input_connection(decided, Pipeline, []);
    let (output, rows) = builder.new_output_connection::<Vec<D>, _>([]);
    let mut output = OutputBuilder::from(output);
    builder.build(move |mut capabilities| {
        let mut held = capabilities.pop();
        move |frontiers| {
            while let Some(capability) = held.as_mut() {
                let epoch = capability.time().epoch;
                match watch.ahead(epoch) {
                    Ahead::Nothing => held = None,
                    Ahead::Unknown => break,
                    Ahead::Late => {
                        activator.activate_after(LOOK_AFTER);
                        break;
                    }
                    Ahead::Epoch => {
                        if frontiers[0].less_equal(&Tick::new((epoch + 1).saturating_sub(ahead), 0)) {
                            break;
                        }
                        let mut output = output.activate();
                        let taken = read(epoch, &mut |epoch, rows| {
                            let capability = capability.delayed(&Tick::new(epoch, 0));
                            output.session(&capability).give_iterator(rows.into_iter());
                        });
                        if let Err(failure) = taken {
                            // Nobody may take what has been read for all there is.
                            watch.grid.fail(failure);
                            break;
                        }
                        capability.downgrade(&Tick::new(epoch + 1, 0));
                    }
                }
            }
        }
    });
    rows
}
