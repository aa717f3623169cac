//! Parameters as typed fields: one declaration gives a field its key, type, default, range, help and check.

use std::ops::{Bound, RangeBounds};

use super::{Parameter, ParameterError, Parameters, Range, Value};

/// A type that a parameter can have.
pub trait Setting: Clone + Sized {
    /// The value as a configuration writes it.
    fn to_value(&self) -> Value;

    /// The value that a configuration wrote; `None` for one of another kind.
    fn from_value(value: &Value) -> Option<Self>;

    /// What lies within `bounds`, as a configuration's range. The lower one is always included: Rust writes
    /// no other.
    fn range(bounds: impl RangeBounds<Self>) -> Range;
}

/// The value of a bound, if there is one.
fn value<T: Copy>(bound: Bound<&T>) -> Option<T> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(*value),
        Bound::Unbounded => None,
    }
}

impl Setting for f64 {
    fn to_value(&self) -> Value {
        Value::Number(*self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(value) => Some(*value),
            Value::Integer(value) => Some(*value as f64),
            Value::Text(_) => None,
        }
    }

    fn range(bounds: impl RangeBounds<Self>) -> Range {
        let low = value(bounds.start_bound()).unwrap_or(f64::MIN);
        let high = value(bounds.end_bound()).unwrap_or(f64::MAX);
        match bounds.end_bound() {
            Bound::Excluded(_) => Range::Below(low, high),
            _ => Range::Number(low, high),
        }
    }
}

impl Setting for u32 {
    fn to_value(&self) -> Value {
        Value::Integer(i64::from(*self))
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Integer(value) = value { u32::try_from(*value).ok() } else { None }
    }

    fn range(bounds: impl RangeBounds<Self>) -> Range {
        let low = value(bounds.start_bound()).unwrap_or(0);
        let high = value(bounds.end_bound()).unwrap_or(u32::MAX);
        let above = matches!(bounds.end_bound(), Bound::Excluded(_));
        Range::Integer(i64::from(low), i64::from(high) - i64::from(above))
    }
}

impl Setting for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }

    fn range(_: impl RangeBounds<Self>) -> Range {
        Range::Text
    }
}

/// Written as one of two words, also where a file has a truth value.
impl Setting for bool {
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { text.parse().ok() } else { None }
    }

    fn range(_: impl RangeBounds<Self>) -> Range {
        Range::Choice(vec!["false", "true"])
    }
}

/// A struct whose fields are parameters. Declare one with [`parameters!`](crate::parameters).
pub trait Parametric: Clone + Default + Send + Sync + 'static {
    /// Its keys, all of them and no others; what holds unless something else is said is what the fields say.
    fn parameters(&self) -> Vec<Parameter>;

    /// The fields from checked parameters; a key that is missing has its default.
    fn from_parameters(parameters: &Parameters) -> Self;

    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first value that is out of its range.
    fn check(&self) -> Result<(), ParameterError> {
        let mut parameters = self.parameters().into_iter();
        parameters.try_for_each(|parameter| parameter.check(parameter.default.clone()).map(drop))
    }
}

/// No parameters.
impl Parametric for () {
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    fn from_parameters(_: &Parameters) -> Self {}
}

