//! Walks the page headers of a column, so that no decoder allocates what a header merely claims.
//!
//! The sizes of pages stand in front of each page (Thrift compact protocol), not in the footer, and the Parquet
//! library reserves them before it decompresses.

/// Uncompressed bytes that a page may claim. The pages that this crate writes stay below a few MiB.
pub(super) const PAGE_LIMIT: u64 = 64 << 20;

/// Structs inside structs; a page header has three levels.
const DEPTH_LIMIT: u32 = 8;

/// Why a column's pages cannot be trusted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageFault {
    /// A header that does not parse or leads out of the column.
    Broken,
    /// A page that claims more than [`PAGE_LIMIT`] bytes.
    TooLarge(u64),
}

/// Checks all pages in the bytes of one column chunk.
pub(super) fn check(mut chunk: &[u8]) -> Result<(), PageFault> {
    while !chunk.is_empty() {
        let mut header = Reader { bytes: chunk };
        let (uncompressed, compressed) = header.page_header().ok_or(PageFault::Broken)?;
        let claimed = u64::try_from(uncompressed).map_err(|_| PageFault::Broken)?;
        if claimed > PAGE_LIMIT {
            return Err(PageFault::TooLarge(claimed));
        }
        let compressed = usize::try_from(compressed).map_err(|_| PageFault::Broken)?;
        chunk = header.bytes.get(compressed..).ok_or(PageFault::Broken)?;
    }
    Ok(())
}

/// The part of the Thrift compact protocol that page headers use; `None` where it does not parse.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    /// The greatest uncompressed size and the last compressed size in a page header.
    fn page_header(&mut self) -> Option<(i64, i64)> {
        let (mut uncompressed, mut compressed, mut id) = (None, None, 0);
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                // A field that comes twice must not hide the greater claim.
                (2, 5) => uncompressed = uncompressed.max(Some(self.signed()?)),
                (3, 5) => compressed = Some(self.signed()?),
                _ => self.skip(kind, 0)?,
            }
        }
        Some((uncompressed?, compressed?))
    }

    /// The type of the next field, whose number goes to `id`; `Some(None)` at the end of the struct.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *id = match byte >> 4 {
            0 => self.signed()?,
            delta => id.checked_add(i64::from(delta))?,
        };
        Some(Some(byte & 0x0F))
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        match kind {
            // Booleans of a field are its type.
            1 | 2 => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.advance(8),
            8 => {
                let length = self.varint()?;
                self.advance(usize::try_from(length).ok()?)
            }
            12 => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            // Lists, sets and maps: page headers have none.
            _ => None,
        }
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

    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page header of type 0 with these sizes and a nested struct, then `body` bytes.
    fn page(uncompressed: u64, compressed: u64, body: usize) -> Vec<u8> {
        let mut bytes = vec![0x15, 0x00, 0x15];
        for (size, next) in [(uncompressed, 0x15), (compressed, 0x2C)] {
            let mut zigzag = size << 1;
            while zigzag >= 0x80 {
                bytes.push((zigzag & 0x7F) as u8 | 0x80);
                zigzag >>= 7;
            }
            bytes.extend([zigzag as u8, next]);
        }
        // Inside the struct: an i32, a true, an empty binary, the end; then the end of the header.
        bytes.extend([0x15, 0x02, 0x11, 0x18, 0x00, 0x00, 0x00]);
        bytes.extend(std::iter::repeat_n(0xAA, body));
        bytes
    }

    #[test]
    fn pages_within_the_limit_pass() {
        let chunk = [page(1000, 17, 17), page(PAGE_LIMIT, 0, 0)].concat();
        assert_eq!(check(&chunk), Ok(()));
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn a_page_that_claims_too_much_is_found_behind_others() {
        let chunk = [page(1000, 17, 17), page(PAGE_LIMIT + 1, 3, 3)].concat();
        assert_eq!(check(&chunk), Err(PageFault::TooLarge(PAGE_LIMIT + 1)));
    }

    #[test]
    fn a_claim_cannot_hide_behind_a_second_one() {
        // Field 2 twice: the long form of a field header states its number again.
        let mut chunk = vec![0x15, 0x00, 0x15];
        chunk.extend([0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
        chunk.extend([0x05, 0x04, 0x02, 0x15, 0x00, 0x00]);
        assert_eq!(check(&chunk), Err(PageFault::TooLarge(0x7FFF_FFFF)));
    }

    #[test]
    fn broken_headers_are_broken() {
        let good = page(1000, 17, 17);
        for length in 1..good.len() {
            assert_eq!(check(&good[..length]), Err(PageFault::Broken), "{length}");
        }
        assert_eq!(check(&[0x2C; 64]), Err(PageFault::Broken));
        assert_eq!(check(&[0xFF; 64]), Err(PageFault::Broken));
    }
}
