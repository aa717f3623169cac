//! A configuration as a file that a person can read and change.

use std::fmt::Write;

use spfde_data::parameter::{Parameter, Parameters, Value};

use super::keys::{core, families};

/// Every key with its value, its meaning and its range, grouped by table.
pub(super) fn to_toml(values: &Parameters) -> String {
    let known: Vec<Parameter> = core()
        .into_iter()
        .chain(families().into_iter().flat_map(|family| {
            let chosen = values.text(family.key).to_owned();
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
        Value::Text(value) => toml::Value::String(value.clone()).to_string(),
    }
}
