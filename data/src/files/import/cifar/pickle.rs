//! The part of Python's pickle format (protocols 2 to 5) that the files of CIFAR are made of: dictionaries,
//! lists, texts, whole numbers and NumPy arrays of bytes. Nothing is ever run.
//!
//! The format can say values that are exponentially larger than its bytes, and nest them arbitrarily deep.
//! So values are kept in one list, and refer to each other by their places there.

mod machine;

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use machine::Machine;

use crate::files::import::AGAIN;
use crate::files::{DataError, Result};

/// The place of a value in the list.
type Place = usize;

/// A value.
enum Node {
    /// Text or bytes: where they are.
    Bytes(Range<usize>),
    Integer(i64),
    /// A list or tuple.
    List(Vec<Place>),
    Dictionary(Vec<(Place, Place)>),
    /// A function or class, by its name without its module.
    Function(Range<usize>),
    /// The result of a function, and the state that was given to it.
    Call {
        function: Place,
        arguments: Place,
        state: Option<Place>,
    },
    Other,
}

/// An array of NumPy.
struct Array<'a> {
    shape: &'a [Place],
    /// Such as `u1`.
    kind: Cow<'a, [u8]>,
    /// Whether the first dimension runs fastest.
    is_column_first: bool,
    bytes: Cow<'a, [u8]>,
}

/// A pickled dictionary.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
    root: Place,
}

