//! The models by name.

use std::sync::Arc;

use spfde_data::parameter::{Parameter, ParameterError, Parameters};

use crate::description::{Description, InputShape, Logits, NetworkBuilder};

mod lenet5;
mod mlp;
mod mobilenet;
mod resnet;
mod vgg;
mod vit;

/// The learning rate of a model that states none: networks with batch norm train with it, and others do.
pub const LEARNING_RATE: f64 = 0.05;

/// Rows and columns of the largest images that a network takes for small ones, where its form depends on
/// that.
const LARGEST_SMALL: usize = 64;

/// A model that can be built by name.
#[derive(Clone)]
pub struct ModelEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub summary: &'static str,
    /// The parameters that it reads.
    pub parameters: fn() -> Vec<Parameter>,
    /// The learning rate with which it trains, dense or sparse, unless a configuration says otherwise.
    pub learning_rate: f64,
    /// Builds it for inputs of a shape and a number of classes.
    ///
    /// # Errors
    /// If the inputs do not fit it.
    pub build: Arc<Build>,
}

/// What builds a model.
pub type Build = dyn Fn(&Parameters, InputShape, usize) -> Result<Description, ParameterError> + Send + Sync;

impl ModelEntry {
    /// The model that `define` puts together, whatever the inputs and classes. It reads `parameters`, and
    /// trains with [`LEARNING_RATE`] unless [`with_learning_rate`](Self::with_learning_rate) states another.
    pub fn new(
        name: &'static str,
        summary: &'static str,
        parameters: fn() -> Vec<Parameter>,
        define: impl Fn(&Parameters, &NetworkBuilder) -> Logits + Send + Sync + 'static,
    ) -> Self {
        let build = move |parameters: &Parameters, input: InputShape, classes: usize| {
            Description::build(input, classes, |network| define(parameters, network)).map_err(|error| {
                let reason = format!("`{name}` cannot be built for images of {input}: {error}");
                ParameterError::contradiction("model.name", reason)
            })
        };
        Self { name, summary, parameters, learning_rate: LEARNING_RATE, build: Arc::new(build) }
    }

    /// The same model with another learning rate, from 0 to 1000, for configurations that state none.
    #[must_use]
    pub fn with_learning_rate(self, learning_rate: f64) -> Self {
        Self { learning_rate, ..self }
    }

    /// All keys of the model: its parameters, `model.weights`, which every model has, then
    /// `train.learning_rate`, whose default is the model's.
    pub fn keys(&self) -> Vec<Parameter> {
        let help = "learning rate at the start; falls by train.schedule to the end, or until a block freezes";
        let rate = Parameter::of("train.learning_rate", self.learning_rate, 0.0..=1000.0, help);
        let help = "a safetensors file, of this program or of PyTorch, whose weights a run begins with, or a \
                    finished run, whose masks and momenta it takes over, too; empty: they are drawn";
        let weights = Parameter::of("model.weights", String::new(), .., help);
        [(self.parameters)(), vec![weights, rate]].concat()
    }
}

impl std::fmt::Debug for ModelEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The models that are built in. A program that has more appends them.
pub fn registry() -> Vec<ModelEntry> {
    vec![
        mlp::entry(),
        lenet5::entry(),
        resnet::small("resnet20", "residual network of 9 blocks in stages of 16, 32, 64 channels", 3, 0.3),
        resnet::small("resnet32", "residual network of 15 blocks in stages of 16, 32, 64 channels", 5, 0.1),
        resnet::small("resnet56", "residual network of 27 blocks in stages of 16, 32, 64 channels", 9, 0.05),
        resnet::large("resnet18", "residual network of 8 blocks of 64 to 512 channels", [2; 4], false),
        resnet::large("resnet50", "residual network of 16 bottlenecks of 256 to 2048", [3, 4, 6, 3], true),
        resnet::wide(),
        vgg::entry(
            "vgg16",
            "VGG-16 for small images: 13 convolutions of 64 to 512 channels",
            [2, 2, 3, 3, 3],
        ),
        vgg::entry(
            "vgg19",
            "VGG-19 for small images: 16 convolutions of 64 to 512 channels",
            [2, 2, 4, 4, 4],
        ),
        mobilenet::entry(),
        vit::entry(),
    ]
}

/// The parameter that every model has.
fn width() -> Vec<Parameter> {
    let help = "multiplies the channels or hidden features of every layer";
    vec![Parameter::of("model.width", 1, 1..=16, help)]
}
