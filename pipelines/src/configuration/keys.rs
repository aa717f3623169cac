//! The keys: those of every run here, those of models and policies from their registries.

use spfde_data::parameter::Range;
use spfde_data::{Augmentation, Order, Parameter, ParameterError, Parameters, Parametric, Setting, Value};
use spfde_flow::Observe;
use spfde_model::{InputShape, Kernel, Storage};
use spfde_policy::LearningRateSchedule;

use super::frozen;
use crate::{Entry, Registry};

spfde_data::parameters! {
    /// The data of a run.
    pub(crate) struct Data in "data" {
        /// a data set's name (`spfde list data`), or a directory with train.parquet and test.parquet
        pub(crate) path: String = "fashion-mnist".to_owned(), ..;
        /// samples in a mini-batch, at most
        pub(crate) batch_size: u32 = 128, 1..=65536;
        /// share of the training images that is set aside: it trains nothing, and no sieve sees it
        pub(crate) validation: f64 = 0.0, 0.0..1.0;
        /// pixels around an image from which it is cropped
        pub(crate) crop_padding: u32 = 2, 0..=16;
        /// order of an epoch: full: any sample may follow any other; blocks: only within windows of row
        /// groups, for data larger than data.cache_bytes; auto: full below 1 GiB of training pixels
        pub(crate) order: Order = Order::Auto, ..;
    }
}

spfde_data::choice! {
    /// The optimisers by name.
    pub(crate) enum Optimizer {
        /// Momentum SGD.
        Momentum = "momentum",
        /// Momentum SGD that looks ahead.
        Nesterov = "nesterov",
        /// AdamW.
        AdamW = "adamw",
    }
}

/// The optimiser that values choose.
pub(super) fn optimizer(values: &Parameters) -> Optimizer {
    values.get(OPTIMIZER).and_then(Optimizer::from_value).expect("a choice was checked")
}

/// Whether another optimiser is given than settings have, with defaults of its own for other keys.
pub(crate) fn changes_defaults(known: &[Entry], given: &[Entry]) -> bool {
    let of = |entries: &[Entry]| {
        let latest = entries.iter().rfind(|(key, _)| key == OPTIMIZER);
        latest.and_then(|(_, value)| Optimizer::from_value(value)).map(Optimizer::defaults)
    };
    of(given).is_some_and(|defaults| of(known) != Some(defaults))
}

impl Optimizer {
    /// What a run has of these keys unless it says something else, in place of what other optimisers have.
    pub(super) fn defaults(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::AdamW => &[("train.learning_rate", 0.001), ("train.weight_decay", 0.01)],
            Self::Momentum | Self::Nesterov => &[],
        }
    }
}

spfde_data::parameters! {
    /// How a run trains.
    pub(crate) struct Train in "train" {
        /// epochs to train
        pub(crate) epochs: u32 = 16, 1..=10_000;
        /// epochs over which the learning rate rises to what it would be without a warm-up; 0: none
        pub(crate) warmup: f64 = 0.0, 0.0..=10_000.0;
        /// greatest L2 norm of the gradient over all parameters that train; 0: it is not clipped
        pub(crate) clip: f64 = 0.0, 0.0..=1e6;
        /// how parameters follow their gradients; adamw has a learning rate of 0.001 and a weight decay of
        /// 0.01 unless a run sets them
        pub(crate) optimizer: Optimizer = Optimizer::Nesterov, ..;
        /// how the learning rate of a block goes from the start to its freezing, or to the end of the run
        pub(crate) schedule: LearningRateSchedule = LearningRateSchedule::Cosine, ..;
        /// share of a label that all classes share, in gradients; 0: labels are as they are
        pub(crate) label_smoothing: f64 = 0.0, 0.0..1.0;
        /// momentum of the gradient descent; the share of the mean gradient that adamw keeps
        pub(crate) momentum: f64 = 0.9, 0.0..1.0;
        /// decay of convolution and linear weights
        pub(crate) weight_decay: f64 = 5e-4, 0.0..=1.0;
        /// how outputs and gradients of layers are kept: bf16 takes half the memory of f32, and rounds
        pub(crate) storage: Storage = Storage::Bf16, ..;
        /// slices of every mini-batch, each with its own batch-norm statistics; more workers than shards idle
        pub(crate) shards: u32 = 4, 1..=1024;
        /// epochs after which a run ends if the accuracy on the validation set has not risen; 0: it does not
        pub(crate) patience: u32 = 0, 0..=10_000;
        /// epochs between two checkpoints, of which the last two are kept; 0: nothing but the weights at the
        /// end
        pub(crate) checkpoint_every: u32 = 1, 0..=10_000;
    }
}

spfde_data::parameters! {
    /// What is recorded.
    pub(crate) struct Traced in "trace" {
        /// what is recorded besides training: nothing, or scores of all samples and norms of all layers, for
        /// replays
        pub(crate) observe: Observe = Observe::Active, ..;
        /// record the predicted class of every sample of the test set and of the validation set, and of the
        /// training set if all of it is observed
        pub(crate) predictions: bool = false, ..;
    }
}

