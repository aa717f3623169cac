//! What a run had when an earlier version recorded it, as far as its configuration does not say so itself.

use spfde_data::{Order, Setting, Value};
use spfde_model::Storage;

use super::frozen::PROBE;
use super::keys::{OPTIMIZER, ORDER, Optimizer, STORAGE};
use crate::Entry;

const POLICY: &str = "freeze.policy";

/// A key that every configuration has since `progressive` is the paper's rule.
const SINCE_PROGRESSIVE: &str = "freeze.start";

/// A key that says whether `grades` has blocks wait for those in front, which they did before there was it.
const ANYWHERE: &str = "freeze.anywhere";

/// What held for all runs before there were these keys.
fn always() -> [(&'static str, Value); 4] {
    [
        (ORDER, Order::Full.to_value()),
        (OPTIMIZER, Optimizer::Momentum.to_value()),
        (STORAGE, Storage::F32.to_value()),
        (PROBE, Value::Integer(0)),
    ]
}

/// What held for `gradient-norm` before there were these keys.
fn gradient_norm() -> [(&'static str, Value); 5] {
    [
        ("freeze.scale", Value::Text("weights".to_owned())),
        ("freeze.cap", Value::Integer(1)),
        ("freeze.floor", Value::Number(0.0)),
        ("freeze.thaw_rate", Value::Number(0.0)),
        ("freeze.thaw_rise", Value::Number(0.0)),
    ]
}

/// Says of a recorded configuration what held then, and what its freeze policy was: `progressive` took the
/// fewest blocks, `gradient-norm` had fewer guards, `grades` froze front to back.
pub(super) fn complete(entries: &mut Vec<Entry>) {
    let latest = |key: &str| entries.iter().rposition(|(own, _)| own == key);
    let lacks = |(key, _): &(&'static str, Value)| latest(key).is_none();
    let policy = latest(POLICY).map_or("progressive", |at| match &entries[at].1 {
        Value::Text(name) => name,
        _ => "",
    });
    let added = match policy {
        "progressive" if latest(SINCE_PROGRESSIVE).is_none() => {
            vec![(POLICY, Value::Text("progressive-fewest".to_owned()))]
        }
        "gradient-norm" => gradient_norm().into_iter().filter(lacks).collect(),
        "grades" if latest(ANYWHERE).is_none() => vec![(ANYWHERE, Value::Text("false".to_owned()))],
        _ => Vec::new(),
    };
    let added: Vec<_> = always().into_iter().filter(lacks).chain(added).collect();
    entries.extend(added.into_iter().map(|(key, value)| (key.to_owned(), value)));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Source;

    /// The freeze keys of a recorded configuration, the latest of each, as they are understood.
    fn read(text: &str) -> Vec<String> {
        let source = Source::of_run(Path::new("run"), text).unwrap();
        let is_of_policy = |key: &str| key.starts_with("freeze.") && key != super::super::frozen::PROBE;
        let of_freeze = source.entries().iter().filter(|(key, _)| is_of_policy(key));
        let latest: std::collections::BTreeMap<_, _> = of_freeze.cloned().collect();
        latest.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn progressive_without_the_key_of_today_took_the_fewest_blocks() {
        let fewest = "freeze.policy=\"progressive-fewest\"";
        assert_eq!(read("[freeze]\npolicy = \"progressive\"\ninterval = 2"), ["freeze.interval=2", fewest]);
        assert_eq!(read("seed = 1"), [fewest]);
        let today = read("[freeze]\npolicy = \"progressive\"\nstart = 0");
        assert_eq!(today, ["freeze.policy=\"progressive\"", "freeze.start=0"]);
        assert_eq!(read("[freeze]\npolicy = \"none\""), ["freeze.policy=\"none\""]);
    }

    #[test]
    fn without_a_choice_the_optimiser_was_momentum_sgd() {
        let read = |text: &str| {
            let source = Source::of_run(Path::new("run"), text).unwrap();
            let of_key = source.entries().iter().filter(|(key, _)| key == "train.optimizer");
            of_key.map(|(_, value)| value.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(read("[train]\nmomentum = 0.5"), ["\"momentum\""]);
        assert_eq!(read("[train]\noptimizer = \"nesterov\""), ["\"nesterov\""]);
    }

    #[test]
    fn gradient_norm_without_its_guards_had_none() {
        let earlier = read("[freeze]\npolicy = \"gradient-norm\"\npatience = 3\ncap = 4");
        let expected = [
            "freeze.cap=4",
            "freeze.floor=0",
            "freeze.patience=3",
            "freeze.policy=\"gradient-norm\"",
            "freeze.scale=\"weights\"",
            "freeze.thaw_rate=0",
            "freeze.thaw_rise=0",
        ];
        assert_eq!(earlier, expected);
    }

    #[test]
    fn grades_without_its_key_froze_front_to_back() {
        let policy = "freeze.policy=\"grades\"";
        assert_eq!(read("[freeze]\npolicy = \"grades\""), ["freeze.anywhere=\"false\"", policy]);
        let today = read("[freeze]\npolicy = \"grades\"\nanywhere = \"true\"");
        assert_eq!(today, ["freeze.anywhere=\"true\"", policy]);
    }
}
