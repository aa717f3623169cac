//! The Thrift compact protocol, in which footers and page headers are written: as much as it takes to walk over them.
//!
//! `None` is what does not parse. Nothing is allocated, and whatever is walked over takes at least a byte for each of its
//! parts, so that a walk ends.
//!
//! The Parquet library goes by the numbers of fields and not by their kinds: a field of another kind than the format's could
//! hide from a walk what the library finds. So every field that the format knows ([`Fields`]) has to be of its kind. What the
//! format does not know is skipped by both.

/// Structs and lists inside one another, where nobody reads them.
const DEPTH_LIMIT: u32 = 8;

/// What a byte says of the value that follows. Numbers differ in how many bits they may have.
pub(super) mod kind {
    pub(in super::super) const TRUE: u8 = 1;
    pub(in super::super) const FALSE: u8 = 2;
    pub(in super::super) const BYTE: u8 = 3;
    pub(in super::super) const SHORT: u8 = 4;
    pub(in super::super) const INTEGER: u8 = 5;
    pub(in super::super) const LONG: u8 = 6;
    pub(in super::super) const DOUBLE: u8 = 7;
    pub(in super::super) const BINARY: u8 = 8;
    pub(in super::super) const LIST: u8 = 9;
    pub(in super::super) const SET: u8 = 10;
    pub(in super::super) const MAP: u8 = 11;
    pub(in super::super) const STRUCT: u8 = 12;
    pub(in super::super) const UUID: u8 = 13;
}

/// What a field is.
pub(super) enum Kind {
    /// True or false.
    Flag,
    /// Any other without parts, by its byte.
    Plain(u8),
    List(&'static Kind),
    Struct(Fields),
}

/// The fields of a struct, by number.
pub(super) type Fields = &'static [(i64, Kind)];

impl Kind {
    /// The byte that announces it.
    fn wire(&self) -> u8 {
        match self {
            Self::Flag => kind::TRUE,
            Self::Plain(kind) => *kind,
            Self::List(_) => kind::LIST,
            Self::Struct(_) => kind::STRUCT,
        }
    }
}

/// Where a walk is.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
}

impl Reader<'_> {
    /// The kind of the next field, whose number goes to `id`; `Some(None)` at the end of the struct. The numbers have to ascend,
    /// as every writer has them: what comes twice could have two meanings.
    pub(super) fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        let next = match byte >> 4 {
            0 => self.signed()?,
            delta => id.checked_add(i64::from(delta))?,
        };
        // The library's numbers have 16 bits; a greater one must not become one of those that matter.
        if next <= *id || i16::try_from(next).is_err() {
            return None;
        }
        *id = next;
        Some(Some(byte & 0x0F))
    }

    /// Walks over field `id` of a struct with these `fields`.
    pub(super) fn known(&mut self, fields: Fields, id: i64, kind: u8) -> Option<()> {
        match fields.iter().find(|(number, _)| *number == id) {
            None => self.skip(kind, 0),
            Some((_, Kind::Flag)) => (kind == kind::TRUE || kind == kind::FALSE).then_some(()),
            Some((_, expected)) => (kind == expected.wire()).then(|| self.value(expected)).flatten(),
        }
    }

    /// Walks over a value after its announcement.
    fn value(&mut self, expected: &Kind) -> Option<()> {
        match expected {
            Kind::Flag => None,
            Kind::Plain(kind) => self.skip(*kind, 0),
            Kind::List(inner) => {
                let (kind, count) = self.list()?;
                // Some writers do not say of what there is nothing.
                (count == 0 || kind == inner.wire()).then_some(())?;
                (0..count).try_for_each(|_| self.value(inner))
            }
            Kind::Struct(fields) => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.known(fields, id, kind)?;
                }
                Some(())
            }
        }
    }

    /// The kind of a list's values, and how many it claims.
    pub(super) fn list(&mut self) -> Option<(u8, u64)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Some((byte & 0x0F, count))
    }

    /// Walks over a value of this kind that is inside of `depth` others.
    pub(super) fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        match kind {
            // Booleans of a field are its kind.
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.advance(1),
            kind::SHORT..=kind::LONG => self.varint().map(drop),
            kind::DOUBLE => self.advance(8),
            kind::BINARY => self.binary().map(drop),
            kind::LIST | kind::SET => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_value(kind, depth + 1))
            }
            kind::MAP => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.skip_value(kinds >> 4, depth + 1)?;
                    self.skip_value(kinds & 0x0F, depth + 1)
                })
            }
            kind::STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            kind::UUID => self.advance(16),
            _ => None,
        }
    }

    /// A value of a list. The Parquet library takes no bytes for booleans in lists, where the protocol has one for each: it
    /// could be made to count to 2³¹ for a few bytes. There are none in its files.
    fn skip_value(&mut self, kind: u8, depth: u32) -> Option<()> {
        if kind <= kind::FALSE { None } else { self.skip(kind, depth) }
    }

    /// How many bytes a text has that is walked over.
    pub(super) fn binary(&mut self) -> Option<u64> {
        let length = self.varint()?;
        self.advance(usize::try_from(length).ok()?)?;
        Some(length)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(super) fn advance(&mut self, count: usize) -> Option<()> {
        self.bytes = self.bytes.get(count..)?;
        Some(())
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// A number as it is written, for tests that build headers byte by byte.
#[cfg(test)]
pub(super) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
