//! A configuration as a file that a person can read and change.

use std::fmt::Write;

use spfde_data::parameter::{Parameter, Parameters, Value};

use spfde_data::words::visible;

use super::keys::core;
use crate::registry::Registry;

/// Every key with its value, its meaning and its range, grouped by table.
pub(super) fn to_toml(registry: &Registry, values: &Parameters) -> String {
    let known: Vec<Parameter> = core(registry)
        .into_iter()
        .chain(registry.families().into_iter().flat_map(|family| {
            let chosen = values.text(family.choice.key).to_owned();
            family
                .members
                .into_iter()
                .filter(move |member| member.name == chosen)
                .flat_map(|member| member.parameters)
        }))
        .collect();
    let mut text = String::new();
    let mut tables: Vec<&str> = Vec::new();
    for (key, _) in values.iter() {
        let table = key.split_once('.').map_or("", |(table, _)| table);
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    // Keys without a table have to come first in TOML.
    tables.sort_by_key(|table| !table.is_empty());
    for table in tables {
        if !table.is_empty() {
            writeln!(text, "\n[{table}]").expect("text grows");
        }
        let inside =
            values.iter().filter(|(key, _)| key.split_once('.').map_or("", |(table, _)| table) == table);
        for (key, value) in inside {
            if let Some(parameter) = known.iter().find(|parameter| parameter.key == key) {
                writeln!(text, "# {} ({})", parameter.help, parameter.range).expect("text grows");
            }
            let name = key.split_once('.').map_or(key, |(_, name)| name);
            writeln!(text, "{name} = {}", literal(value)).expect("text grows");
        }
    }
    text
}

fn literal(value: &Value) -> String {
    match value {
        Value::Integer(value) => value.to_string(),
        Value::Number(value) => toml::Value::Float(*value).to_string(),
        // Whoever reads it on a terminal sees what is in the file: nothing of it does anything there.
        Value::Text(value) if value.contains(char::is_control) => {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", visible(&quoted))
        }
        Value::Text(value) => toml::Value::String(value.clone()).to_string(),
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
