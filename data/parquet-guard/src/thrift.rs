//! The Thrift compact protocol, in which footers and page headers are written: as much as it takes to walk
//! over them.
//!
//! `None` is what does not parse. Nothing is allocated, and every part takes at least a byte, so that a walk
//! ends.
//!
//! The Parquet library goes by the numbers of fields and not by their kinds: a field of another kind than the
//! format's could hide from a walk what the library finds. So every field that the format knows ([`Fields`])
//! has to be of its kind. What the format does not know is skipped by both.

/// Structs and lists inside one another; those of the format take nine.
const DEPTH_LIMIT: u32 = 16;

/// What a byte says of the value that follows. Numbers differ in how many bits they may have.
pub(crate) mod kind {
    pub(crate) const TRUE: u8 = 1;
    pub(crate) const FALSE: u8 = 2;
    pub(crate) const BYTE: u8 = 3;
    pub(crate) const SHORT: u8 = 4;
    pub(crate) const INTEGER: u8 = 5;
    pub(crate) const LONG: u8 = 6;
    pub(crate) const DOUBLE: u8 = 7;
    pub(crate) const BINARY: u8 = 8;
    pub(crate) const LIST: u8 = 9;
    pub(crate) const STRUCT: u8 = 12;
}

/// What a field has to be.
pub(crate) enum Kind {
    /// Whatever it is.
    Any,
    /// True or false.
    Flag,
    /// Any other without parts, by its byte.
    Plain(u8),
    List(&'static Kind),
    Struct(Fields),
}

/// The fields of a struct, from number 1 on.
pub(crate) type Fields = &'static [Kind];

impl Kind {
    /// Whether a value of this byte is one.
    fn is(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Flag => byte == kind::TRUE || byte == kind::FALSE,
            Self::Plain(kind) => byte == *kind,
            Self::List(_) => byte == kind::LIST,
            Self::Struct(_) => byte == kind::STRUCT,
        }
    }
}

/// Where a walk is.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

impl Reader<'_> {
    /// The kind of the next field, whose number goes to `id`; `Some(None)` at the end of the struct. The
    /// numbers have to ascend, as every writer has them: what comes twice could have two meanings.
    pub(crate) fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
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

    /// Walks over field `id`, announced as `byte`, of a struct with these `fields`.
    pub(crate) fn known(&mut self, fields: Fields, id: i64, byte: u8) -> Option<()> {
        self.value(byte, of(fields, id), 0)
    }

    /// Walks over a value announced as `byte` that has to be `expected` and is inside of `depth` others.
    fn value(&mut self, byte: u8, expected: &Kind, depth: u32) -> Option<()> {
        if depth > DEPTH_LIMIT || !expected.is(byte) {
            return None;
        }
        match byte {
            // Booleans of a field are its kind.
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.advance(1),
            kind::SHORT..=kind::LONG => self.varint().map(drop),
            kind::DOUBLE => self.advance(8),
            kind::BINARY => self.binary().map(drop),
            kind::LIST => {
                let inner = if let Kind::List(inner) = expected { inner } else { &Kind::Any };
                let (byte, count) = self.list()?;
                (0..count).try_for_each(|_| self.element(byte, inner, depth + 1))
            }
            kind::STRUCT => {
                let fields = if let Kind::Struct(fields) = expected { fields } else { &[][..] };
                let mut id = 0;
                while let Some(byte) = self.field(&mut id)? {
                    self.value(byte, of(fields, id), depth + 1)?;
                }
                Some(())
            }
            // Sets, maps and the like, which the format does not have.
            _ => None,
        }
    }

    /// A value of a list. The Parquet library takes no bytes for booleans in lists, where the protocol has
    /// one for each: it could be made to count to 2³¹ for a few bytes. There are none in its files.
    fn element(&mut self, byte: u8, expected: &Kind, depth: u32) -> Option<()> {
        if byte <= kind::FALSE { None } else { self.value(byte, expected, depth) }
    }

    /// The kind of a list's values, and how many it claims.
    pub(crate) fn list(&mut self) -> Option<(u8, u64)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Some((byte & 0x0F, count))
    }

    /// How many bytes a text has that is walked over.
    pub(crate) fn binary(&mut self) -> Option<u64> {
        let length = self.varint()?;
        self.advance(usize::try_from(length).ok()?)?;
        Some(length)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn advance(&mut self, count: usize) -> Option<()> {
        self.bytes = self.bytes.get(count..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
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

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// Field `id` of a struct.
fn of(fields: Fields, id: i64) -> &'static Kind {
    let place = usize::try_from(id - 1).ok();
    place.and_then(|place| fields.get(place)).unwrap_or(&Kind::Any)
}

/// A number as it is written, for tests that build headers byte by byte.
#[cfg(test)]
pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
