//! The keys: those of every run here, those of models and policies from their registries.

use std::collections::BTreeSet;

use spfde_data::augment::Augment;
use spfde_data::parameter::Parameter;
use spfde_flow::Observe;
use spfde_model::Kernel;

use crate::registry::Registry;

/// All keys, those of all members; several may have the same.
fn all(registry: &Registry) -> impl Iterator<Item = Parameter> {
    let members = registry.families().into_iter().flat_map(|family| family.members);
    core(registry).into_iter().chain(bench()).chain(members.flat_map(|member| member.parameters))
}

/// What `key` takes, if there is such a key: its bounds, too, if it has the same with all members.
pub(super) fn expected(registry: &Registry, key: &str) -> Option<String> {
    let mut ranges = all(registry).filter(|parameter| parameter.key == key).map(|parameter| parameter.range);
    let first = ranges.next()?;
    Some(if ranges.all(|range| range == first) { first.expected() } else { first.kind() })
}

/// The first parts of all keys that have two.
pub(super) fn tables(registry: &Registry) -> BTreeSet<&'static str> {
    all(registry).filter_map(|parameter| Some(parameter.key.split_once('.')?.0)).collect()
}

/// The keys that only `spfde bench` reads.
pub fn bench() -> Vec<Parameter> {
    vec![Parameter::text(
        SHAPE,
        "1x28x28",
        "shape of a bench's random images: channels x rows x columns, such as 3x32x32",
    )]
}

/// The key of the shape of random images.
pub(crate) const SHAPE: &str = "data.shape";

/// The keys that every run has.
pub fn core(registry: &Registry) -> Vec<Parameter> {
    let mut choices = registry.families().into_iter().map(|family| family.choice);
    let model = choices.next().expect("models are the first family");
    let mut keys = vec![
        Parameter::of("seed", 0, 0.., "seed of every draw: same seed, same bits, on any number of workers"),
        Parameter::text(
            "data.path",
            "fashion-mnist",
            "a data set's name (`spfde list data`) or a directory made by `spfde import`",
        ),
        Parameter::of("data.batch_size", 128, 1..=65536, "samples in a mini-batch, at most"),
        Parameter::choice(
            "data.augment",
            "crop-flip",
            Augment::NAMES.to_vec(),
            "how training images are varied",
        ),
        Parameter::of("data.crop_padding", 2, 0..=16, "pixels around an image from which it is cropped"),
        model,
        Parameter::of("train.epochs", 16, 1..=10_000, "epochs to train"),
        Parameter::of(
            "train.learning_rate",
            0.3,
            0.0..=1000.0,
            "learning rate at the first step; falls along a cosine to 0 at the end, or when a block freezes",
        ),
        Parameter::of("train.momentum", 0.9, 0.0..1.0, "momentum of the gradient descent"),
        Parameter::of("train.weight_decay", 1e-4, 0.0..=1.0, "decay of convolution and linear weights"),
        Parameter::of(
            "train.shards",
            4,
            1..=1024,
            "slices of every mini-batch, each with its own batch-norm statistics; more workers than shards \
             idle",
        ),
        Parameter::choice(
            "train.kernel",
            "auto",
            Kernel::NAMES.to_vec(),
            "instruction set: the fastest this processor has, or one by name; bits differ between them",
        ),
        Parameter::choice(
            "trace.observe",
            "active",
            Observe::NAMES.to_vec(),
            "what is recorded besides training: nothing, or scores of all samples and norms of all layers, \
             for replays",
        ),
        Parameter::of(
            "train.checkpoint_every",
            1,
            0..=10_000,
            "epochs between two checkpoints, of which the last two are kept; 0: nothing but the weights at \
             the end",
        ),
    ];
    keys.extend(choices);
    keys
}
