//! What a program is made of.

use std::sync::Arc;

use spfde_flow::{Run, Trained};

use crate::registry::Registry;

/// A stage that a program adds to the graph.
pub(crate) type Stage = dyn for<'a, 's> Fn(&'a Run<'s>, &'a Trained<'s>) + Send + Sync;
/// How a program wires its graph.
pub(crate) type Wiring = dyn for<'a, 's> Fn(&'a Run<'s>) -> Trained<'s> + Send + Sync;

/// What every command is given: what there is to choose from, and how the graph is wired.
#[derive(Clone)]
pub struct Program {
    pub(crate) registry: Arc<Registry>,
    wiring: Arc<Wiring>,
    stages: Vec<Arc<Stage>>,
}

impl Program {
    pub(crate) fn new(registry: Arc<Registry>, wiring: Arc<Wiring>, stages: Vec<Arc<Stage>>) -> Self {
        Self { registry, wiring, stages }
    }

    /// Wires the graph of one worker: the pipeline, then the stages that the program adds.
    pub(crate) fn build(&self) -> impl Fn(&Run<'_>) + Clone + Send + Sync + 'static {
        let (wiring, stages) = (Arc::clone(&self.wiring), self.stages.clone());
        move |run: &Run<'_>| {
            let trained = wiring(run);
            stages.iter().for_each(|stage| stage(run, &trained));
        }
    }
}
