//! The points of a grid: all combinations of the values of some keys.

use spfde_data::{ParameterError, Value};

use crate::configuration::word_error;
use crate::{Entry, Error, Result, Source};

/// Members a grid may have. Each keeps a byte or more for every sample, and most grids of more were a
/// mistyped list.
pub const MOST_MEMBERS: usize = 10_000;

/// Keys with the values to try.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axes(Vec<(String, Vec<Value>)>);

impl Axes {
    /// Reads words such as `sieve.fraction=0.1,0.2`, each a key and its values.
    ///
    /// # Errors
    /// If a word is none such, a key comes twice, or there would be more than [`MOST_MEMBERS`] members.
    pub fn from_words(words: &[String]) -> Result<Self> {
        let mut axes: Vec<(String, Vec<Value>)> = Vec::new();
        let mut members = 1usize;
        for word in words {
            let refuse = || word_error(&format!("--grid {word}"));
            let (key, list) = word.split_once('=').ok_or_else(refuse)?;
            let key = key.trim();
            if key.is_empty() {
                let missing =
                    "the key before the values of --grid is missing, such as sieve.fraction=0.1,0.2";
                return Err(Error::usage(missing));
            }
            let wrong = |reason: String| ParameterError::contradiction(key, reason).into();
            if list.trim().is_empty() {
                return Err(wrong("the --grid list has no values; write them with commas between".into()));
            }
            if axes.iter().any(|(known, _)| *known == key) {
                return Err(wrong("has two --grid lists; write all values in one".to_owned()));
            }
            if list.split(',').any(|value| value.trim().is_empty()) {
                return Err(refuse());
            }
            let one_by_one: Vec<String> =
                list.split(',').map(|value| format!("{key}={}", value.trim())).collect();
            let values: Vec<Value> =
                Source::from_words(&one_by_one)?.entries().iter().map(|(_, value)| value.clone()).collect();
            if let Some(twice) = repeated(&values) {
                return Err(wrong(format!("the --grid list has the value {twice} twice; write it once")));
            }
            members = members.saturating_mul(values.len());
            if members > MOST_MEMBERS {
                return Err(wrong(format!(
                    "the grid has {members} members or more, and at most {MOST_MEMBERS} fit: each keeps its \
                     active set; try fewer values at a time"
                )));
            }
            axes.push((key.to_owned(), values));
        }
        Ok(Self(axes))
    }

    /// Keys, each once, with lists that were read from elsewhere.
    ///
    /// # Errors
    /// If a list has no value, or one twice, or there would be more than [`MOST_MEMBERS`] members.
    pub(crate) fn of(axes: Vec<(String, Vec<Value>)>) -> Result<Self> {
        let members = axes.iter().fold(1, |members: usize, (_, values)| members.saturating_mul(values.len()));
        for (key, values) in &axes {
            let reason = match repeated(values) {
                Some(twice) => format!("the list has the value {twice} twice; write it once"),
                None if values.is_empty() => "the list has no values".to_owned(),
                None if members > MOST_MEMBERS => {
                    format!("the grid has {members} members, and at most {MOST_MEMBERS} fit")
                }
                None => continue,
            };
            return Err(ParameterError::contradiction(key, reason).into());
        }
        Ok(Self(axes))
    }

    /// All combinations, the values of the last key changing fastest; one without settings if there are no
    /// keys.
    pub fn points(&self) -> Vec<Vec<Entry>> {
        self.0.iter().fold(vec![Vec::new()], |points, (key, values)| {
            let longer = |point: Vec<Entry>| {
                let with = move |value: &Value| [&point[..], &[(key.clone(), value.clone())]].concat();
                values.iter().map(with)
            };
            points.into_iter().flat_map(longer).collect()
        })
    }
}

/// A value that is there twice, however it is written.
fn repeated(values: &[Value]) -> Option<&Value> {
    let equal = |a: &Value, b: &Value| match (a, b) {
        (Value::Integer(whole), Value::Number(number)) | (Value::Number(number), Value::Integer(whole)) => {
            *whole as f64 == *number
        }
        _ => a == b,
    };
    let twice = |at: &usize| values[..*at].iter().any(|value| equal(value, &values[*at]));
    (0..values.len()).find(twice).map(|at| &values[at])
}

/// What `make` makes of every point, by its number; an error says which member of the grid it is of.
pub(super) fn each<T>(points: &[Vec<Entry>], make: impl Fn(usize, &[Entry]) -> Result<T>) -> Result<Vec<T>> {
    let made = points.iter().enumerate().map(|(number, point)| {
        make(number, point).map_err(|error| match point.is_empty() {
            true => error,
            false => {
                let words: Vec<String> = point.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let more = format!(" (the member of the grid with {})", words.join(" "));
                Error::More { error: Box::new(error), more }
            }
        })
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(words: &[&str]) -> Result<Axes> {
        Axes::from_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn points_are_the_whole_product() {
        assert_eq!(Axes::default().points(), [Vec::new()]);
        let points = axes(&["sieve.policy=circular, random", "sieve.fraction=0.1,0.25,1"]).unwrap().points();
        assert_eq!(points.len(), 6);
        let text = |value: &str| Value::Text(value.to_owned());
        let point = |policy: &str, fraction| {
            vec![("sieve.policy".to_owned(), text(policy)), ("sieve.fraction".to_owned(), fraction)]
        };
        assert_eq!(points[1], point("circular", Value::Number(0.25)));
        assert_eq!(points[5], point("random", Value::Integer(1)));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (words, message) in [
            (&["sieve.fraction"][..], "`--grid sieve.fraction` is neither"),
            (&["sieve.fraction=0.1,,0.2"], "`--grid sieve.fraction=0.1,,0.2` is neither"),
            (&["sieve.fraction="], "`sieve.fraction`: the --grid list has no values"),
            (&["=5"], "the key before the values of --grid is missing, such as"),
            (&["sieve.fraction=0.1,0.2,0.10"], "`sieve.fraction`: the --grid list has the value 0.1 twice"),
            (&["sieve.fraction=1,1.0"], "`sieve.fraction`: the --grid list has the value 1 twice"),
            (&["seed=1", "seed=2"], "`seed`: has two --grid lists; write all values in one"),
        ] {
            let error = axes(words).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let many = format!("seed={}", (0..101).map(|seed| seed.to_string()).collect::<Vec<_>>().join(","));
        let error = axes(&[&many, &many.replace("seed", "sieve.interval")]).unwrap_err().to_string();
        assert!(error.starts_with("`sieve.interval`: the grid has 10201 members or more"), "{error}");
    }
}
