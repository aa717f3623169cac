//! Keys as users of other programs would call them.

use spfde_data::parameter::{ParameterError, nearest};

/// Names of other programs that are not like the keys here.
const ALIASES: [(&str, &str); 10] = [
    ("arch", "model.name"),
    ("bs", "data.batch_size"),
    ("data", "data.path"),
    ("dataset", "data.path"),
    ("depth", "model.name"),
    ("lr", "train.learning_rate"),
    ("model", "model.name"),
    ("network", "model.name"),
    ("random_seed", "seed"),
    ("wd", "train.weight_decay"),
];

/// What is no key here, and what there is in its place.
const ADVICE: [(&str, &str); 7] = [
    ("density", "mask.sparsity says the share of the weights that do not exist, 1 − density"),
    ("device", "training runs on CPUs; train.kernel chooses the instruction set"),
    ("num_workers", "the number of threads is an option: --workers N"),
    ("optim", OPTIMIZER),
    ("optimizer", OPTIMIZER),
    ("run_dir", "the run directory is an option: --run-dir DIR"),
    ("workers", "the number of threads is an option: --workers N"),
];

const OPTIMIZER: &str =
    "there is one optimizer, SGD with momentum: train.learning_rate, train.momentum, train.weight_decay";

/// The known key that `key` probably means.
pub(crate) fn near_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    let alias = ALIASES.iter().find(|(name, _)| *name == key);
    alias.map(|(_, key)| (*key).to_owned()).or_else(|| nearest(key, known))
}

/// What there is in place of what `key` means in other programs.
pub(crate) fn advice(key: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(name, _)| *name == key).map(|(_, advice)| *advice)
}

/// That none of the `known` keys is called `key`.
pub(super) fn unknown<'a>(key: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> ParameterError {
    match advice(key) {
        Some(advice) => ParameterError::contradiction(key, format!("is no key; {advice}")),
        None => ParameterError::Unknown { key: key.to_owned(), near: near_key(key, known) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::keys;
    use crate::registry::Registry;

    #[test]
    fn names_of_other_programs_lead_to_keys_that_there_are() {
        let keys: Vec<&str> = keys::all(&Registry::standard()).map(|parameter| parameter.key).collect();
        for (name, key) in ALIASES {
            assert!(keys.contains(&key) && !keys.contains(&name), "{name}");
        }
        for (name, advice) in ADVICE {
            assert!(!keys.contains(&name), "{name}");
            let named = advice.split([' ', ',', ';']).filter(|word| word.contains('.'));
            named.for_each(|key| assert!(keys.contains(&key), "{key}"));
        }
    }
}
