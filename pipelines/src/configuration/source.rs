//! Where settings come from: a TOML file, then `key=value` words.

use std::io::Read;
use std::path::Path;

use spfde_data::parameter::{ParameterError, Value};

use super::keys::{expected, tables};
use crate::registry::Registry;

/// A configuration file larger than this is not one.
const LARGEST_FILE: u64 = 1 << 20;

/// Settings as they were written, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source(Vec<(String, Value)>);

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("{path}: cannot read the configuration: {reason}")]
    File {
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{path}, line {line}: {reason}")]
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A value that no key takes, such as a list or a date.
    #[error("{place}: `{key}`{value} is {kind}; {expected}")]
    Kind {
        /// File or word.
        place: String,
        /// The key.
        key: String,
        /// The value behind an equals sign, if it is short.
        value: String,
        /// What it is.
        kind: &'static str,
        /// What it should be.
        expected: String,
    },
    /// No data set has the name, nor is there anything at the path.
    #[error(
        "data.path is {found:?}: no data set of the program has this name (`spfde list data`), and there is nothing at this path{}; \
         `spfde import` makes a directory of images",
        meant.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
    )]
    NoData {
        /// The value.
        found: String,
        /// A data set with a name like that.
        meant: Option<String>,
    },
    /// A word that is not `key=value`.
    #[error("`{word}` is neither key=value nor, as the first word, a file ending in .toml")]
    Word {
        /// The word.
        word: String,
    },
    /// A command lacks one of its words.
    #[error("{what} is missing, such as {example}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How it may look.
        example: &'static str,
    },
    /// Two runs would be written to the same directory.
    #[error("two runs are called {name}, and would both be written to {out}/{name}; write them one by one")]
    SameName {
        /// The name.
        name: String,
        /// The directory for both.
        out: String,
    },
    /// What is written would lie within a run that is read.
    #[error("--out {out}: lies within the run {run}, which is read; choose a directory outside of it")]
    Within {
        /// Where to write.
        out: String,
        /// The run.
        run: String,
    },
    /// Several runs cannot be followed at once.
    #[error("--follow takes one run, not {runs}; follow each in a terminal of its own")]
    FollowMany {
        /// How many there are.
        runs: usize,
    },
    /// A table that has no such column.
    #[error(
        "--sort {column}: bare scores have no costs, no layers and no recorded decisions; sort by member, active_samples, \
         trained_samples, changes or censored_samples"
    )]
    Sort {
        /// The column.
        column: String,
    },
    /// A key or value that does not fit.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

impl Source {
    /// The entries in the order in which they were written.
    pub fn entries(&self) -> &[(String, Value)] {
        &self.0
    }

