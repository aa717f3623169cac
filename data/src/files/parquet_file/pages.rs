//! Walks the page headers of a column, so that no decoder allocates what a header merely claims.
//!
//! The sizes, counts and encodings of pages stand in front of each page (Thrift compact protocol). The footer need not say the
//! same, and the Parquet library goes by the pages: it reserves their sizes before it decompresses, and the counts of their
//! dictionaries before it decodes.

use parquet::basic::Type;

use super::format::{DATA, DATA_2, DICTIONARY, PAGE};
use super::thrift::{Fields, Reader, kind};

/// Uncompressed bytes that a page may claim. The pages that this crate writes stay below a few MiB.
pub(super) const PAGE_LIMIT: u64 = 64 << 20;

/// The number that stands for values one after the other.
const PLAIN: i64 = 0;

/// Why a column's pages cannot be trusted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageFault {
    /// A header that does not parse or leads out of the column.
    Broken,
    /// A page that claims more than [`PAGE_LIMIT`] bytes.
    TooLarge(u64),
    /// A dictionary that claims more values than its bytes can hold.
    Dictionary { values: u64, limit: u64 },
    /// Values of variable length that a few bytes of the page could stand for.
    Expands,
}

/// Uncompressed bytes that the pages of a column claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Of the largest dictionary.
    pub(super) dictionary: u64,
    /// Of the largest page.
    pub(super) page: u64,
    /// Of all of them.
    pub(super) total: u64,
}

impl Claims {
    /// Of two parts of a column together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            dictionary: self.dictionary.max(other.dictionary),
            page: self.page.max(other.page),
            total: self.total.saturating_add(other.total),
        }
    }
}

/// Checks all pages in the bytes of one column chunk with values of type `kind`.
pub(super) fn check(mut chunk: &[u8], kind: Type) -> Result<Claims, PageFault> {
    let mut claims = Claims::default();
    while !chunk.is_empty() {
        let mut reader = Reader { bytes: chunk };
        let header = reader.page_header().ok_or(PageFault::Broken)?;
        let claimed = u64::try_from(header.uncompressed).map_err(|_| PageFault::Broken)?;
        if claimed > PAGE_LIMIT {
            return Err(PageFault::TooLarge(claimed));
        }
        if kind == Type::BYTE_ARRAY && (header.dictionary.is_some() || !header.is_plain) {
            return Err(PageFault::Expands);
        }
        let dictionary = match header.dictionary {
            None => 0,
            Some(values) => {
                let values = u64::try_from(values).map_err(|_| PageFault::Broken)?;
                let limit = claimed / width(kind);
                if values > limit {
                    return Err(PageFault::Dictionary { values, limit });
                }
                claimed
            }
        };
        claims = claims.and(Claims { dictionary, page: claimed, total: claimed });
        let compressed = usize::try_from(header.compressed).map_err(|_| PageFault::Broken)?;
        chunk = reader.bytes.get(compressed..).ok_or(PageFault::Broken)?;
    }
    Ok(claims)
}

/// Bytes that a value takes in a dictionary, at least.
fn width(kind: Type) -> u64 {
    match kind {
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::BOOLEAN | Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => 1,
    }
}

/// What matters of a page header.
#[derive(Debug)]
struct Header {
    uncompressed: i64,
    compressed: i64,
    /// Values of a dictionary, if it is one.
    dictionary: Option<i64>,
    /// Whether all data are plain values.
    is_plain: bool,
}

