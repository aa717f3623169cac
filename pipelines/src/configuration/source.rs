//! Where settings come from: a TOML file, then `key=value` words.

use std::collections::BTreeSet;
use std::path::Path;

use spfde_data::files::CONFIG_NAME;
use spfde_data::{Setting, Value};
use spfde_policy::mask::DENSITIES;

use super::earlier;
use super::keys::all;
use crate::{Entry, Error, Registry, Result, layers, small_file};

/// A configuration file larger than this is not one.
const LARGEST_FILE: u64 = 1 << 20;

/// Settings as they were written, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source(Vec<Entry>);

impl Source {
    /// The entries in the order in which they were written.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Reads words as the command line has them: first, optionally, a file ending in `.toml`; then
    /// `key=value`.
    pub fn from_words(words: &[String]) -> Result<Self> {
        let mut source = Self::default();
        for word in words {
            if let Some((key, value)) = word.split_once('=') {
                source.0.push((key.trim().to_owned(), value_of(value.trim())));
            } else if word.ends_with(".toml") && source.0.is_empty() {
                source.0.extend(Self::read(Path::new(word))?.0);
            } else {
                return Err(word_error(word));
            }
        }
        Ok(source)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of_table(&path.display().to_string(), Self::read_table(path)?)
    }

    /// Reads a file as it is written.
    pub(crate) fn read_table(path: &Path) -> Result<toml::Table> {
        let place = path.display().to_string();
        let text = String::from_utf8(small_file::read(path, "configuration", LARGEST_FILE)?);
        let text = text.map_err(|cause| {
            unreadable(&place, format!("cannot read the configuration: {}", cause.utf8_error()))
        })?;
        parse(&place, &text)
    }

    /// Reads the text of a file called `path`: tables become the first part of dotted keys.
    pub fn parse_file(path: &str, text: &str) -> Result<Self> {
        Self::of_table(path, parse(path, text)?)
    }

    /// The settings of a table that was read from the file called `path`.
    pub(crate) fn of_table(path: &str, table: toml::Table) -> Result<Self> {
        let mut source = Self::default();
        for (name, value) in table {
            match value {
                // A table with keys is known or refused by them.
                toml::Value::Table(table) if table.is_empty() => known_table(path, &name)?,
                // Keys have at most two parts: deeper tables are as unknown as any other key.
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        source.push(path, format!("{name}.{key}"), value)?;
                    }
                }
                value => source.push(path, name, value)?,
            }
        }
        Ok(source)
    }

    /// As [`Source::parse_file`], the text of `config.toml` of the run in `directory`. Keys that it lacks
    /// because the run is older say what held then.
    pub(crate) fn of_run(directory: &Path, text: &str) -> Result<Self> {
        let mut source = Self::parse_file(&directory.join(CONFIG_NAME).display().to_string(), text)?;
        earlier::complete(&mut source.0);
        Ok(source)
    }

    /// What TOML has at `place` under `key`, which is one value.
    pub(crate) fn value(place: &str, key: &str, value: toml::Value) -> Result<Value> {
        let mut source = Self::default();
        source.push(place, key.to_owned(), value)?;
        Ok(source.0.remove(0).1)
    }

    /// Adds what TOML has at `place` under `key`.
    fn push(&mut self, place: &str, key: String, value: toml::Value) -> Result<()> {
        let value = match value {
            toml::Value::Boolean(value) if may_be_truth(&key) => toml::Value::String(value.to_string()),
            list @ toml::Value::Array(_) if key == layers::KEY => toml::Value::String(list.to_string()),
            table @ toml::Value::Table(_) if key == DENSITIES => toml::Value::String(table.to_string()),
            value => value,
        };
        if let Some(value) = plain(&value) {
            self.0.push((key, value));
            return Ok(());
        }
        let (kind, shown) = match value {
            toml::Value::Boolean(value) => ("a truth value", format!(" = {value}")),
            toml::Value::Datetime(value) => ("a date", format!(" = {value}")),
            toml::Value::Array(_) => ("a list", String::new()),
            _ => ("a table", String::new()),
        };
        let expected = expected(&key).map(|expected| format!("it takes {expected}"));
        let expected = expected.unwrap_or_else(|| "settings are numbers and texts".to_owned());
        Err(unreadable(place, format!("`{key}`{shown} is {kind}; {expected}")))
    }
}

/// That a word is no setting.
pub(crate) fn word_error(word: &str) -> Error {
    Error::usage(format!("`{word}` is neither key=value nor, as the first word, a file ending in .toml"))
}

/// The tables of the text of a file called `path`.
fn parse(path: &str, text: &str) -> Result<toml::Table> {
    let read = text.parse().or_else(|error| beyond_numbers(text, &error).ok_or(error));
    read.map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at.min(text.len())].matches('\n').count() + 1;
        unreadable(&format!("{path}, line {line}"), error.message())
    })
}

fn unreadable(place: &str, what: impl std::fmt::Display) -> Error {
    Error::usage(format!("{place}: {what}"))
}

/// What `key` takes, if there is such a key: its bounds, too, if it has the same with all members.
fn expected(key: &str) -> Option<String> {
    let ranges = all(&Registry::standard()).filter(|parameter| parameter.key == key);
    let mut ranges = ranges.map(|parameter| parameter.range);
    let first = ranges.next()?;
    Some(if ranges.all(|range| range == first) { first.expected() } else { first.kind() })
}

