//! The steps of a pickle.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Node, Place};

/// Steps of a pickle: the largest file of CIFAR-100 takes some four for each of 50 000 images.
const STEPS_LIMIT: u64 = 1 << 21;

/// What is read of a pickle so far.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    /// How far it was read.
    pub(super) at: usize,
    pub(super) nodes: Vec<Node>,
    stack: Vec<Place>,
    marks: Vec<usize>,
    memo: BTreeMap<u64, Place>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let (nodes, stack, marks) = (Vec::new(), Vec::new(), Vec::new());
        Self { bytes, at: 0, nodes, stack, marks, memo: BTreeMap::new() }
    }

    /// Goes through the steps; the place of the result, or nothing if there is what should not be.
    pub(super) fn run(&mut self) -> Option<Place> {
        for _ in 0..STEPS_LIMIT {
            let step = self.number(1)?;
            match step as u8 {
                0x80 => {
                    self.number(1)?;
                }
                0x95 => {
                    self.number(8)?;
                }
                b'.' => return self.stack.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'}' => self.push(Node::Dictionary(Vec::new())),
                b']' | b')' => self.push(Node::List(Vec::new())),
                b'N' => self.push(Node::Other),
                0x88 => self.push(Node::Integer(1)),
                0x89 => self.push(Node::Integer(0)),
                b'K' => self.integer(1)?,
                b'M' => self.integer(2)?,
                b'J' => {
                    let bits = self.number(4)? as u32;
                    self.push(Node::Integer(i64::from(bits.cast_signed())));
                }
                0x8A => {
                    let length = self.number(1)?;
                    let bits = self.number(length.min(9) as usize)?;
                    // The last byte has the sign.
                    let unused = 64 - 8 * u32::try_from(length).ok()?.max(1);
                    self.push(Node::Integer((bits << unused).cast_signed() >> unused));
                }
                b'U' | b'C' | 0x8C => self.text(1)?,
                b'T' | b'X' | b'B' => self.text(4)?,
                0x8D | 0x8E | 0x96 => self.text(8)?,
                b't' | b'l' => {
                    let items = self.marked()?;
                    self.push(Node::List(items));
                }
                0x85..=0x87 => {
                    let start = self.stack.len().checked_sub((step - 0x84) as usize)?;
                    let items = self.stack.split_off(start);
                    self.push(Node::List(items));
                }
                b'a' => {
                    let item = self.stack.pop()?;
                    self.extend(vec![item])?;
                }
                b'e' | b'u' => {
                    let items = self.marked()?;
                    self.extend(items)?;
                }
                b's' => {
                    let start = self.stack.len().checked_sub(2)?;
                    let items = self.stack.split_off(start);
                    self.extend(items)?;
                }
                b'q' => self.remember(1)?,
                b'r' => self.remember(4)?,
                0x94 => {
                    self.memo.insert(self.memo.len() as u64, *self.stack.last()?);
                }
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'c' => {
                    self.line()?;
                    let name = self.line()?;
                    self.push(Node::Function(name));
                }
                0x93 => {
                    let (name, _) = (self.stack.pop()?, self.stack.pop()?);
                    let Node::Bytes(name) = &self.nodes[name] else { return None };
                    let name = name.clone();
                    self.push(Node::Function(name));
                }
                b'R' => {
                    let (arguments, function) = (self.stack.pop()?, self.stack.pop()?);
                    self.push(Node::Call { function, arguments, state: None });
                }
                b'b' => {
                    let given = self.stack.pop()?;
                    let Node::Call { state, .. } = &mut self.nodes[*self.stack.last()?] else { return None };
                    *state = Some(given);
                }
                _ => return None,
            }
        }
        None
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// The next bytes.
    fn take(&mut self, length: u64) -> Option<Range<usize>> {
        let end =
            self.at.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= self.bytes.len())?;
        Some(std::mem::replace(&mut self.at, end)..end)
    }

    /// A number of so many bytes, at most eight, the lowest first.
    fn number(&mut self, length: usize) -> Option<u64> {
        let range = self.take(length as u64)?;
        let mut bytes = [0; 8];
        bytes.get_mut(..length)?.copy_from_slice(&self.bytes[range]);
        Some(u64::from_le_bytes(bytes))
    }

    fn integer(&mut self, length: usize) -> Option<()> {
        let value = self.number(length)?;
        self.push(Node::Integer(value as i64));
        Some(())
    }

    /// Bytes behind their length, which has so many bytes.
    fn text(&mut self, length: usize) -> Option<()> {
        let length = self.number(length)?;
        let range = self.take(length)?;
        self.push(Node::Bytes(range));
        Some(())
    }

    fn line(&mut self) -> Option<Range<usize>> {
        let length = self.bytes[self.at..].iter().position(|byte| *byte == b'\n')?;
        let line = self.take(length as u64);
        self.at += 1;
        line
    }

    fn remember(&mut self, length: usize) -> Option<()> {
        let number = self.number(length)?;
        self.memo.insert(number, *self.stack.last()?);
        Some(())
    }

    fn recall(&mut self, length: usize) -> Option<()> {
        let number = self.number(length)?;
        self.stack.push(*self.memo.get(&number)?);
        Some(())
    }

    /// What was pushed since the last mark.
    fn marked(&mut self) -> Option<Vec<Place>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len())?;
        Some(self.stack.split_off(mark))
    }

    /// Appends items to the list or dictionary on the stack.
    fn extend(&mut self, items: Vec<Place>) -> Option<()> {
        match &mut self.nodes[*self.stack.last()?] {
            Node::List(list) => list.extend(items),
            Node::Dictionary(entries) => {
                let (pairs, []) = items.as_chunks::<2>() else { return None };
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return None,
        }
        Some(())
    }
}
