//! Which values a parameter takes, and how a message tells one that it does not take.

use std::fmt;

use super::Value;

/// Which values a parameter takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Whole numbers, both bounds included.
    Integer(i64, i64),
    /// Numbers, both bounds included; never NaN or infinite.
    Number(f64, f64),
    /// Numbers from the first bound (included) to the second (excluded).
    Below(f64, f64),
    /// One of a few names.
    Choice(Vec<&'static str>),
    /// One of a few names, or some of others joined by `+`.
    Joined {
        /// Names that stand alone.
        alone: Vec<&'static str>,
        /// Names that can be joined.
        names: Vec<&'static str>,
    },
    /// Any text, such as a path.
    Text,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Integer(low, high) => write!(f, "{low} to {high}"),
            Range::Number(low, high) => write!(f, "{low} to {high}"),
            Range::Below(low, high) => write!(f, "{low} to below {high}"),
            Range::Choice(names) => write!(f, "{}", names.join(", ")),
            Range::Joined { alone, names } => {
                write!(f, "{}; {} joined by +", alone.join(", "), names.join(", "))
            }
            Range::Text => write!(f, "text"),
        }
    }
}

impl Range {
    /// What kind of value it takes.
    pub fn kind(&self) -> String {
        match self {
            Range::Integer(..) => "a whole number".to_owned(),
            Range::Number(..) | Range::Below(..) => "a number".to_owned(),
            Range::Choice(_) => format!("one of {self}"),
            Range::Joined { .. } => format!("one or more of {self}"),
            Range::Text => "a text".to_owned(),
        }
    }

    /// What it takes.
    pub fn expected(&self) -> String {
        match self {
            Range::Integer(..) | Range::Number(..) | Range::Below(..) => {
                format!("{} from {self}", self.kind())
            }
            Range::Choice(_) | Range::Joined { .. } | Range::Text => self.kind(),
        }
    }

    /// Whether `value` is of the kind that it takes, in its bounds or not.
    pub(super) fn is_kind_of(&self, value: &Value) -> bool {
        match self {
            Range::Integer(..) => matches!(value, Value::Integer(_)) || is_beyond_numbers(value),
            Range::Number(..) | Range::Below(..) => {
                !matches!(value, Value::Text(_)) || is_beyond_numbers(value)
            }
            Range::Choice(_) | Range::Joined { .. } => false,
            Range::Text => matches!(value, Value::Text(_)),
        }
    }
}

/// Whether a value is the text of a number that none of the other values can hold.
fn is_beyond_numbers(value: &Value) -> bool {
    let Value::Text(text) = value else { return false };
    let text = text.replace('_', "");
    let begins = text.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_digit());
    // Smaller ones have been read as numbers, unless they were in quotes.
    begins && text.parse::<f64>().is_ok_and(|number| number.abs() >= i64::MAX as f64)
}

/// A value as the user may have written it.
pub(super) struct Written<'a>(pub(super) &'a Value);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // 3.0 is not 3, and no user wants to see all digits of 1e300.
            Value::Number(value) => write!(f, "{value:?}"),
            Value::Text(text) if is_beyond_numbers(self.0) => write!(f, "{text}"),
            value => write!(f, "{value}"),
        }
    }
}