impl<'a> Pickle<'a> {
    /// Reads a file; `path` is for messages.
    ///
    /// # Errors
    /// If it is damaged, or has what the files of CIFAR do not have.
    pub(super) fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let mut machine = Machine::new(bytes);
        match machine.run() {
            Some(root) if machine.at == bytes.len() => Ok(Self { bytes, nodes: machine.nodes, root }),
            Some(_) => Err(DataError::refused(path, "goes on behind the end of its pickle", AGAIN)),
            None => {
                let what = format!("is no pickle of CIFAR, as byte {} shows", machine.at.saturating_sub(1));
                Err(DataError::refused(path, what, "fetch it again; or is it another format?"))
            }
        }
    }

    /// The value of a key.
    fn get(&self, path: &Path, key: &str) -> Result<&Node> {
        let missing = || DataError::refused(path, format!("has no {key}"), "is it another data set?");
        let Node::Dictionary(entries) = &self.nodes[self.root] else { return Err(missing()) };
        let is_key = |place: Place| self.bytes(place).is_some_and(|found| *found == *key.as_bytes());
        let mut found = entries.iter().filter(|(place, _)| is_key(*place));
        let (Some((_, value)), second) = (found.next(), found.next()) else { return Err(missing()) };
        if second.is_some() {
            return Err(DataError::refused(path, format!("has {key} twice"), AGAIN));
        }
        Ok(&self.nodes[*value])
    }

    /// The whole numbers in the list `key`.
    pub(super) fn integers(&self, path: &Path, key: &str) -> Result<Vec<i64>> {
        let integer = |place: &Place| match self.nodes[*place] {
            Node::Integer(value) => Some(value),
            _ => None,
        };
        let Node::List(places) = self.get(path, key)? else { return Err(unfit(path, key, "a list")) };
        let integers: Option<Vec<i64>> = places.iter().map(integer).collect();
        integers.ok_or_else(|| unfit(path, key, "a list of whole numbers"))
    }

    /// The texts in the list `key`.
    pub(super) fn texts(&self, path: &Path, key: &str) -> Result<Vec<&'a [u8]>> {
        let text = |place: &Place| match &self.nodes[*place] {
            Node::Bytes(range) => Some(&self.bytes[range.clone()]),
            _ => None,
        };
        let Node::List(places) = self.get(path, key)? else { return Err(unfit(path, key, "a list")) };
        let texts: Option<Vec<&[u8]>> = places.iter().map(text).collect();
        texts.ok_or_else(|| unfit(path, key, "a list of texts"))
    }

    /// Appends the array `key`, rows of `width` bytes, to `into`.
    pub(super) fn rows(&self, path: &Path, key: &str, width: usize, into: &mut Vec<u8>) -> Result<()> {
        let Some(Array { shape, kind, is_column_first, bytes }) = self.array(self.get(path, key)?) else {
            return Err(unfit(path, key, "an array of NumPy"));
        };
        let shape = shape.iter().map(|place| self.integer(*place)).collect::<Option<Vec<usize>>>();
        let (rows, columns) = match shape.as_deref() {
            Some([rows, columns]) if &*kind == b"u1" => (*rows, *columns),
            _ => return Err(unfit(path, key, "an array of two dimensions and type uint8")),
        };
        if columns != width || rows.checked_mul(width) != Some(bytes.len()) {
            let found = format!("{rows} × {columns} of {} bytes", bytes.len());
            return Err(DataError::unfit(path, key, found, format!("rows of {width} bytes"), AGAIN));
        }
        match is_column_first {
            false => into.extend_from_slice(&bytes),
            true => into.extend((0..bytes.len()).map(|place| bytes[place % width * rows + place / width])),
        }
        Ok(())
    }

    /// Shape, type, order and bytes of an array.
    fn array(&self, node: &Node) -> Option<Array<'_>> {
        let Node::Call { function, arguments, state } = node else { return None };
        let [shape, kind, order, bytes] =
            match (self.name(*function)?, state.and_then(|state| self.list(state))) {
                (b"_reconstruct", Some([_, shape, kind, order, bytes])) => [shape, kind, order, bytes],
                (b"_frombuffer", _) => match self.list(*arguments)? {
                    [bytes, kind, shape, order] => [shape, kind, order, bytes],
                    _ => return None,
                },
                _ => return None,
            };
        let Node::Call { function, arguments, .. } = &self.nodes[*kind] else { return None };
        let kind = self.list(*arguments)?.first().filter(|_| self.name(*function) == Some(&b"dtype"[..]))?;
        let is_column_first = match &self.nodes[*order] {
            Node::Integer(order) => *order != 0,
            _ => &*self.bytes(*order)? == b"F",
        };
        Some(Array {
            shape: self.list(*shape)?,
            kind: self.bytes(*kind)?,
            is_column_first,
            bytes: self.bytes(*bytes)?,
        })
    }

    fn list(&self, place: Place) -> Option<&[Place]> {
        if let Node::List(places) = &self.nodes[place] { Some(places) } else { None }
    }

    fn name(&self, place: Place) -> Option<&'a [u8]> {
        if let Node::Function(name) = &self.nodes[place] { Some(&self.bytes[name.clone()]) } else { None }
    }

    fn integer(&self, place: Place) -> Option<usize> {
        if let Node::Integer(value) = self.nodes[place] { usize::try_from(value).ok() } else { None }
    }

    /// Text or bytes; bytes that newer versions of Python write for older ones are text of Latin letters.
    fn bytes(&self, place: Place) -> Option<Cow<'_, [u8]>> {
        match &self.nodes[place] {
            Node::Bytes(range) => Some(self.bytes[range.clone()].into()),
            Node::Call { function, arguments, .. } if self.name(*function) == Some(&b"encode"[..]) => {
                let Node::Bytes(text) = &self.nodes[*self.list(*arguments)?.first()?] else { return None };
                let text = std::str::from_utf8(&self.bytes[text.clone()]).ok()?;
                text.chars()
                    .map(|letter| u8::try_from(letter).ok())
                    .collect::<Option<Vec<u8>>>()
                    .map(Cow::from)
            }
            Node::Call { function, arguments, .. } if self.name(*function) == Some(&b"bytearray"[..]) => {
                // One level: what is in it is what a pickle has of bytes.
                let Node::Bytes(range) = &self.nodes[*self.list(*arguments)?.first()?] else { return None };
                Some(self.bytes[range.clone()].into())
            }
            _ => None,
        }
    }
}

fn unfit(path: &Path, key: &str, expected: &str) -> DataError {
    DataError::unfit(path, key, "something else", expected, "is it another data set?")
}