/// Whether `key` may take a truth value: as far as is known here, where a program's own keys are not.
fn may_be_truth(key: &str) -> bool {
    let registry = Registry::standard();
    let mut known = all(&registry).filter(|parameter| parameter.key == key).peekable();
    known.peek().is_none() || known.any(|parameter| parameter.range == bool::range(..))
}

/// Refuses a table that no key belongs to.
fn known_table(path: &str, name: &str) -> Result<()> {
    let table = |key: &'static str| key.split_once('.').map(|(table, _)| table);
    let known: BTreeSet<&str> =
        all(&Registry::standard()).filter_map(|parameter| table(parameter.key)).collect();
    if known.contains(name) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|name| format!("[{name}]")).collect();
    let (name, known) = (name.escape_debug(), known.join(", "));
    let what = format!("cannot read the configuration: there is no table [{name}]; there are {known}");
    Err(unreadable(path, what))
}

/// A file whose one mistake is a number that TOML cannot hold, with that number as a text: the range of its
/// key refuses it, and the message names both.
fn beyond_numbers(text: &str, error: &toml::de::Error) -> Option<toml::Table> {
    let span = error.span()?;
    let (before, number, behind) = (text.get(..span.start)?, text.get(span.clone())?, text.get(span.end..)?);
    // Not a date, of which TOML has the whole token, too.
    number.replace('_', "").parse::<f64>().ok()?;
    format!("{before}\"{number}\"{behind}").parse().ok()
}

/// A value on the command line is written as in TOML, but text needs no quotes.
fn value_of(text: &str) -> Value {
    let read = format!("value = {text}").parse::<toml::Table>().ok();
    let value = read.and_then(|table| plain(table.get("value")?));
    value.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// A number or a text; a date, which could be read as a text, is none.
fn plain(value: &toml::Value) -> Option<Value> {
    if value.is_datetime() { None } else { value.clone().try_into().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbers_where_they_look_like_them() {
        let words = [
            "seed=3",
            "mask.sparsity=0.9",
            "mask.policy=mest-ems",
            "data.path=\"a b\"",
            "data.path=/x/y=z",
            "data.path=1979-05-27 07:32:00",
            "data.path=true",
        ];
        let source = Source::from_words(&words.map(String::from)).unwrap();
        let expected = [
            ("seed", Value::Integer(3)),
            ("mask.sparsity", Value::Number(0.9)),
            ("mask.policy", Value::Text("mest-ems".into())),
            ("data.path", Value::Text("a b".into())),
            ("data.path", Value::Text("/x/y=z".into())),
            ("data.path", Value::Text("1979-05-27 07:32:00".into())),
            ("data.path", Value::Text("true".into())),
        ];
        assert_eq!(source.entries(), expected.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn errors_name_file_line_and_key() {
        let syntax = Source::parse_file("a.toml", "seed = 1\nmask = [").unwrap_err().to_string();
        assert!(syntax.starts_with("a.toml, line 2: "), "{syntax}");
        let kind = Source::parse_file("a.toml", "[train]\nepochs = true").unwrap_err().to_string();
        assert_eq!(
            kind,
            "a.toml: `train.epochs` = true is a truth value; it takes a whole number from 1 to 10000"
        );
        let kind = Source::parse_file("a.toml", "[sieve]\ninterval = [2]").unwrap_err().to_string();
        assert_eq!(kind, "a.toml: `sieve.interval` is a list; it takes a whole number");
        let kind = Source::parse_file("a.toml", "epochs = 1979-05-27").unwrap_err().to_string();
        assert_eq!(kind, "a.toml: `epochs` = 1979-05-27 is a date; settings are numbers and texts");
        let missing = Source::from_words(&["no/such.toml".into()]).unwrap_err().to_string();
        assert!(missing.starts_with("no/such.toml: cannot read the configuration"), "{missing}");
        let word = Source::from_words(&["epochs".into()]).unwrap_err().to_string();
        assert_eq!(word, "`epochs` is neither key=value nor, as the first word, a file ending in .toml");
        let late = Source::from_words(&["seed=1".into(), "a.toml".into()]).unwrap_err().to_string();
        assert!(late.starts_with("`a.toml` is neither"), "{late}");
    }

    #[test]
    fn a_number_that_toml_cannot_hold_is_left_to_the_range_of_its_key() {
        for number in ["99999999999999999999", "-1e400", "1267650600228229401496703205376_000_000_000_000"] {
            let source =
                Source::parse_file("a.toml", &format!("[train]\nepochs = {number} # many\nshards = 4"));
            let expected = [
                ("train.epochs".to_owned(), Value::Text(number.to_owned())),
                ("train.shards".to_owned(), Value::Integer(4)),
            ];
            assert_eq!(source.unwrap().entries(), expected, "{number}");
        }
        let two = Source::parse_file("a.toml", "seed = 99999999999999999999\ndata = 99999999999999999999")
            .unwrap_err()
            .to_string();
        assert!(two.starts_with("a.toml, line "), "{two}");
    }

    #[test]
    fn tables_become_dotted_keys_and_deep_ones_are_refused() {
        let source = Source::parse_file("a.toml", "seed = 1\n[mask]\nsoft = 0.5").unwrap();
        assert_eq!(source.entries()[1], ("seed".to_owned(), Value::Integer(1)));
        assert_eq!(source.entries()[0], ("mask.soft".to_owned(), Value::Number(0.5)));
        let deep = format!("{}{}", "a = ".to_owned() + &"[".repeat(5000), "]".repeat(5000));
        assert!(Source::parse_file("a.toml", &deep).is_err());
    }
}
