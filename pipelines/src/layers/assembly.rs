//! From tables to the operations of a network.

use std::collections::BTreeMap;

use spfde_data::nearest;
use spfde_model::{Logits, NetworkBuilder, Node};
use toml::{Table, Value};

/// What a table can say, and the options that go with it.
const WORDS: [(&str, &[&str]); 16] = [
    ("convolution", &["kernel", "stride", "padding", "groups", "depthwise", "after", "name"]),
    ("linear", &["after", "name"]),
    ("batch_norm", &[]),
    ("relu", &[]),
    ("max_pool", &["after", "name"]),
    ("wide_max_pool", &["after", "name"]),
    ("average_pool", &["after", "name"]),
    ("add", &["after", "name"]),
    ("concatenate", &["name"]),
    ("gelu", &["after", "name"]),
    ("dropout", &["after", "name"]),
    ("sum", &["after", "name"]),
    ("layer_norm", &["after", "name"]),
    ("patches", &["after", "name"]),
    ("attention", &["after", "name"]),
    ("block", &[]),
];

/// What is wrong, and in which table, if in one.
pub(super) type Mistake = (Option<usize>, String);

/// A network on its way, table by table.
pub(super) struct Assembly<'n> {
    network: &'n NetworkBuilder,
    /// What tables can name: the images, values with a name, and the last value of each block that has ended.
    values: BTreeMap<String, Node<'n>>,
    last: Node<'n>,
    /// What the table before says.
    word: &'static str,
    /// The block that has begun.
    block: String,
    /// The table of each operation.
    pub(super) origins: Vec<usize>,
}

impl<'n> Assembly<'n> {
    pub(super) fn new(network: &'n NetworkBuilder) -> Self {
        let (last, block) = (network.input(), "block0".to_owned());
        let values = BTreeMap::from([("input".to_owned(), last)]);
        Self { network, values, last, word: "", block, origins: vec![] }
    }

    /// Adds all operations.
    pub(super) fn read(&mut self, tables: &[Table]) -> Result<Logits, Mistake> {
        let empty = "it is empty; it takes a list of tables, such as [{ linear = 100 }, { relu = true }, …], \
                     which ends with { linear = CLASSES }";
        let (last, others) = tables.split_last().ok_or((None, empty.to_owned()))?;
        for (number, table) in others.iter().enumerate() {
            self.step(number, table).map_err(|problem| (Some(number), problem))?;
        }
        self.classifier(others.len(), last).map_err(|problem| (Some(others.len()), problem))
    }

    /// The last table, which is the classifier.
    fn classifier(&mut self, number: usize, table: &Table) -> Result<Logits, String> {
        let (word, options) = word_of(table)?;
        let (found, classes) = (whole(table, word), self.network.classes());
        if word != "linear" {
            return Err(format!("the last layer is the classifier, linear = {classes}"));
        }
        let features = found?.expect("it is there");
        if features != classes {
            return Err(format!("the last layer has {features} outputs, the data {classes} classes"));
        }
        check_options(table, word, &options[..1])?;
        let input = self.input(table)?;
        self.origins.push(number);
        Ok(self.network.classifier(input))
    }

    fn step(&mut self, number: usize, table: &Table) -> Result<(), String> {
        let (word, options) = word_of(table)?;
        check_options(table, word, options)?;
        let network = self.network;
        let name = text(table, "name")?;
        let value = match word {
            "block" => self.begin(text(table, word)?.expect("it is there"))?,
            "batch_norm" => {
                self.follow(table, word, &["convolution"])?;
                self.last.batch_norm();
                None
            }
            "relu" => {
                self.follow(table, word, &["convolution", "batch_norm", "linear", "add"])?;
                self.last.relu();
                None
            }
            "convolution" => Some(self.convolution(table)?),
            "linear" => {
                let features = whole(table, word)?.expect("it is there");
                Some(network.linear(features).after(self.input(table)?))
            }
            "add" | "sum" => {
                let other = self.named(&text(table, word)?.expect("it is there"))?;
                let input = self.input(table)?;
                Some(if word == "add" { network.add(input, other) } else { network.sum(input, other) })
            }
            "patches" | "attention" => {
                let number = whole(table, word)?.expect("it is there");
                let input = self.input(table)?;
                let patches = word == "patches";
                Some(if patches { network.patches(input, number) } else { network.attention(input, number) })
            }
            "concatenate" => {
                let names = table[word].as_array().map_or(&[][..], Vec::as_slice);
                let names =
                    names.iter().map(|name| name.as_str().ok_or_else(|| format!("{name} is no name")));
                let values = names.map(|name| self.named(name?)).collect::<Result<Vec<_>, _>>()?;
                Some(network.concatenate(&values))
            }
            "dropout" => {
                let share = table[word].as_float().ok_or("dropout is a share such as 0.1")?;
                Some(network.dropout(self.input(table)?, share))
            }
            other => {
                truth(table, other)?;
                let input = self.input(table)?;
                Some(match other {
                    "gelu" => network.gelu(input),
                    "layer_norm" => network.layer_norm(input),
                    "max_pool" => network.max_pool(input),
                    "wide_max_pool" => network.wide_max_pool(input),
                    _ => network.average_pool(input),
                })
            }
        };
        self.word = word;
        let Some(mut value) = value else { return Ok(()) };
        self.origins.push(number);
        if let Some(name) = name {
            self.is_new(&name)?;
            if ["convolution", "linear"].contains(&word) {
                value = value.named(&name);
            }
            self.values.insert(name, value);
        }
        self.last = value;
        Ok(())
    }