    /// Reads words as the command line has them: first, optionally, a file ending in `.toml`; then `key=value`.
    pub fn from_words(words: &[String]) -> Result<Self, ConfigurationError> {
        let mut source = Self::default();
        for word in words {
            if let Some((key, value)) = word.split_once('=') {
                source.0.push((key.trim().to_owned(), value_of(key.trim(), value.trim(), word)?));
            } else if word.ends_with(".toml") && source.0.is_empty() {
                source.0.extend(Self::read(Path::new(word))?.0);
            } else {
                return Err(ConfigurationError::Word { word: word.clone() });
            }
        }
        Ok(source)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let error = |reason: String| ConfigurationError::File { path: path.display().to_string(), reason };
        let failed = |e: std::io::Error| error(e.to_string());
        // Looked at before it is opened: opening a pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(error("it is not an ordinary file".to_owned()));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(error(format!("it has more than the {LARGEST_FILE} bytes that are read")));
        }
        let text = String::from_utf8(bytes).map_err(|e| error(e.utf8_error().to_string()))?;
        Self::parse_file(&path.display().to_string(), &text)
    }

    /// Reads the text of a file called `path`: tables become the first part of dotted keys.
    pub fn parse_file(path: &str, text: &str) -> Result<Self, ConfigurationError> {
        let read = text.parse().or_else(|error| beyond_numbers(text, &error).ok_or(error));
        let table: toml::Table = read.map_err(|error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text[..at.min(text.len())].matches('\n').count() + 1;
            ConfigurationError::Syntax { path: path.to_owned(), line, reason: error.message().to_owned() }
        })?;
        // One with keys is noticed by them.
        let known = tables(&Registry::standard());
        let is_unknown = |name: &str, value: &toml::Value| {
            value.as_table().is_some_and(toml::Table::is_empty) && !known.contains(name)
        };
        if let Some((name, _)) = table.iter().find(|(name, value)| is_unknown(name, value)) {
            let known: Vec<String> = known.iter().map(|name| format!("[{name}]")).collect();
            let reason =
                format!("there is no table [{}]; there are {}", name.escape_debug(), known.join(", "));
            return Err(ConfigurationError::File { path: path.to_owned(), reason });
        }
        let mut source = Self::default();
        source.flatten(path, "", table)?;
        Ok(source)
    }

    fn flatten(&mut self, place: &str, prefix: &str, table: toml::Table) -> Result<(), ConfigurationError> {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                // Keys have at most two parts: deeper tables are as unknown as any other key.
                toml::Value::Table(table) if prefix.is_empty() => self.flatten(place, &key, table)?,
                value => self.0.push((key.clone(), convert(place, &key, value)?)),
            }
        }
        Ok(())
    }
}

/// A file whose one mistake is a number that TOML cannot hold, with that number as a text: where it ends up it is out of range,
/// and the message names its key.
fn beyond_numbers(text: &str, error: &toml::de::Error) -> Option<toml::Table> {
    let span = error.span()?;
    let (before, number, behind) = (text.get(..span.start)?, text.get(span.clone())?, text.get(span.end..)?);
    // Not a date, of which TOML has the whole token, too.
    number.replace('_', "").parse::<f64>().ok()?;
    format!("{before}\"{number}\"{behind}").parse().ok()
}

fn convert(place: &str, key: &str, value: toml::Value) -> Result<Value, ConfigurationError> {
    let kind = match value {
        toml::Value::Integer(value) => return Ok(Value::Integer(value)),
        toml::Value::Float(value) => return Ok(Value::Number(value)),
        toml::Value::String(value) => return Ok(Value::Text(value)),
        toml::Value::Boolean(_) => "a truth value",
        toml::Value::Datetime(_) => "a date",
        toml::Value::Array(_) => "a list",
        toml::Value::Table(_) => "a table",
    };
    let value = match value {
        toml::Value::Boolean(_) | toml::Value::Datetime(_) => format!(" = {value}"),
        _ => String::new(),
    };
    let expected = expected(&Registry::standard(), key).map_or_else(
        || "settings are numbers and texts".to_owned(),
        |expected| format!("it takes {expected}"),
    );
    Err(ConfigurationError::Kind { place: place.to_owned(), key: key.to_owned(), value, kind, expected })
}

/// A value on the command line is written as in TOML, but text needs no quotes.
fn value_of(key: &str, text: &str, word: &str) -> Result<Value, ConfigurationError> {
    match format!("value = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value")) {
        Some(value @ (toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::String(_))) => {
            convert(word, key, value)
        }
        _ => Ok(Value::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbers_where_they_look_like_them() {
        let words =
            ["seed=3", "mask.sparsity=0.9", "mask.policy=mest-ems", "data.path=\"a b\"", "data.path=/x/y=z"];
        let source = Source::from_words(&words.map(String::from)).unwrap();
        let expected = [
            ("seed", Value::Integer(3)),
            ("mask.sparsity", Value::Number(0.9)),
            ("mask.policy", Value::Text("mest-ems".into())),
            ("data.path", Value::Text("a b".into())),
            ("data.path", Value::Text("/x/y=z".into())),
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
