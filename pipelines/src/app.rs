//! The front door: a program of one's own from one `main`.

use std::sync::Arc;

use spfde_data::DataSet;
use spfde_flow::{Run, Seams, Trained};
use spfde_model::models::ModelEntry;
use spfde_model::{Logits, NetworkBuilder};
use spfde_policy::{FreezeRule, MaskRule, SieveRule, freeze, mask, sieve};

use crate::pipeline::pipeline;
use crate::registry::DataEntry;
use crate::{Error, Registry};

/// A stage that a program adds to the graph.
type Stage = dyn for<'a, 's> Fn(&'a Run<'s>, &'a Trained<'s>) + Send + Sync;
/// How a program wires its graph.
type Wiring = dyn for<'a, 's> Fn(&'a Run<'s>) -> Trained<'s> + Send + Sync;

/// A program: what it registers beside what comes with `spfde`, and the stages that it adds to the graph.
///
/// Its [`main`](App::main) has every command of `spfde`: train, resume, replay, grids, verify, bench, list.
/// What is registered gets keys, help, a place in `list`, did-you-mean, grids, resume and replay like all
/// else.
///
/// ```no_run
/// use spfde::prelude::*;
///
/// fn main() -> std::process::ExitCode {
///     spfde::app()
///         .model("small", |net| {
///             let x = net.convolution(32, 3).batch_norm().relu();
///             let x = net.block().convolution(64, 3).stride(2).batch_norm().relu().after(x);
///             net.classifier(net.average_pool(x))
///         })
///         .stage(|run, trained| run.table(by_step(run, &trained.scores)))
///         .main()
/// }
///
/// row! {
///     /// How many samples were right in one epoch.
///     pub struct RightRow in "right" by (epoch) {
///         /// Epoch.
///         pub epoch: u32,
///         /// How many.
///         pub samples: u32,
///     }
/// }
///
/// fn by_step<'s>(run: &Run<'s>, scores: &StreamVec<'s, Tick, ScoreRow>) -> StreamVec<'s, Tick, RightRow> {
///     per_epoch(run, "right", scores, |_| 0, |epoch, scores| {
///         let samples = scores.iter().filter(|score| score.correct).count() as u32;
///         (samples > 0).then_some(RightRow { epoch, samples }).into_iter().collect()
///     })
/// }
/// ```
#[must_use = "an app does nothing until its `main` is called"]
#[derive(Clone)]
pub struct App {
    pub(crate) registry: Arc<Registry>,
    wiring: Arc<Wiring>,
    stages: Vec<Arc<Stage>>,
}

/// A program with what comes with `spfde`, to which more can be added.
pub fn app() -> App {
    App { registry: Registry::standard(), wiring: Arc::new(pipeline), stages: Vec::new() }
}

impl App {
    /// Registers a data set, which `data.path` chooses by its name.
    pub fn data<E: std::error::Error + Send + Sync + 'static>(
        mut self,
        name: impl Into<String>,
        open: impl Fn() -> Result<DataSet, E> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let failed = name.clone();
        let load = move || open().map_err(|error| Error::failed(format!("{failed}: {error}")));
        let (summary, licence) = ("a data set of this program".to_owned(), String::new());
        let known = &mut self.registry().data;
        known.retain(|entry| entry.name != name);
        known.push(DataEntry { name, summary, licence, load: Arc::new(load) });
        self
    }

    /// Registers a network of the known operations, which `model.name` chooses by its name. It trains with
    /// [`LEARNING_RATE`](spfde_model::models::LEARNING_RATE) unless a configuration says otherwise; with
    /// [`App::model_entry`] a program states another.
    pub fn model(
        self,
        name: &'static str,
        define: impl Fn(&NetworkBuilder) -> Logits + Send + Sync + 'static,
    ) -> Self {
        let define = move |_: &_, network: &NetworkBuilder| define(network);
        self.model_entry(ModelEntry::new(name, "a network of this program", Vec::new, define))
    }

    /// Registers a network with parameters or a learning rate of its own:
    /// `ModelEntry::new(…).with_learning_rate(0.1)`.
    pub fn model_entry(mut self, entry: ModelEntry) -> Self {
        let known = &mut self.registry().models;
        known.retain(|known| known.name != entry.name);
        known.push(entry);
        self
    }

    /// Registers a rule that says which weights exist.
    pub fn mask<R: MaskRule>(mut self) -> Self {
        self.registry().policies.mask.add(mask::entry::<R>());
        self
    }

    /// Registers a rule that says when blocks freeze.
    pub fn freeze<R: FreezeRule>(mut self) -> Self {
        self.registry().policies.freeze.add(freeze::entry::<R>());
        self
    }

    /// Registers a rule that says which samples are trained on.
    pub fn sieve<R: SieveRule>(mut self) -> Self {
        self.registry().policies.sieve.add(sieve::entry::<R>());
        self
    }

    /// Plugs into a training step. `plug` gets what the configuration says: the optimiser of
    /// `train.optimizer`, the schedule of `train.schedule` behind a warm-up, and
    /// [`Clip`](spfde_flow::Clip) if `train.clip` is not 0. It returns what a step has: another optimiser,
    /// loss, precision or perturbation, a learning-rate rule or gradient transform, which may wrap what it
    /// got. No key says so: the program that began a run has to resume it.
    pub fn seams(mut self, plug: impl Fn(Seams) -> Seams + Send + Sync + 'static) -> Self {
        self.registry().seams = Arc::new(plug);
        self
    }

    /// Adds a stage to the graph: `stage` gets what training, or a replay, produces. A replay has no images
    /// and no labels: a stage that reads them asks [`Run::replays`] first.
    pub fn stage(mut self, stage: impl for<'s> Fn(&Run<'s>, &Trained<'s>) + Send + Sync + 'static) -> Self {
        self.stages.push(Arc::new(stage));
        self
    }

    /// Wires the graph by hand, in place of the ready [`pipeline`].
    pub fn pipeline(
        mut self,
        wiring: impl for<'a, 's> Fn(&'a Run<'s>) -> Trained<'s> + Send + Sync + 'static,
    ) -> Self {
        self.wiring = Arc::new(wiring);
        self
    }

    fn registry(&mut self) -> &mut Registry {
        Arc::make_mut(&mut self.registry)
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
