//! Keys as users of other programs would call them.

use spfde_data::{ParameterError, nearest};

/// Keys, and what other programs call them that is not like that.
const ALIASES: [(&str, &[&str]); 15] = [
    ("data.augment", &["augmentation"]),
    ("data.batch_size", &["batch", "bs"]),
    ("data.path", &["data", "dataset"]),
    ("freeze.policy", &["freeze"]),
    ("mask.policy", &["mask"]),
    ("model.name", &["arch", "model", "network"]),
    ("seed", &["random_seed", "random_state"]),
    ("sieve.policy", &["sieve"]),
    ("train.clip", &["clip_norm", "grad_clip", "max_norm"]),
    ("train.epochs", &["max_epochs", "num_epochs"]),
    ("train.learning_rate", &["eta", "lr", "rate"]),
    ("train.optimizer", &["optim", "optimiser"]),
    ("train.schedule", &["lr_schedule", "scheduler"]),
    ("train.warmup", &["warmup_epochs", "warmup_steps"]),
    ("train.weight_decay", &["l2", "wd"]),
];

/// What is no key here, by its names here and in other programs, and what there is in its place.
const ADVICE: [(&[&str], &str); 4] = [
    (&["density"], "mask.sparsity says the share of the weights that do not exist, 1 − density"),
    (&["device"], "training runs on CPUs; train.kernel chooses the instruction set"),
    (&["out", "run_dir", "out_dir", "output", "output_dir"], WHERE),
    (&["workers", "num_workers", "threads"], "the number of threads is an option: --workers N"),
];

const WHERE: &str = "where to write is an option: --run-dir DIR of `train`, --out DIR of `replay`";

/// The table of a key, and its name there.
fn parts(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// The name of a key that another program may have; keys of policies are of this program alone.
fn foreign(key: &str) -> &str {
    let (table, name) = parts(key);
    if ["mask", "freeze", "sieve"].contains(&table) && name != "density" { "" } else { name }
}

/// The known key that `key` probably means, whatever table it is looked for in.
pub(crate) fn near_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    let alias = ALIASES.iter().find(|(_, names)| names.contains(&foreign(key)));
    let name = parts(key).1;
    let same = || known.clone().into_iter().filter(|known| parts(known).1 == name);
    // Tables differ by more than most slips: what is near the whole key is in its table.
    let whole = || nearest(key, known.clone());
    let elsewhere = || nearest(name, same().collect::<Vec<_>>());
    let near = || whole().filter(|near| near.ends_with(name)).or_else(elsewhere).or_else(whole);
    alias.map(|(key, _)| (*key).to_owned()).or_else(near)
}

/// What there is in place of what `key` means in other programs, and all its names.
pub(crate) fn advice(key: &str) -> Option<(&'static [&'static str], &'static str)> {
    ADVICE.into_iter().find(|(names, _)| names.contains(&foreign(key)))
}

/// That none of the `known` keys is called `key`.
pub(super) fn unknown<'a>(key: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> ParameterError {
    match advice(key) {
        Some((_, advice)) => ParameterError::contradiction(key, format!("is no key; {advice}")),
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
        let is_new = |names: &[&str]| !keys.iter().any(|key| names.contains(&parts(key).1));
        for (key, names) in ALIASES {
            assert!(keys.contains(&key) && is_new(names), "{key}");
        }
        for (names, advice) in ADVICE {
            assert!(is_new(names), "{names:?}");
            let named = advice.split([' ', ',', ';']).filter(|word| word.contains('.'));
            named.for_each(|key| assert!(keys.contains(&key), "{key}"));
        }
    }
}