impl Reader<'_> {
    fn page_header(&mut self) -> Option<Header> {
        let (mut uncompressed, mut compressed, mut id) = (None, None, 0);
        let (mut dictionary, mut is_plain) = (None, true);
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                (2, kind::INTEGER) => uncompressed = Some(self.signed()?),
                (3, kind::INTEGER) => compressed = Some(self.signed()?),
                (5, kind::STRUCT) => is_plain &= self.number(2, DATA)? == PLAIN,
                (7, kind::STRUCT) => dictionary = Some(self.number(1, DICTIONARY)?),
                (8, kind::STRUCT) => is_plain &= self.number(4, DATA_2)? == PLAIN,
                _ => self.known(PAGE, id, kind)?,
            }
        }
        Some(Header { uncompressed: uncompressed?, compressed: compressed?, dictionary, is_plain })
    }

    /// Field `wanted` of a struct with these `fields`, a number.
    fn number(&mut self, wanted: i64, fields: Fields) -> Option<i64> {
        let (mut number, mut id) = (None, 0);
        while let Some(kind) = self.field(&mut id)? {
            match kind {
                kind::INTEGER if id == wanted => number = Some(self.signed()?),
                _ => self.known(fields, id, kind)?,
            }
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::super::thrift::varint;
    use super::*;

    fn zigzag(number: u64) -> Vec<u8> {
        varint(number << 1)
    }

    /// A page header with these sizes and the nested struct `nested`, whose number is by `delta` greater than three, then
    /// `body` bytes.
    fn page_with(uncompressed: u64, compressed: u64, delta: u8, nested: &[u8], body: usize) -> Vec<u8> {
        let sizes = [&[0x15, 0x00, 0x15][..], &zigzag(uncompressed), &[0x15], &zigzag(compressed)].concat();
        [&sizes[..], &[delta << 4 | 0x0C], nested, &[0, 0], &vec![0xAA; body]].concat()
    }

    /// A page of plain values. Inside the struct: four numbers, statistics with an empty text and a true, a field of a later
    /// format with a list of structs.
    fn page(uncompressed: u64, compressed: u64, body: usize) -> Vec<u8> {
        let numbers = [0x15, 0x02, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06];
        let nested = [&numbers[..], &[0x1C, 0x18, 0x00, 0x61, 0x00], &[0xB9, 0x2C, 0x15, 0x02, 0x00, 0x00]];
        page_with(uncompressed, compressed, 2, &nested.concat(), body)
    }

    fn dictionary(uncompressed: u64, values: u64) -> Vec<u8> {
        let nested = [&[0x15][..], &zigzag(values), &[0x15, 0x00]].concat();
        page_with(uncompressed, 0, 4, &nested, 0)
    }

    fn check(chunk: &[u8]) -> Result<Claims, PageFault> {
        super::check(chunk, Type::INT32)
    }

    #[test]
    fn pages_within_the_limit_pass_and_their_claims_are_summed() {
        let chunk = [dictionary(800, 200), page(1000, 17, 17), page(PAGE_LIMIT, 0, 0)].concat();
        let claims = Claims { dictionary: 800, page: PAGE_LIMIT, total: PAGE_LIMIT + 1800 };
        assert_eq!(check(&chunk), Ok(claims));
        assert_eq!(check(&[]), Ok(Claims::default()));
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
        assert_eq!(check(&chunk), Err(PageFault::Broken));
        // A checksum that is a text: the library takes its length for the number, and its bytes for the next fields.
        let text = [0x15, 0x00, 0x28, 0x08, 0x15, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 0x15, 0x00, 0x00];
        assert_eq!(
            check(&[&[0x15, 0x00, 0x15, 0x00, 0x15, 0x00][..], &text[2..], &[0x00]].concat()),
            Err(PageFault::Broken)
        );
        // Field 65538, which is 2 in 16 bits; field 2 as a number of another width.
        let far = [&[0x15, 0x00, 0x05][..], &zigzag(65_538), &zigzag(1 << 30), &[0x05, 0x04, 0x02, 0x00]];
        assert_eq!(check(&far.concat()), Err(PageFault::Broken));
        assert_eq!(check(&[0x15, 0x00, 0x16, 0x02, 0x15, 0x02, 0x15, 0x00, 0x00]), Err(PageFault::Broken));
    }

    #[test]
    fn a_dictionary_has_no_more_values_than_its_bytes() {
        let fault = PageFault::Dictionary { values: 201, limit: 200 };
        assert_eq!(check(&dictionary(800, 201)), Err(fault));
        assert!(super::check(&dictionary(800, 101), Type::INT64).is_err());
        assert!(check(&dictionary(800, 0x7FFF_FFFF)).is_err());
    }

    #[test]
    fn text_is_plain_whatever_the_footer_says() {
        let text = |chunk: &[u8]| super::check(chunk, Type::BYTE_ARRAY);
        assert!(text(&page(1000, 17, 17)).is_ok());
        assert_eq!(text(&dictionary(800, 1)), Err(PageFault::Expands));
        // Lengths as deltas, in a page of either version.
        let lengths = zigzag(6);
        let first = [&[0x15, 0x02, 0x15][..], &lengths].concat();
        assert_eq!(text(&page_with(9, 0, 2, &first, 0)), Err(PageFault::Expands));
        let second = [&[0x15, 0x02, 0x15, 0x00, 0x15, 0x02, 0x15][..], &lengths].concat();
        assert_eq!(text(&page_with(9, 0, 5, &second, 0)), Err(PageFault::Expands));
        assert!(check(&page_with(9, 0, 5, &second, 0)).is_ok());
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
