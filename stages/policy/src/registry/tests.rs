//! What holds for every policy of every family, and what a program may do with a registry.

use std::collections::BTreeSet;
use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::{ParameterError, Parameters, Parametric, Range, Value};

use super::*;
use crate::example;
use crate::mask::{MaskDelta, MaskRule, MaskUpdate, Targets};

/// Values just outside a range.
fn outside(range: &Range) -> Vec<Value> {
    match range {
        Range::Integer(low, high) => vec![Value::Integer(low - 1), Value::Integer(high + 1)],
        Range::Number(low, high) => vec![Value::Number(low - 1.0), Value::Number(high + 1.0)],
        Range::Below(low, high) => vec![Value::Number(low - 1.0), Value::Number(*high)],
        Range::Choice(_) | Range::Joined { .. } => {
            vec![Value::Text("no such name".into()), Value::Integer(0)]
        }
        Range::Text => vec![Value::Integer(0)],
    }
}

/// What holds for every policy of a family.
fn check_family<P: ?Sized, C>(family: &Family<P, C>, context: &C, name_of: fn(&P) -> &'static str) {
    let choice = family.choice();
    assert_eq!(choice.key, format!("{}.policy", family.name));
    assert_eq!(choice.check(choice.default.clone()).as_ref(), Ok(&choice.default));
    let names: BTreeSet<&str> = family.entries.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), family.entries.len(), "names of {} are unique", family.name);
    for entry in &family.entries {
        let known = (entry.parameters)();
        assert!(!entry.summary.is_empty() && !entry.summary.ends_with('.'), "{}", entry.name);
        let keys: BTreeSet<&str> = known.iter().map(|parameter| parameter.key).collect();
        assert_eq!(keys.len(), known.len(), "keys of {} are unique", entry.name);
        let defaults = Parameters::defaults(&known);
        for parameters in [&defaults, &Parameters::default()] {
            let built = family.build(entry.name, parameters, context);
            let built = built.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
            assert_eq!(name_of(&built), entry.name);
        }
        for parameter in &known {
            assert!(parameter.key.starts_with(&format!("{}.", family.name)), "{}", parameter.key);
            assert!(!parameter.help.is_empty(), "{}", parameter.key);
            assert_eq!(parameter.check(parameter.default.clone()).as_ref(), Ok(&parameter.default));
            let mut wrong = outside(&parameter.range);
            wrong.push(Value::Number(f64::NAN));
            for value in wrong {
                let error = defaults.clone().with(&known, parameter.key, value.clone()).unwrap_err();
                let text = error.to_string();
                assert!(text.contains(parameter.key) && text.contains(&value.to_string()), "{text}");
            }
        }
    }
    let Err(unknown) = family.build("nonesuch", &Parameters::default(), context) else {
        panic!("there is no policy `nonesuch`");
    };
    assert!(
        unknown.to_string().starts_with(&format!("`{}.policy` = \"nonesuch\"", family.name)),
        "{unknown}"
    );
}

#[test]
fn every_policy_is_documented_builds_from_its_defaults_and_refuses_what_is_out_of_range() {
    let Registry { mask, freeze, sieve } = Registry::default();
    let architecture = example::residual(&[16, 32], 2, 28);
    let (seed, epochs, samples) = (1, 12, 1000);
    let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
    check_family(&mask, &context, |policy| policy.name());
    let context = FreezeContext::new(epochs, architecture);
    check_family(&freeze, &context, |policy| policy.name());
    check_family(&sieve, &SieveContext { seed, epochs, samples }, |policy| policy.name());
}

#[test]
fn a_misspelt_policy_is_answered_with_the_nearest() {
    let context = SieveContext { seed: 1, epochs: 2, samples: 10 };
    let Err(error) = Registry::default().sieve.build("circuler", &Parameters::default(), &context) else {
        panic!("there is no policy `circuler`");
    };
    assert!(error.to_string().ends_with("did you mean `circular`?"), "{error}");
}

#[test]
fn families_are_listed_with_their_members_and_keys() {
    let families = Registry::default().families();
    let listed = |family: &Listed| (family.name, family.choice.default.to_string(), family.members.len());
    let expected = [("mask", "mest-ems", 18), ("freeze", "progressive", 14), ("sieve", "circular", 8)];
    let expected = expected.map(|(name, default, members)| (name, format!("\"{default}\""), members));
    assert_eq!(families.iter().map(listed).collect::<Vec<_>>(), expected);
    let rigl = families[0].members.iter().find(|member| member.name == "rigl").unwrap();
    assert!(rigl.knows("mask.drop") && !rigl.knows("mask.soft"));
}

spfde_data::parameters! {
    /// A rule of a program of its own, under a name that is taken.
    struct Mine in "mask" {
        /// share of weights that exist
        kept: f64 = 0.25, 0.0..=1.0;
    }
}

impl MaskRule for Mine {
    const NAME: &'static str = "static";
    const SUMMARY: &'static str = "a rule of a program";
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, crate::mask::Distribution::Uniform, 1.0 - self.kept)
    }

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}

#[test]
fn a_program_adds_a_policy_in_place_of_one_of_the_same_name() {
    let mut registry = Registry::default();
    registry.mask.add(mask::entry::<Mine>());
    let context = MaskContext { seed: 1, epochs: 2, architecture: example::perceptron(&[8, 8, 8]) };
    let policy = registry
        .mask
        .build("static", &Parameters::defaults(&Mine { kept: 0.5 }.parameters()), &context)
        .ok()
        .unwrap();
    assert_eq!((registry.mask.entries.len(), policy.target(0)), (18, 32));
    assert!(mask::policy(Mine { kept: 1.5 }, &context).is_err(), "a field out of its range is refused");
    check_family(&registry.mask, &context, |policy| policy.name());
}
