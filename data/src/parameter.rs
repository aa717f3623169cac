//! Parameters: keys with defaults, ranges and help, from which configuration, command line and docs derive.

mod declare;
mod range;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeBounds;

pub use declare::{Parametric, Setting};
pub use range::Range;
use range::Written;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Text, such as a name.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
            Value::Text(value) => write!(f, "\"{value}\""),
        }
    }
}

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The key, such as `mask.soft`.
    pub key: &'static str,
    /// The key under which older configurations have it, if it had another.
    pub formerly: Option<&'static str>,
    /// What holds when the user does not say otherwise.
    pub default: Value,
    /// What may be said.
    pub range: Range,
    /// One sentence on what it does.
    pub help: &'static str,
}

impl Parameter {
    /// A value of type `T` within Rust's `range`.
    pub fn of<T: Setting>(
        key: &'static str,
        default: T,
        range: impl RangeBounds<T>,
        help: &'static str,
    ) -> Self {
        Self { key, formerly: None, default: default.to_value(), range: T::range(range), help }
    }

    /// One of `names`.
    pub fn choice(key: &'static str, default: &str, names: Vec<&'static str>, help: &'static str) -> Self {
        Self { key, formerly: None, default: Value::Text(default.into()), range: Range::Choice(names), help }
    }

    /// Checks `value` against the range; a whole number is taken as a number where one is wanted.
    pub fn check(&self, value: Value) -> Result<Value, ParameterError> {
        let taken = match (&self.range, &value) {
            (Range::Number(..) | Range::Below(..), Value::Integer(value)) => Value::Number(*value as f64),
            (_, value) => value.clone(),
        };
        let fits = match (&self.range, &taken) {
            (Range::Integer(low, high), Value::Integer(value)) => (low..=high).contains(&value),
            (Range::Number(low, high), Value::Number(value)) => (low..=high).contains(&value),
            (Range::Below(low, high), Value::Number(value)) => (low..high).contains(&value),
            (Range::Choice(names), Value::Text(value)) => names.contains(&value.as_str()),
            (Range::Joined { alone, names }, Value::Text(value)) => {
                alone.contains(&value.as_str()) || value.split('+').all(|name| names.contains(&name))
            }
            (range, value) => *range == Range::Text && matches!(value, Value::Text(_)),
        };
        let key = self.key.to_owned();
        if fits {
            Ok(taken)
        } else if self.range.is_kind_of(&value) {
            Err(ParameterError::Range { key, value, range: self.range.to_string() })
        } else {
            let expected = match (&self.range, &value) {
                (Range::Choice(names) | Range::Joined { names, .. }, Value::Text(name)) => {
                    let near = nearest(name, names.iter().copied());
                    let otherwise = "; `spfde list` describes them";
                    format!("{}{}", self.range.expected(), meant(&near, otherwise))
                }
                (Range::Text, _) => format!("a text; write it in quotes: \"{value}\""),
                (range, _) => range.expected(),
            };
            Err(ParameterError::Kind { key, value, expected })
        }
    }
}

/// Why a configuration is refused: names the key, what was written (`value`), and what would fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message of their variant says")]
pub enum ParameterError {
    /// No parameter has this key; the nearest known one, if any is like it.
    #[error("unknown key `{key}`{}", meant(near, "; `spfde list keys` names all of them"))]
    Unknown { key: String, near: Option<String> },
    /// The value is of another kind.
    #[error("`{key}` = {} is not {expected}", Written(value))]
    Kind { key: String, value: Value, expected: String },
    /// The value does not fit.
    #[error("`{key}` = {} is out of range: {range}", Written(value))]
    Range { key: String, value: Value, range: String },
    /// Two settings, or a setting and the data, cannot both hold; the key to change, what does not go
    /// together, and what would.
    #[error("`{key}`: {reason}")]
    Contradiction { key: String, reason: String },
}

