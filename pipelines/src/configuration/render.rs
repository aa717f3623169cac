//! A configuration as a file that a person can read and change.

use std::fmt::Write;

use spfde_data::{Parameter, Parameters, Setting, Value, visible};

use super::chosen;
use super::keys::core;
use crate::{Registry, layers};

/// Every key with its value, its meaning and its range, grouped by table.
pub(super) fn to_toml(registry: &Registry, values: &Parameters) -> String {
    let families = registry.families();
    let members = families.iter().filter_map(|family| chosen(family, values));
    let mut known = core(registry);
    known.extend(members.flat_map(|member| member.parameters.clone()));
    // Keys without a table have to come first in TOML.
    let (bare, tabled): (Vec<_>, Vec<_>) = values.iter().partition(|(key, _)| !key.contains('.'));
    let (mut text, mut table) = (String::new(), "");
    for (key, value) in bare.into_iter().chain(tabled) {
        let (of, name) = key.split_once('.').unwrap_or(("", key));
        if of != table {
            write!(text, "\n[{of}]\n").expect("text grows");
            table = of;
        }
        let parameter = known.iter().find(|parameter| parameter.key == key);
        if let Some(Parameter { help, range, .. }) = parameter {
            writeln!(text, "# {help} ({range})").expect("text grows");
        }
        let is_truth = parameter.is_some_and(|known| known.range == bool::range(..));
        let written = match value {
            // TOML has truth values of its own.
            Value::Text(word) if is_truth => word.clone(),
            Value::Text(list) if key == layers::KEY => layers::in_lines(list).unwrap_or(literal(value)),
            value => literal(value),
        };
        writeln!(text, "{name} = {written}").expect("text grows");
    }
    text
}

fn literal(value: &Value) -> String {
    match value {
        Value::Integer(value) => value.to_string(),
        Value::Number(value) => toml::Value::Float(*value).to_string(),
        // Control characters are escaped, of which TOML leaves some as they are: they do nothing to a
        // terminal that shows the file.
        Value::Text(value) => {
            format!("\"{}\"", visible(&value.replace('\\', "\\\\").replace('"', "\\\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_do_nothing_to_a_terminal() {
        for text in ["data", "a\\b", "\"it's\"", "a\\b\t\u{85}\"'\n\u{1b}[31m\u{7f}"] {
            let written = literal(&Value::Text(text.to_owned()));
            assert!(!written.contains(char::is_control), "{written:?}");
            let table: toml::Table = format!("key = {written}").parse().unwrap();
            assert_eq!(table["key"].as_str(), Some(text));
        }
    }
}
