//! When masks change: intervals of epochs and of steps, the end of the updates, published constants.

use std::num::NonZeroU32;

use spfde_data::parameter::Value;

use super::{perceptron, policy};
use crate::mask::{MaskPolicy, Needs, Rigl};
use crate::{Registry, Spans};

/// The epochs at whose start a layer is updated, and those with updates after steps.
fn updates(policy: &dyn MaskPolicy, epochs: u32, frozen: &Spans) -> [Vec<u32>; 2] {
    let at = (0..epochs + 3).filter(|epoch| policy.needs(0, *epoch, frozen) > Needs::Nothing);
    let within = (0..epochs + 3).filter(|epoch| policy.needs_within(0, *epoch, frozen) > Needs::Nothing);
    [at.collect(), within.collect()]
}

#[test]
fn updates_after_steps_take_the_place_of_those_at_epochs() {
    let of = |until: f64, frozen: &Spans| {
        let changes = [
            ("mask.interval", Value::Integer(3)),
            ("mask.interval_steps", Value::Integer(100)),
            ("mask.until", Value::Number(until)),
        ];
        let policy = policy("set", &perceptron(8), &changes);
        assert_eq!(policy.steps(), NonZeroU32::new(100));
        updates(&*policy, 8, frozen)
    };
    assert_eq!(of(0.5, &Spans::never()), [vec![], vec![0, 1, 2, 3]]);
    assert_eq!(of(1.0, &Spans::never()), [vec![], (0..8).collect()]);
    // At the freeze itself the layer is looked at, and then left alone.
    assert_eq!(of(1.0, &Spans::from(2)), [vec![2], vec![0, 1]]);
    let mut frozen = Spans::from(2);
    frozen.thaw(5);
    assert_eq!(of(1.0, &frozen), [vec![2], vec![0, 1, 5, 6, 7]]);
}

#[test]
fn every_rule_that_changes_masks_has_the_same_keys() {
    // MEST has a schedule of its own; the cubic curves end with an update, at 0.75 of 16 epochs.
    let expected = |name: &str| -> Vec<u32> {
        match name {
            "mest-em" | "mest-ems" => vec![2, 4, 6, 8, 10, 12, 14],
            "set" | "rigl" | "snfs" | "gse" | "dsr" | "top-kast" => vec![2, 4, 6, 8, 10],
            "deep-r" => (1..12).collect(),
            "gmp" | "granet" => (1..13).collect(),
            "magnitude" => vec![8],
            "lottery" => vec![2, 4, 6, 8, 10],
            _ => Vec::new(),
        }
    };
    for entry in Registry::default().mask.entries {
        let keys: Vec<&str> = (entry.parameters)().iter().map(|parameter| parameter.key).collect();
        let rule = policy(entry.name, &perceptron(16), &[]);
        assert_eq!(updates(&*rule, 16, &Spans::never()), [expected(entry.name), vec![]], "{}", entry.name);
        let changes = expected(entry.name).len() > 1 && entry.name != "lottery";
        for key in ["mask.interval", "mask.interval_steps"] {
            assert_eq!(keys.contains(&key), changes, "{} {key}", entry.name);
        }
        assert_eq!(
            keys.contains(&"mask.until"),
            changes && !entry.name.starts_with("mest"),
            "{}",
            entry.name
        );
        if keys.contains(&"mask.until") {
            let never = policy(entry.name, &perceptron(16), &[("mask.until", Value::Number(0.0))]);
            assert_eq!(updates(&*never, 16, &Spans::never()), [Vec::<u32>::new(), vec![]], "{}", entry.name);
        }
    }
}

#[test]
fn rigl_has_its_published_constants() {
    // α = 0.3 and T_end = 75 % of the run; the share falls as α / 2 · (1 + cos(π t / T_end)).
    let rigl = Rigl::default();
    assert_eq!((rigl.drop, rigl.until), (0.3, 0.75));
    let share = |progress: f64| crate::mask::schedule::cosine(rigl.drop, progress);
    let near = |left: f64, right: f64| (left - right).abs() < 1e-12;
    assert!(near(share(0.0), 0.3) && near(share(1.0 / 3.0), 0.225));
    assert!(near(share(0.5), 0.15) && near(share(2.0 / 3.0), 0.075) && near(share(1.0), 0.0));
}
