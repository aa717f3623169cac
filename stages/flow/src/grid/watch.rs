//! How all workers of all processes learn of the same things: how far the record goes, and that there is nothing more to do.
//!
//! ```text
//! every worker: News ──broadcast──► Hear, on every worker
//!               ▲ its failure; on worker 0 the extent of the record
//! ```
//!
//! A failure ends the dataflow in good order. Whoever knows of one does not act any more, but holds its capabilities, so that
//! no other takes what it left out for what there is. `News` gives its own up on every worker that knows of the failure; so
//! when the frontier of the news is empty everyone does, nobody acts, and all can let go.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::Activator;

use crate::replay::{Agreed, LOOK_AFTER, Sight};
use crate::tick::Tick;

use super::{Failure, Grid};

/// What a worker knows of the others.
pub(super) struct Watch {
    pub(super) grid: Arc<Grid>,
    /// How far the record goes, as worker 0 has seen it.
    agreed: RefCell<Agreed>,
    sight: RefCell<Sight>,
    /// Whether everybody knows that nothing more is to be done.
    over: Cell<bool>,
    /// Those that wait for news.
    waiting: RefCell<Vec<Activator>>,
}

/// What one worker tells all.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum News {
    /// The record goes so far.
    Extent(Agreed),
    /// Something has failed.
    Failed(Failure),
    /// Somebody wants it to end.
    Interrupted,
}

/// What lies ahead of one that reads.
pub(super) enum Ahead {
    /// An epoch that can be read.
    Epoch,
    /// Nothing more will come.
    Nothing,
    /// Nobody knows yet; there will be news.
    Unknown,
    /// An epoch that is recorded, and not to be seen here yet.
    Late,
}

impl Watch {
    /// Knows nothing yet.
    pub(super) fn new(grid: &Arc<Grid>) -> Rc<Self> {
        Rc::new(Self {
            grid: Arc::clone(grid),
            agreed: RefCell::default(),
            sight: RefCell::default(),
            over: Cell::default(),
            waiting: RefCell::default(),
        })
    }

    /// Activates an operator whenever there are news.
    pub(super) fn wake(&self, operator: Activator) {
        self.waiting.borrow_mut().push(operator);
    }

    /// Whether everybody knows that nothing more is to be done.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// How many epochs there are at most, as far as it is known.
    pub(super) fn epochs(&self) -> u32 {
        match &*self.agreed.borrow() {
            Agreed { epochs, complete: true, .. } => *epochs,
            _ => u32::MAX,
        }
    }

    /// Looks whether `epoch` can be read.
    pub(super) fn ahead(&self, epoch: u32) -> Ahead {
        let agreed = self.agreed.borrow();
        match (self.is_over(), self.grid.failed(), epoch < agreed.epochs) {
            (true, ..) => return Ahead::Nothing,
            (false, true, _) => return Ahead::Unknown,
            (false, false, false) if agreed.complete => return Ahead::Nothing,
            (false, false, false) => return Ahead::Unknown,
            (false, false, true) => (),
        }
        // Worker 0 may belong to another process, which sees more.
        let source = &self.grid.source;
        let seen = source.look().and_then(|extent| {
            self.sight.borrow_mut().compare(&agreed, extent, |epochs| source.content(epochs))
        });
        match seen {
            Ok(true) => Ahead::Epoch,
            Ok(false) => Ahead::Late,
            Err(error) => {
                self.grid.fail(Failure::Whole(error.to_string()));
                Ahead::Unknown
            }
        }
    }

    fn tell_waiting(&self) {
        self.waiting.borrow().iter().for_each(Activator::activate);
    }
}

impl Grid {
    /// What there is to tell of its end.
    fn news(&self) -> Option<News> {
        let (failed, interrupted) = self.found(|found| (found.failed.clone(), found.interrupted));
        match failed {
            Some(failure) => Some(News::Failed(failure)),
            None if interrupted || self.interrupted.load(Ordering::Relaxed) => Some(News::Interrupted),
            None => None,
        }
    }
}

/// Tells all workers what this one knows, and hears what they know, until all is decided, or nothing more is to be done.
pub(super) fn watch<'s>(scope: Scope<'s, Tick>, watch: &Rc<Watch>, decided: StreamVec<'s, Tick, ()>) {
    let news = tell(scope, watch, decided);
    let watch = Rc::clone(watch);
    let mut builder = OperatorBuilder::new("Hear".to_owned(), scope);
    let mut news = builder.new_input(news.broadcast(), Pipeline);
    builder.build(move |_| {
        move |frontiers| {
            let mut heard = false;
            news.for_each(|_, news| {
                heard = true;
                for news in news.drain(..) {
                    match news {
                        News::Extent(agreed) => {
                            watch.grid.found(|found| found.epochs = agreed.epochs);
                            *watch.agreed.borrow_mut() = agreed;
                        }
                        News::Failed(failure) => watch.grid.fail(failure),
                        News::Interrupted => watch.grid.found(|found| found.interrupted = true),
                    }
                }
            });
            let over = frontiers[0].is_empty() && !watch.over.replace(frontiers[0].is_empty());
            if heard || over {
                watch.tell_waiting();
            }
        }
    });
}

/// What this worker knows.
fn tell<'s>(
    scope: Scope<'s, Tick>,
    watch: &Rc<Watch>,
    decided: StreamVec<'s, Tick, ()>,
) -> StreamVec<'s, Tick, News> {
    let (first, watch) = (scope.index() == 0, Rc::clone(watch));
    let mut builder = OperatorBuilder::new("News".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    watch.wake(scope.activator_for(builder.operator_info().address));
    let _decided = builder.new_input_connection(decided, Pipeline, []);
    let (output, news) = builder.new_output_connection::<Vec<News>, _>([]);
    let mut output = OutputBuilder::from(output);
    builder.build(move |mut capabilities| {
        let mut held = capabilities.pop();
        let mut told = Agreed::default();
        move |frontiers| {
            let Some(capability) = &held else { return };
            let grid = &watch.grid;
            if first && !told.complete && !grid.failed() {
                match grid.source.look() {
                    Ok(extent) if !told.is(extent) => {
                        told = Agreed::new(extent, |epochs| grid.source.content(epochs));
                        output.activate().session(capability).give(News::Extent(told.clone()));
                    }
                    Ok(_) => (),
                    Err(error) => grid.fail(Failure::Whole(error.to_string())),
                }
            }
            // What failed last did so before the frontier moved, and nobody leaves who has not told what ends it.
            let last = grid.news();
            let over = last.is_some() || frontiers[0].is_empty();
            output.activate().session(capability).give_iterator(last.into_iter());
            if over {
                held = None;
            } else {
                activator.activate_after(LOOK_AFTER);
            }
        }
    });
    news
}
