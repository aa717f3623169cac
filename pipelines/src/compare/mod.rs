//! Comparing recorded runs: what they were asked for, and what came of it.
//!
//! Everything is read from manifests and the table `epochs`: runs that go on, that were interrupted, or that
//! were made elsewhere are compared as far as they are committed.

mod case;
mod decisions;
mod table;

use std::collections::BTreeSet;

use spfde_data::{Value, nearest};

use crate::grid::text;
use crate::{Error, Result};

pub use case::Case;
pub use decisions::{Compared, Difference, Said, decisions};
pub use table::{csv, json, markdown, parquet, table};

/// What is never a difference: runs that differ in it alone are one group.
const SEED: &str = "seed";

/// A number of a group of runs: its name in CSV, JSON and Parquet, whether it is a whole one, and what it is.
type Number = (&'static str, bool, fn(&Group) -> Option<f64>);

/// The numbers of a group, in the order of the columns.
pub const NUMBERS: [Number; 7] = [
    ("runs", true, |group| Some(group.cases.len() as f64)),
    ("test_accuracy", false, |group| mean(&group.all(|case| case.test_accuracy))),
    ("test_accuracy_std", false, |group| deviation(&group.all(|case| case.test_accuracy))),
    ("flops", true, |group| mean(&group.all(|case| Some(case.flops)))),
    ("of_dense", false, |group| mean(&group.all(Case::of_dense))),
    ("seconds", false, |group| mean(&group.all(|case| case.seconds))),
    ("peak_memory_bytes", true, |group| {
        group.all(|case| case.peak_memory_bytes.map(|bytes| bytes as f64)).into_iter().reduce(f64::max)
    }),
];

/// The column by which groups are sorted unless another is asked for: the only one whose greatest is best.
pub const ACCURACY: &str = "test_accuracy";

/// Some runs, in groups.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The keys that tell groups apart.
    pub keys: Vec<String>,
    /// The groups, best first.
    pub groups: Vec<Group>,
    /// Keys that differ, and by which groups are not told apart, since others were asked for.
    pub mixed: Vec<String>,
}

/// Runs that have the same values of the keys.
#[derive(Clone, Debug)]
pub struct Group {
    /// The value of every key; `None` where the runs have no such key.
    pub values: Vec<Option<Value>>,
    /// The runs, in the order in which they were named; none of an experiment of a sweep that failed.
    pub cases: Vec<Case>,
}

impl Group {
    /// A number of every run that has it.
    fn all(&self, number: impl Fn(&Case) -> Option<f64>) -> Vec<f64> {
        self.cases.iter().filter_map(number).collect()
    }

    /// A number by its name.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        NUMBERS.iter().find(|(known, ..)| *known == name).and_then(|(.., of)| of(self))
    }
}

/// The mean of some numbers; `None` without any.
fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// The standard deviation of a sample of two numbers or more, n − 1 in its denominator.
fn deviation(numbers: &[f64]) -> Option<f64> {
    let mean = mean(numbers).filter(|_| numbers.len() > 1)?;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    Some((squares / (numbers.len() - 1) as f64).sqrt())
}

impl Comparison {
    /// Groups runs that differ in `seed` alone, or by the keys `by`, if there are any. Groups are sorted by
    /// the number `sort` of [`NUMBERS`]; those without it come last, ties by what tells them apart.
    ///
    /// A key that only some runs have, because it is of a policy that the others do not use, tells apart
    /// those that have it.
    ///
    /// # Errors
    /// If none of the runs has a key of `by`.
    pub fn new(cases: Vec<Case>, by: &[String], sort: &str) -> Result<Self> {
        let known: BTreeSet<String> = cases.iter().flat_map(|case| case.settings.keys().cloned()).collect();
        if let Some(key) = by.iter().find(|key| !known.contains(*key)) {
            let near = nearest(key, known.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(Error::usage(format!("--by {key}: none of the runs has this key{near}")));
        }
        let differs = |key: &String| {
            let mut values = cases.iter().filter_map(|case| case.settings.get(key));
            let first = values.next();
            values.any(|value| Some(value) != first)
        };
        let differing: Vec<String> = known.into_iter().filter(|key| key != SEED && differs(key)).collect();
        let (keys, mixed) = match by.is_empty() {
            true => (differing, Vec::new()),
            false => (by.to_vec(), differing.into_iter().filter(|key| !by.contains(key)).collect()),
        };
        Ok(Self { mixed, ..Self::by(cases, keys, sort) })
    }

    /// Groups runs by some keys, whether they have them or not.
    pub(crate) fn by(cases: Vec<Case>, keys: Vec<String>, sort: &str) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for case in cases {
            let values: Vec<_> = keys.iter().map(|key| case.settings.get(key).cloned()).collect();
            match groups.iter_mut().find(|group| group.values == values) {
                Some(group) => group.cases.push(case),
                None => groups.push(Group { values, cases: vec![case] }),
            }
        }
        let sign = if sort == ACCURACY { -1.0 } else { 1.0 };
        let worth = |group: &Group| group.number(sort).map_or(f64::INFINITY, |number| sign * number);
        let texts = |group: &Group| group.values.iter().map(|value| value.as_ref().map(text)).collect();
        groups.sort_by(|a, b| worth(a).total_cmp(&worth(b)).then_with(|| Vec::cmp(&texts(a), &texts(b))));
        Self { keys, groups, mixed: Vec::new() }
    }

