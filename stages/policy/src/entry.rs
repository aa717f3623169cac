//! Entries of a registry: one line per policy, from which configuration, command line, docs and tests derive.

use spfde_data::parameter::{Parameter, ParameterError, Parameters, Value};

/// A registered policy: `P` is what it builds, such as `dyn MaskPolicy`; `C` is what it is told of the run.
pub struct Entry<P: ?Sized, C> {
    /// The name by which a configuration chooses it.
    pub name: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// Its keys: all of them and no others.
    pub parameters: fn() -> Vec<Parameter>,
    /// Builds it from checked parameters.
    ///
    /// # Errors
    /// If parameters contradict each other or the run.
    ///
    /// # Panics
    /// If one of its keys is missing.
    pub build: fn(&Parameters, &C) -> Result<Box<P>, ParameterError>,
}

/// The parameter by which a family's policy is chosen.
pub(crate) fn choice<P: ?Sized, C>(
    key: &'static str,
    default: &str,
    registry: &[Entry<P, C>],
    help: &'static str,
) -> Parameter {
    Parameter::choice(key, default, registry.iter().map(|entry| entry.name).collect(), help)
}

/// Builds the policy called `name`.
pub(crate) fn build<P: ?Sized, C>(
    choice: &Parameter,
    registry: &[Entry<P, C>],
    name: &str,
    parameters: &Parameters,
    context: &C,
) -> Result<Box<P>, ParameterError> {
    choice.check(Value::Text(name.to_owned()))?;
    let entry = registry.iter().find(|entry| entry.name == name);
    let entry = entry.expect("the choice has passed its check, so it names an entry");
    (entry.build)(parameters, context)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use spfde_data::parameter::Range;

    use super::*;
    use crate::{FreezeContext, MaskContext, SieveContext, example, freeze, mask, sieve};

    /// Values just outside a range.
    fn outside(range: &Range) -> Vec<Value> {
        match range {
            Range::Integer(low, high) => vec![Value::Integer(low - 1), Value::Integer(high + 1)],
            Range::Number(low, high) => vec![Value::Number(low - 1.0), Value::Number(high + 1.0)],
            Range::Below(low, high) => vec![Value::Number(low - 1.0), Value::Number(*high)],
            Range::Choice(_) => vec![Value::Text("no such name".into()), Value::Integer(0)],
            Range::Text => vec![Value::Integer(0)],
        }
    }

    /// What holds for every policy of a family.
    fn check_family<P: ?Sized, C>(
        family: &str,
        choice: &Parameter,
        registry: &[Entry<P, C>],
        context: &C,
        name_of: fn(&P) -> &'static str,
    ) {
        assert_eq!(choice.check(choice.default.clone()).as_ref(), Ok(&choice.default));
        let names: BTreeSet<&str> = registry.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), registry.len(), "names of {family} are unique");
        for entry in registry {
            let known = (entry.parameters)();
            assert!(!entry.summary.is_empty() && !entry.summary.ends_with('.'), "{}", entry.name);
            let keys: BTreeSet<&str> = known.iter().map(|parameter| parameter.key).collect();
            assert_eq!(keys.len(), known.len(), "keys of {} are unique", entry.name);
            let defaults = Parameters::defaults(&known);
            let built = build(choice, registry, entry.name, &defaults, context);
            assert_eq!(name_of(&built.unwrap_or_else(|error| panic!("{}: {error}", entry.name))), entry.name);
            for parameter in &known {
                assert!(parameter.key.starts_with(&format!("{family}.")), "{}", parameter.key);
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
        let Err(unknown) = build(choice, registry, "nonesuch", &Parameters::default(), context) else {
            panic!("there is no policy `nonesuch`");
        };
        assert!(unknown.to_string().starts_with(&format!("`{family}.policy` = \"nonesuch\"")), "{unknown}");
    }

    #[test]
    fn every_policy_is_documented_builds_from_its_defaults_and_refuses_what_is_out_of_range() {
        let architecture = example::residual(&[16, 32], 2, 28);
        let (seed, epochs, samples) = (1, 12, 1000);
        let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
        check_family("mask", &mask::choice(), mask::registry(), &context, |policy| policy.name());
        let context = FreezeContext { epochs, architecture, mask_interval: 2, reduction_required: false };
        check_family("freeze", &freeze::choice(), freeze::registry(), &context, |policy| policy.name());
        let context = SieveContext { seed, epochs, samples };
        check_family("sieve", &sieve::choice(), sieve::registry(), &context, |policy| policy.name());
    }

    #[test]
    fn a_misspelt_policy_is_answered_with_the_nearest() {
        let context = SieveContext { seed: 1, epochs: 2, samples: 10 };
        let Err(error) = sieve::build("circuler", &Parameters::default(), &context) else {
            panic!("there is no policy `circuler`");
        };
        assert!(error.to_string().ends_with("did you mean `circular`?"), "{error}");
    }
}
