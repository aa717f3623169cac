//! The Thrift compact protocol, in which footers and page headers are written: as much as it takes to walk
//! over them.
//!
//! `None` is what does not parse. Nothing is allocated, and every part takes at least a byte, so that a walk
//! ends.
//!
//! The Parquet library goes by the numbers of fields and not by their kinds: a field of another kind than the
//! format's could hide from a walk what the library finds. So the fields whose claims matter have to be of
//! their kind ([`Fields`]): those of a footer, of the elements of its schema, and of page headers. What is
//! hidden elsewhere is a list for which the library reserves no more elements than bytes are left.

/// Structs and lists inside one another; those of the format take nine.
const DEPTH_LIMIT: u32 = 16;

/// What a byte says of the value that follows. Numbers differ in how many bits they may have.
pub(crate) mod kind {
    /// Of no value: stands for any in [`Fields`](super::Fields).
    pub(crate) const ANY: u8 = 0;
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

/// The kinds of the fields of a struct, from number 1 on; `TRUE` stands for `FALSE`, too. Further fields may
/// be of any kind.
pub(crate) type Fields = &'static [u8];

/// Where a walk is.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

impl Reader<'_> {
    /// The kind of the next field of a struct with these `fields`, whose number goes to `id`; `Some(None)` at
    /// the end of the struct. The numbers have to ascend, as every writer has them: what comes twice could
    /// have two meanings.
    pub(crate) fn field(&mut self, fields: Fields, id: &mut i64) -> Option<Option<u8>> {
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
        let kind = byte & 0x0F;
        let expected = usize::try_from(next - 1).ok().and_then(|place| fields.get(place).copied());
        let fits = match expected.unwrap_or(kind::ANY) {
            kind::ANY => true,
            kind::TRUE => kind == kind::TRUE || kind == kind::FALSE,
            expected => kind == expected,
        };
        fits.then_some(Some(kind))
    }

    /// Walks over a value of a kind.
    pub(crate) fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_inside(kind, 0)
    }

    /// Walks over a value that is inside of `depth` others.
    fn skip_inside(&mut self, kind: u8, depth: u32) -> Option<()> {
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
            kind::LIST => {
                // The Parquet library takes no bytes for booleans in lists, where the protocol has one for
                // each: it could be made to count to 2³¹ for a few bytes. There are none in its files.
                let (kind, count) = self.list().filter(|(kind, _)| *kind > kind::FALSE)?;
                (0..count).try_for_each(|_| self.skip_inside(kind, depth + 1))
            }
            kind::STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&[], &mut id)? {
                    self.skip_inside(kind, depth + 1)?;
                }
                Some(())
            }
            // Sets, maps and the like, which the format does not have.
            _ => None,
        }
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

    /// A number that is not negative.
    pub(crate) fn count(&mut self) -> Option<u64> {
        u64::try_from(self.signed()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
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