spfde_data::parameters! {
    /// What only `spfde bench` reads.
    struct Bench in "data" {
        /// shape of a bench's random images: channels x rows x columns, such as 3x32x32
        shape: String = "1x28x28".to_owned(), ..;
    }
}

/// The key of the shape of random images.
pub(super) const SHAPE: &str = "data.shape";

/// The key of how values are kept between layers.
pub(super) const STORAGE: &str = "train.storage";

/// The key of the optimiser.
pub(super) const OPTIMIZER: &str = "train.optimizer";

/// The key of the share of the validation set.
pub(crate) const VALIDATION: &str = "data.validation";

/// The key of the bytes of pixels that are in memory.
const CACHE: &str = "data.cache_bytes";

/// Bytes of pixels that are in memory.
pub(crate) fn cache_bytes(values: &Parameters) -> u64 {
    match values.get(CACHE) {
        Some(Value::Integer(bytes)) => *bytes as u64,
        _ => panic!("a whole number was checked"),
    }
}

/// The key of the order of an epoch.
pub(crate) const ORDER: &str = "data.order";

/// The key of the augmentation, and its value until the data set is known, which has a default of its own.
pub(crate) const AUGMENT: &str = "data.augment";
const BY_DATA_SET: &str = "auto";

/// The keys that only `spfde bench` reads.
pub fn bench() -> Vec<Parameter> {
    Bench::default().parameters()
}

/// The keys that every run has.
pub fn core(registry: &Registry) -> Vec<Parameter> {
    let help = "seed of every draw: same seed, same bits, on any number of workers";
    let mut keys = vec![Parameter::of("seed", 0, 0.., help)];
    keys.extend(Data::default().parameters());
    let range = Range::Joined { alone: vec![BY_DATA_SET, "none"], names: Augmentation::NAMES.to_vec() };
    let help = "how training images are varied; auto: as the data set says (`spfde list data`)";
    let default = Value::Text(BY_DATA_SET.to_owned());
    keys.push(Parameter { key: AUGMENT, formerly: None, default, range, help });
    let help =
        "bytes of pixels in memory: a data set that has more is read from its files while a run trains";
    let (default, range) = (Value::Integer(1 << 30), Range::Integer(1, 1 << 40));
    keys.push(Parameter { key: CACHE, formerly: None, default, range, help });
    keys.extend(Train::default().parameters());
    let help = "instruction set: the fastest this processor has, or one by name; bits differ between them";
    keys.push(Parameter::choice("train.kernel", "auto", Kernel::NAMES.to_vec(), help));
    keys.extend(frozen::parameters());
    keys.extend(Traced::default().parameters());
    keys.extend(registry.families().into_iter().map(|family| family.choice));
    keys
}

/// All keys, those of all members; several may have the same.
pub(crate) fn all(registry: &Registry) -> impl Iterator<Item = Parameter> + use<> {
    let members = registry.families().into_iter().flat_map(|family| family.members);
    core(registry).into_iter().chain(bench()).chain(members.flat_map(|member| member.parameters))
}

/// The greatest extent of images in any direction: larger ones are a slip of the finger.
const MOST: usize = 4096;

/// Reads `CHANNELSxROWSxCOLUMNS`.
///
/// # Errors
/// If it is anything else, or an extent is not from 1 to 4096.
pub(super) fn parse_shape(value: &Value) -> Result<InputShape, ParameterError> {
    let extents: Option<Vec<usize>> = match value {
        Value::Text(text) => text.split('x').map(extent).collect(),
        _ => None,
    };
    match extents.as_deref() {
        Some(&[channels, height, width]) => Ok(InputShape { channels, height, width }),
        _ => Err(ParameterError::Range {
            key: SHAPE.into(),
            value: value.clone(),
            range: format!("CHANNELSxROWSxCOLUMNS such as 3x32x32, each from 1 to {MOST}"),
        }),
    }
}

/// An extent; signs and blanks, which `parse` would take, are not part of one.
fn extent(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|extent| digits && (1..=MOST).contains(extent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_three_extents_and_nothing_else() {
        let text = |text: &str| parse_shape(&Value::Text(text.into()));
        assert_eq!(text("3x32x24"), Ok(InputShape { channels: 3, height: 32, width: 24 }));
        assert_eq!(text("1x1x4096"), Ok(InputShape { channels: 1, height: 1, width: 4096 }));
        let bad = ["", "x", "3x32", "3x32x32x1", "3X32X32", "0x32x32", "3x32x4097", "3x32x-1", "3x32x+1"];
        for bad in bad.into_iter().chain(["3x32x 1", "3x32xmany", "3x32x99999999999999999999"]) {
            let error = text(bad).unwrap_err().to_string();
            let start = format!("`data.shape` = \"{bad}\" is out of range: CHANNELSxROWSxCOLUMNS such as");
            assert!(error.starts_with(&start), "{error}");
        }
        assert!(
            parse_shape(&Value::Integer(784))
                .unwrap_err()
                .to_string()
                .starts_with("`data.shape` = 784 is out")
        );
    }
}