/// Declares a struct whose documented fields are parameters: `pub field: type = default, range;`.
///
/// A field's doc comment is the help of its key, `table.field`. The range is one of Rust's; `..` where any
/// value of the type will do. Behind the range `formerly "table.name"` may say which key it had in older
/// configurations. serde reads and writes the struct, with defaults for what is missing.
///
/// ```
/// spfde_data::parameters! {
///     /// A rule of mine.
///     pub struct Mine in "sieve" {
///         /// share of the samples that is out of training
///         pub fraction: f64 = 0.15, 0.0..1.0;
///         /// epochs between two decisions
///         pub interval: u32 = 2, 1..;
///     }
/// }
/// use spfde_data::parameter::Parametric;
/// let mine = Mine { fraction: 0.5, ..Mine::default() };
/// assert_eq!(mine.parameters()[0].key, "sieve.fraction");
/// assert!(mine.check().is_ok());
/// let wrong = Mine { interval: 0, ..mine }.check().unwrap_err().to_string();
/// assert_eq!(wrong, "`sieve.interval` = 0 is out of range: 1 to 4294967295");
/// ```
#[macro_export]
macro_rules! parameters {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident in $table:literal {
            $(
                $(#[doc = $help:literal])+
                $field_visibility:vis $field:ident: $type:ty = $default:expr, $range:expr
                    $(, formerly $former:literal)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "spfde_data::serde", default, deny_unknown_fields)]
        $visibility struct $name { $($(#[doc = $help])+ $field_visibility $field: $type,)* }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::parameter::Parametric for $name {
            fn parameters(&self) -> Vec<$crate::parameter::Parameter> {
                vec![$($crate::parameter::Parameter {
                    key: concat!($table, ".", stringify!($field)),
                    formerly: None$(.or(Some($former)))?,
                    default: $crate::parameter::Setting::to_value(&self.$field),
                    range: <$type as $crate::parameter::Setting>::range($range),
                    help: concat!($($help),+).trim_ascii_start(),
                },)*]
            }

            #[allow(unused_variables, reason = "what has no keys reads none")]
            fn from_parameters(parameters: &$crate::parameter::Parameters) -> Self {
                let defaults = Self::default();
                $(let $field = parameters
                    .get(concat!($table, ".", stringify!($field)))
                    .and_then($crate::parameter::Setting::from_value)
                    .unwrap_or(defaults.$field);)*
                Self { $($field,)* }
            }
        }
    };
}

/// Declares an enum of which a parameter chooses one by name.
///
/// ```
/// spfde_data::choice! {
///     /// How images are varied.
///     pub enum Variation {
///         /// Not at all.
///         None = "none",
///         /// Mirrored.
///         Flip = "flip",
///     }
/// }
/// use spfde_data::parameter::{Setting, Value};
/// assert_eq!(Variation::from_value(&Value::Text("flip".into())), Some(Variation::Flip));
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "spfde_data::serde")]
        $visibility enum $name { $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// The words, one for each variant.
            $visibility const NAMES: &'static [&'static str] = &[$($word),+];
        }

        impl $crate::parameter::Setting for $name {
            fn to_value(&self) -> $crate::parameter::Value {
                $crate::parameter::Value::Text(match self { $(Self::$variant => $word,)+ }.to_owned())
            }

            fn from_value(value: &$crate::parameter::Value) -> Option<Self> {
                match value {
                    $($crate::parameter::Value::Text(text) if text == $word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn range(_: impl ::core::ops::RangeBounds<Self>) -> $crate::parameter::Range {
                $crate::parameter::Range::Choice(Self::NAMES.to_vec())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::choice! {
        /// Two ways.
        enum Way {
            /// One.
            One = "one",
            /// Other.
            Other = "other",
        }
    }

    crate::parameters! {
        /// Parameters of every type.
        struct All in "test" {
            /// a share
            share: f64 = 0.5, 0.0..1.0;
            /// a count
            count: u32 = 3, 1..=7, formerly "test.number";
            /// a way
            way: Way = Way::One, ..;
            /// a text
            text: String = "a".to_owned(), ..;
            /// a truth value
            truth: bool = true, ..;
        }
    }

    #[test]
    fn a_declaration_gives_keys_defaults_ranges_and_help() {
        let parameters = All::default().parameters();
        let keys: Vec<&str> = parameters.iter().map(|parameter| parameter.key).collect();
        assert_eq!(keys, ["test.share", "test.count", "test.way", "test.text", "test.truth"]);
        let ranges: Vec<String> = parameters.iter().map(|parameter| parameter.range.to_string()).collect();
        assert_eq!(ranges, ["0 to below 1", "1 to 7", "one, other", "text", "false, true"]);
        assert_eq!(parameters[1].help, "a count");
        assert_eq!([parameters[0].formerly, parameters[1].formerly], [None, Some("test.number")]);
    }

    #[test]
    fn fields_and_parameters_are_the_same_values() {
        let all = All { share: 0.25, count: 7, way: Way::Other, text: "b".to_owned(), truth: false };
        let values = Parameters::defaults(&all.parameters());
        assert_eq!(All::from_parameters(&values), all);
        assert_eq!(All::from_parameters(&Parameters::default()), All::default());
        assert!(All { share: f64::NAN, ..all.clone() }.check().is_err());
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<All>(&text).unwrap(), all);
        assert_eq!(
            serde_json::from_str::<All>("{\"count\": 5}").unwrap(),
            All { count: 5, ..All::default() }
        );
        assert!(serde_json::from_str::<All>("{\"cuont\": 5}").is_err());
    }
}
