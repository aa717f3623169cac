//! A comparison in the formats in which it is printed and written.

use std::path::Path;

use serde_json::{Map, Value as Json, json};
use spfde_data::files::table_file::{self, Values};
use spfde_data::visible;

use super::{Comparison, Group, NUMBERS};
use crate::Result;
use crate::grid::{narrowest, text};
use crate::report::table::{self as lines, Head, or_dash, percent, precise, short};

/// The heads of a group's numbers for people, and how soon they are left out.
const HEADS: [Head<'static>; 6] =
    [("runs", 3), ("test accuracy", 0), ("FLOPs", 4), ("of dense", 1), ("seconds", 2), ("peak memory", 5)];

/// The numbers of a group for people.
fn shown(group: &Group) -> [String; 6] {
    let number = |name| group.number(name);
    let accuracy = match group.cases.is_empty() {
        true => "failed".to_owned(),
        false => or_dash(number("test_accuracy"), precise),
    };
    let deviation =
        number("test_accuracy_std").map_or_else(String::new, |std| format!(" ± {}", precise(std)));
    [
        or_dash(number("runs"), |runs| runs.to_string()),
        accuracy + &deviation,
        or_dash(number("flops"), short),
        or_dash(number("of_dense"), percent),
        or_dash(number("seconds"), |seconds| format!("{seconds:.1}")),
        or_dash(number("peak_memory_bytes"), |bytes| short(bytes) + "B"),
    ]
}

/// The cells of every group for people, the values of the keys first.
fn cells(comparison: &Comparison) -> impl Iterator<Item = Vec<String>> {
    comparison.groups.iter().map(|group| {
        let values = group.values.iter().map(|value| value.as_ref().map_or_else(|| "–".to_owned(), text));
        values.map(|value| visible(&value).into_owned()).chain(shown(group)).collect()
    })
}

/// The heads of all columns for people.
fn heads(comparison: &Comparison) -> Vec<Head<'_>> {
    comparison.keys.iter().map(|key| (key.as_str(), 0)).chain(HEADS).collect()
}

/// A table for a terminal, as wide as it at most.
pub fn table(comparison: &Comparison) -> String {
    lines::table(heads(comparison), cells(comparison))
}

/// The same table in Markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let heads = heads(comparison);
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let names: Vec<String> = heads.iter().map(|(head, _)| (*head).to_owned()).collect();
    let ruler: Vec<String> = (0..heads.len())
        .map(|at| if at < comparison.keys.len() { "---" } else { "---:" }.to_owned())
        .collect();
    let rows = cells(comparison).map(|cells| cells.iter().map(|cell| cell.replace('|', "\\|")).collect());
    [names, ruler]
        .into_iter()
        .chain(rows)
        .map(|cells: Vec<String>| line(&cells))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Comma-separated values: a line of names, then one for each group; what is missing is empty.
///
/// # Panics
/// Never: it is written to memory.
pub fn csv(comparison: &Comparison) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = comparison.keys.iter().map(String::as_str).chain(NUMBERS.map(|(name, ..)| name));
    writer.write_record(names).expect("memory takes a record");
    for group in &comparison.groups {
        let values = group.values.iter().map(|value| value.as_ref().map(text));
        let numbers = NUMBERS.iter().map(|(.., of)| of(group).map(|number| number.to_string()));
        let record = values.chain(numbers).map(Option::unwrap_or_default);
        writer.write_record(record).expect("memory takes a record");
    }
    let bytes = writer.into_inner().expect("memory takes all records");
    String::from_utf8(bytes).expect("records are text").trim_end().to_owned()
}

/// An object: `keys`, and `groups` with the columns of [`csv()`] and the directories of their runs.
pub fn json(comparison: &Comparison) -> Json {
    let group = |group: &Group| {
        let values = comparison.keys.iter().zip(&group.values);
        let mut object: Map<String, Json> = values.map(|(key, value)| (key.clone(), json!(value))).collect();
        object.extend(NUMBERS.iter().map(|(name, is_whole, of)| {
            let number = of(group);
            let whole = number.filter(|number| *is_whole && number.fract() == 0.0);
            ((*name).to_owned(), whole.map_or_else(|| json!(number), |number| json!(number as u64)))
        }));
        let directories = group.cases.iter().map(|case| case.directory.display().to_string());
        object.insert("directories".to_owned(), directories.collect());
        Json::Object(object)
    };
    json!({"keys": comparison.keys, "groups": comparison.groups.iter().map(group).collect::<Vec<_>>()})
}

/// Writes the columns of [`csv()`] as the Parquet file `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn parquet(comparison: &Comparison, path: &Path) -> Result<()> {
    let keys = comparison.keys.iter().enumerate().map(|(at, key)| {
        let values: Vec<_> = comparison.groups.iter().map(|group| group.values[at].clone()).collect();
        (key.clone(), narrowest(&values))
    });
    let numbers = NUMBERS.iter().map(|(name, _, of)| {
        let numbers = comparison.groups.iter().map(of);
        let values = match *name {
            "runs" | "peak_memory_bytes" => {
                Values::Integer(numbers.map(|number| number.map(|number| number as i64)).collect())
            }
            _ => Values::Number(numbers.collect()),
        };
        ((*name).to_owned(), values)
    });
    Ok(table_file::write(path, keys.chain(numbers).collect())?)
}
