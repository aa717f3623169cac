//! The keys: those of every run here, those of models and policies from their registries.

use spfde_data::augment::Augment;
use spfde_data::parameter::Parameter;
use spfde_model::models;
use spfde_policy::{freeze, mask, sieve};

/// A family of things that a run chooses one of by name.
pub struct Family {
    /// What the command line calls it.
    pub name: &'static str,
    /// The key that chooses.
    pub key: &'static str,
    /// What there is to choose from.
    pub members: Vec<Member>,
}

/// One thing to choose.
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub summary: &'static str,
    /// Its own keys.
    pub parameters: Vec<Parameter>,
}

impl Member {
    /// Whether it has a key of this name.
    pub fn knows(&self, key: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.key == key)
    }
}

/// All families, from the registries.
pub fn families() -> Vec<Family> {
    macro_rules! members {
        ($registry:expr) => {
            $registry
                .iter()
                .map(|entry| Member {
                    name: entry.name,
                    summary: entry.summary,
                    parameters: (entry.parameters)(),
                })
                .collect()
        };
    }
    vec![
        Family { name: "model", key: "model.name", members: members!(models::registry()) },
        Family { name: "mask", key: "mask.policy", members: members!(mask::registry()) },
        Family { name: "freeze", key: "freeze.policy", members: members!(freeze::registry()) },
        Family { name: "sieve", key: "sieve.policy", members: members!(sieve::registry()) },
    ]
}

const U32: i64 = u32::MAX as i64;

/// The keys that every run has.
pub fn core() -> Vec<Parameter> {
    let names = |family: &str| -> Vec<&'static str> {
        let family =
            families().into_iter().find(|known| known.name == family).expect("a family of this name");
        family.members.iter().map(|member| member.name).collect()
    };
    vec![
        Parameter::integer(
            "seed",
            0,
            0,
            U32,
            "Seed of every draw: same seed, same bits, on any number of workers.",
        ),
        Parameter::text(
            "data.path",
            "fashion-mnist",
            "A data set's name (`spfde list data`) or a directory made by `spfde import`.",
        ),
        Parameter::integer("data.batch_size", 128, 1, 65536, "Samples in a mini-batch, at most."),
        Parameter::choice(
            "data.augment",
            "crop-flip",
            Augment::NAMES.to_vec(),
            "How training images are varied.",
        ),
        Parameter::integer("data.crop_padding", 2, 0, 16, "Pixels around an image from which it is cropped."),
        Parameter::choice("model.name", "resnet20", names("model"), "The network."),
        Parameter::integer("train.epochs", 6, 1, 100_000, "Epochs."),
        Parameter::number(
            "train.learning_rate",
            0.1,
            0.0,
            1000.0,
            "Learning rate at the first step; falls to 0 along a cosine, for a block that freezes at its freezing.",
        ),
        Parameter::below("train.momentum", 0.9, 0.0, 1.0, "Momentum of the gradient descent."),
        Parameter::number("train.weight_decay", 1e-4, 0.0, 1.0, "Decay of convolution and linear weights."),
        Parameter::integer(
            "train.shards",
            4,
            1,
            1024,
            "Slices of every mini-batch, each with its own batch-norm statistics; more than workers are never used.",
        ),
        Parameter::choice(
            "train.kernel",
            "auto",
            vec!["auto", "avx2", "portable"],
            "Instruction set: the fastest this processor has, or one by name (bits differ between them).",
        ),
        Parameter::choice("mask.policy", "mest-ems", names("mask"), "Which weights exist."),
        Parameter::choice("freeze.policy", "progressive", names("freeze"), "Which blocks freeze, and when."),
        Parameter::choice("sieve.policy", "circular", names("sieve"), "Which samples are trained."),
    ]
}