    /// What should be known of the runs before their numbers are believed, in words.
    pub fn notes(&self) -> Vec<String> {
        let cases = || self.groups.iter().flat_map(|group| &group.cases);
        let mut notes: Vec<String> = cases().filter_map(Case::note).collect();
        let sets: BTreeSet<&str> = cases().map(|case| &*case.data_set).collect();
        if sets.len() > 1 {
            notes.push("the runs are of different data sets: their accuracies are no comparison".to_owned());
        }
        if !self.mixed.is_empty() {
            notes.push(format!("runs of one line may differ in {}, too", self.mixed.join(", ")));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(seed: i64, sparsity: Option<f64>, accuracy: Option<f64>, flops: f64) -> Case {
        let sparsity = sparsity.map(|share| ("mask.sparsity".to_owned(), Value::Number(share)));
        let settings = [("seed".to_owned(), Value::Integer(seed))].into_iter().chain(sparsity).collect();
        Case { settings, test_accuracy: accuracy, flops, dense_flops: 8.0, ..Case::default() }
    }

    #[test]
    fn seeds_are_one_group_and_the_best_comes_first() {
        let cases = vec![
            case(0, Some(0.9), Some(0.8), 2.0),
            case(0, Some(0.5), Some(0.9), 5.0),
            case(1, Some(0.9), Some(0.9), 4.0),
            case(2, Some(0.9), None, 3.0),
            case(0, None, None, 1.0),
        ];
        let compared = Comparison::new(cases.clone(), &[], ACCURACY).unwrap();
        assert_eq!(compared.keys, ["mask.sparsity"]);
        let values: Vec<_> = compared.groups.iter().map(|group| group.values[0].clone()).collect();
        assert_eq!(values, [Some(Value::Number(0.5)), Some(Value::Number(0.9)), None]);
        let numbers = |group: &Group| NUMBERS.map(|(.., of)| of(group));
        // Of 0.8 and 0.9 the mean is 0.85, the deviation √(2 · 0.05²).
        let [runs, accuracy, deviation, flops, of_dense, seconds, memory] = numbers(&compared.groups[1]);
        assert_eq!((runs, flops, of_dense, seconds, memory), (Some(3.0), Some(3.0), Some(0.375), None, None));
        assert!(
            (accuracy.unwrap() - 0.85).abs() < 1e-12 && (deviation.unwrap() - 0.005_f64.sqrt()).abs() < 1e-12
        );
        assert_eq!(numbers(&compared.groups[0])[2], None);
        let by_flops = Comparison::new(cases.clone(), &[], "flops").unwrap();
        assert_eq!(by_flops.groups[0].values, [None]);
        let by_seed = Comparison::new(cases.clone(), &["seed".to_owned()], "runs").unwrap();
        assert_eq!((by_seed.groups.len(), &by_seed.mixed[..]), (3, &["mask.sparsity".to_owned()][..]));
        let error = Comparison::new(cases, &["mask.sparsty".to_owned()], ACCURACY).unwrap_err().to_string();
        assert!(error.ends_with("did you mean `mask.sparsity`?"), "{error}");
    }
}