impl ParameterError {
    /// A contradiction that changing `key` resolves.
    pub fn contradiction(key: &str, reason: impl Into<String>) -> Self {
        Self::Contradiction { key: key.into(), reason: reason.into() }
    }
}

/// The nearest known name, for a message, or what it says if there is none.
fn meant(near: &Option<String>, otherwise: &str) -> String {
    near.as_ref().map_or_else(|| otherwise.to_owned(), |name| format!("; did you mean `{name}`?"))
}

/// The known names most like `name`, if any is like it at all: the nearest, or those that begin with it, or
/// are it, or nearly so, behind their dot. Several are in one text, each in backquotes of a message: `a` or
/// `b`.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    let distance = |candidate: &'a str| {
        let distance = strsim::damerau_levenshtein(name, candidate);
        let shorter = candidate.len().min(name.len());
        // Half a short word is not like it.
        (distance <= 2.max(shorter / 3) && distance * 2 <= shorter).then_some(distance)
    };
    // All that are nearest by one part of their names.
    let all = |part: &dyn Fn(&'a str) -> Option<&'a str>| {
        let distances = known.clone().into_iter().filter_map(|known| Some((distance(part(known)?)?, known)));
        let distances: BTreeSet<(usize, &str)> = distances.collect();
        let least = distances.first()?.0;
        let names = distances.iter().take_while(|(distance, _)| *distance == least).map(|(_, name)| *name);
        Some(names.collect::<Vec<_>>())
    };
    let whole = all(&|known| Some(known)).map(|names| vec![names[0]]);
    let last = || all(&|known| known.rsplit_once('.').map(|(_, last)| last));
    let longer = || {
        let names = known.clone().into_iter().filter(|known| name.len() > 2 && known.starts_with(name));
        let names: BTreeSet<&str> = names.collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>())
    };
    Some(whole.or_else(last).or_else(longer)?.join("` or `"))
}

/// Resolved parameters: every key of a family has a checked value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(BTreeMap<String, Value>);

impl Parameters {
    /// The defaults of `known`.
    pub fn defaults(known: &[Parameter]) -> Self {
        Self(known.iter().map(|parameter| (parameter.key.to_owned(), parameter.default.clone())).collect())
    }

    /// The same parameters with one more or another value; for tests and Rust pipelines.
    ///
    /// # Errors
    /// If the key is not among `known` or the value is out of its range.
    pub fn with(mut self, known: &[Parameter], key: &str, value: Value) -> Result<Self, ParameterError> {
        let parameter = known.iter().find(|parameter| parameter.key == key).ok_or_else(|| {
            let near = nearest(key, known.iter().map(|parameter| parameter.key));
            ParameterError::Unknown { key: key.into(), near }
        })?;
        let value = parameter.check(value)?;
        self.0.insert(key.to_owned(), value);
        Ok(self)
    }

    /// Sets a value that has been checked.
    pub fn insert(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// The value of a key, if it is known.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys with their values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a number.
    ///
    /// # Panics
    /// If `key` is not a number among these parameters.
    pub fn number(&self, key: &str) -> f64 {
        self.setting(key, "a number")
    }

    /// The value of a whole number.
    ///
    /// # Panics
    /// If `key` is not a whole number among these parameters, or does not fit `u32`.
    pub fn integer(&self, key: &str) -> u32 {
        self.setting(key, "a whole number of 32 bits")
    }

    fn setting<T: Setting>(&self, key: &str, kind: &str) -> T {
        let value = self.get(key);
        value.and_then(T::from_value).unwrap_or_else(|| panic!("`{key}` is {value:?}, not {kind}"))
    }

    /// The value of a text.
    ///
    /// # Panics
    /// If `key` is not a text among these parameters.
    pub fn text(&self, key: &str) -> &str {
        let value = self.get(key);
        if let Some(Value::Text(text)) = value { text } else { panic!("`{key}` is {value:?}, not a text") }
    }
}

#[cfg(test)]
mod tests;