    fn convolution(&self, table: &Table) -> Result<Node<'n>, String> {
        let channels = whole(table, "convolution")?.expect("it is there");
        let kernel = whole(table, "kernel")?.ok_or("it lacks a kernel, such as kernel = 3")?;
        let mut node = self.network.convolution(channels, kernel).after(self.input(table)?);
        if let Some(pixels) = whole(table, "stride")? {
            node = node.stride(pixels);
        }
        if let Some(pixels) = whole(table, "padding")? {
            node = node.padding(pixels);
        }
        Ok(match (whole(table, "groups")?, truth(table, "depthwise")?) {
            (None, false) => node,
            (None, true) => node.depthwise(),
            (Some(groups), false) => node.groups(groups),
            (Some(_), true) => return Err("depthwise says how many groups there are".to_owned()),
        })
    }

    /// Begins a block.
    fn begin(&mut self, name: String) -> Result<Option<Node<'n>>, String> {
        self.is_new(&name)?;
        let before = std::mem::replace(&mut self.block, name.clone());
        if !self.origins.is_empty() {
            self.values.insert(before, self.last);
        }
        self.network.block_named(name);
        Ok(None)
    }

    /// Checks that `word`, which is true, has one of these in front of it.
    fn follow(&self, table: &Table, word: &str, words: &[&str]) -> Result<(), String> {
        truth(table, word)?;
        if words.contains(&self.word) {
            return Ok(());
        }
        Err(format!("it follows a table with {}", words.join(", ")))
    }

    /// What a table reads: what `after` says, or what was written last.
    fn input(&self, table: &Table) -> Result<Node<'n>, String> {
        text(table, "after")?.map_or(Ok(self.last), |name| self.named(&name))
    }

    fn named(&self, name: &str) -> Result<Node<'n>, String> {
        self.values.get(name).copied().ok_or_else(|| {
            let known: Vec<&str> = self.values.keys().map(String::as_str).collect();
            format!("nothing before it is called {name:?}; there are {}", known.join(", "))
        })
    }

    fn is_new(&self, name: &str) -> Result<(), String> {
        let is_known = self.values.contains_key(name) || !self.origins.is_empty() && self.block == name;
        if is_known { Err(format!("something before it is called {name:?}, too")) } else { Ok(()) }
    }
}

/// What a table says, and the options that it may have.
fn word_of(table: &Table) -> Result<(&'static str, &'static [&'static str]), String> {
    let words: Vec<_> = WORDS.into_iter().filter(|(word, _)| table.contains_key(*word)).collect();
    match words[..] {
        [word] => Ok(word),
        [] => {
            let words = WORDS.map(|(word, _)| word).join(", ");
            Err(format!("it says none of {words}"))
        }
        [(first, _), (second, _), ..] => Err(format!("it says both {first} and {second}: write two tables")),
    }
}

/// Checks that a table has no other keys than its word and these options.
fn check_options(table: &Table, word: &str, options: &[&str]) -> Result<(), String> {
    let unknown = table.keys().find(|key| *key != word && !options.contains(&key.as_str()));
    let Some(unknown) = unknown else { return Ok(()) };
    let near = nearest(unknown, options.iter().copied()).map(|near| format!("; did you mean {near}?"));
    let takes = if options.is_empty() { "no options".to_owned() } else { options.join(", ") };
    Err(format!("{unknown} is no option of {word}{}", near.unwrap_or(format!(", which takes {takes}"))))
}

/// A whole number from 0 on, if the table has such a key.
fn whole(table: &Table, key: &str) -> Result<Option<usize>, String> {
    let read = |value: &Value| {
        let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| format!("{key} = {value} is no whole number from 0 on"))
    };
    table.get(key).map(read).transpose()
}

/// A text, if the table has such a key.
fn text(table: &Table, key: &str) -> Result<Option<String>, String> {
    let read = |value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| format!("{key} = {value} is no text in quotes"))
    };
    table.get(key).map(read).transpose()
}

/// Whether the table has such a key, which is true.
fn truth(table: &Table, key: &str) -> Result<bool, String> {
    match table.get(key) {
        None => Ok(false),
        Some(Value::Boolean(true)) => Ok(true),
        Some(value) => Err(format!("{key} = {value}; write {key} = true, or leave it out")),
    }
}
