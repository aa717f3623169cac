//! Walks the page headers of a column, so that no decoder allocates what a header merely claims.
//!
//! The sizes, counts and encodings of pages stand in front of each page (Thrift compact protocol). The footer
//! need not say the same, and the Parquet library goes by the pages: it reserves their sizes before it
//! decompresses, and the counts of their dictionaries before it decodes.

use parquet::basic::{Compression, Type};

use crate::codecs;
use crate::error::{Checked, Fault};
use crate::thrift::kind::{FALSE, INTEGER, STRUCT, TRUE};
use crate::thrift::{Fields, Reader};

/// `PageHeader` of the Parquet format.
const PAGE: Fields = &[INTEGER, INTEGER, INTEGER, INTEGER, STRUCT, STRUCT, STRUCT, STRUCT];
/// `DataPageHeader`. Its statistics the library skips, too.
const DATA: Fields = &[INTEGER, INTEGER, INTEGER, INTEGER, STRUCT];
/// `DictionaryPageHeader`.
const DICTIONARY: Fields = &[INTEGER, INTEGER, TRUE];
/// `DataPageHeaderV2`.
const DATA_2: Fields = &[INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, TRUE, STRUCT];

/// Uncompressed bytes that a page may claim. The pages of a run stay below a few MiB.
pub(crate) const PAGE_LIMIT: u64 = crate::MEMORY_LIMIT / 4;

/// The numbers that stand for values one after the other, and for places in a dictionary.
const BOUNDED: [u64; 3] = [0, 2, 8];

/// That row groups are not what they have to be.
pub(crate) fn damaged() -> Fault {
    Fault::damaged("read the row groups")
}

/// Uncompressed bytes that the pages of a column claim.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Of the largest dictionary.
    pub(crate) dictionary: u64,
    /// Of the largest page.
    pub(crate) page: u64,
    /// Of all of them.
    pub(crate) total: u64,
    /// Bytes that decompressing a page takes beside them, at most.
    pub(crate) scratch: u64,
}

impl Claims {
    /// Checks all pages in the bytes of one chunk of `column`, whose values are of type `kind` and compressed
    /// by `codec`, and adds what they claim.
    pub(crate) fn add(&mut self, mut chunk: &[u8], column: &str, kind: Type, codec: Compression) -> Checked {
        if codec == Compression::LZO {
            return Err(codecs::unknown(column, "LZO"));
        }
        let mut is_first = true;
        while !chunk.is_empty() {
            let mut reader = Reader { bytes: chunk };
            let Header { size, compressed, levels, dictionary, is_bounded, is_compressed } =
                reader.page_header().ok_or_else(damaged)?;
            // The library decodes the bytes of a page that is not compressed, however few the page claims.
            let codec = if is_compressed { codec } else { Compression::UNCOMPRESSED };
            let size = if codec == Compression::UNCOMPRESSED { size.max(compressed as u64) } else { size };
            Fault::limit(format!("page size of column {column}"), size, PAGE_LIMIT)?;
            if kind == Type::BYTE_ARRAY && !is_bounded {
                return Err(Fault(format!(
                    "column {column} has variable length and another encoding than plain or a dictionary, \
                     which can stand for any amount of memory; write it plain"
                )));
            }
            // What the library makes of a column is bounded by the first page, if that is its dictionary.
            if kind == Type::BYTE_ARRAY && dictionary.is_some() && !is_first {
                return Err(damaged());
            }
            if let Some(values) = dictionary {
                let what = format!("number of dictionary values of column {column}");
                Fault::limit(what, values, size / width(kind))?;
                self.dictionary = self.dictionary.max(size);
            }
            self.page = self.page.max(size);
            self.total = self.total.saturating_add(size);
            is_first = false;
            let (page, rest) = reader.bytes.split_at_checked(compressed).ok_or_else(damaged)?;
            // More levels than there are bytes, or than claimed, are left to the library.
            if let (Some(values), Some(size)) = (page.get(levels..), size.checked_sub(levels as u64)) {
                codecs::check_page(codec, values, size, column)?;
            }
            self.scratch = self.scratch.max(codecs::scratch(codec, size));
            chunk = rest;
        }
        Ok(())
    }
}

/// Bytes that a value takes in a dictionary, at least.
fn width(kind: Type) -> u64 {
    match kind {
        // The length of a text is there, too.
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => 1,
    }
}

/// What matters of a page header.
struct Header {
    /// Uncompressed bytes.
    size: u64,
    compressed: usize,
    /// Bytes in front of the values that are not compressed.
    levels: usize,
    /// Values of a dictionary, if it is one.
    dictionary: Option<u64>,
    /// Whether all data are plain values, or places in a dictionary.
    is_bounded: bool,
    /// Whether the codec of the column applies; of the first version it always does.
    is_compressed: bool,
}

impl Reader<'_> {
    fn page_header(&mut self) -> Option<Header> {
        let (mut size, mut compressed, mut id) = (None, None, 0);
        let (mut levels, mut dictionary, mut is_bounded, mut is_compressed) = (0, None, true, true);
        while let Some(kind) = self.field(PAGE, &mut id)? {
            match id {
                2 => size = Some(self.count()?),
                3 => compressed = Some(usize::try_from(self.count()?).ok()?),
                5 => is_bounded &= BOUNDED.contains(&self.numbers([2], DATA)?[0]?),
                7 => dictionary = Some(self.numbers([1], DICTIONARY)?[0]?),
                8 => {
                    let [encoding, definitions, repetitions, compression] =
                        self.numbers([4, 5, 6, 7], DATA_2)?;
                    is_bounded &= BOUNDED.contains(&encoding?);
                    levels = usize::try_from(definitions?.checked_add(repetitions?)?).ok()?;
                    is_compressed = compression != Some(0);
                }
                _ => self.skip(kind)?,
            }
        }
        let (size, compressed) = (size?, compressed?);
        Some(Header { size, compressed, levels, dictionary, is_bounded, is_compressed })
    }

    /// The fields `wanted` of a struct with these `fields`, as far as they are there: numbers, or booleans
    /// as 0 and 1.
    fn numbers<const N: usize>(&mut self, wanted: [i64; N], fields: Fields) -> Option<[Option<u64>; N]> {
        let (mut numbers, mut id) = ([None; N], 0);
        while let Some(kind) = self.field(fields, &mut id)? {
            match (wanted.iter().position(|wanted| *wanted == id), kind) {
                (Some(place), TRUE | FALSE) => numbers[place] = Some(u64::from(kind == TRUE)),
                (Some(place), _) => numbers[place] = Some(self.count()?),
                (None, _) => self.skip(kind)?,
            }
        }
        Some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thrift::varint;

    fn zigzag(number: u64) -> Vec<u8> {
        varint(number << 1)
    }

    /// A page header with these sizes and the nested struct `nested`, whose number is by `delta` greater than
    /// three, then `body` bytes.
    fn page_with(uncompressed: u64, compressed: u64, delta: u8, nested: &[u8], body: usize) -> Vec<u8> {
        let sizes = [&[0x15, 0x00, 0x15][..], &zigzag(uncompressed), &[0x15], &zigzag(compressed)].concat();
        [&sizes[..], &[delta << 4 | 0x0C], nested, &[0, 0], &vec![0xAA; body]].concat()
    }

    /// A page of plain values. Inside the struct: four numbers, statistics with an empty text and a true, a
    /// field of a later format with a list of structs.
    fn page(uncompressed: u64, compressed: u64, body: usize) -> Vec<u8> {
        let numbers = [0x15, 0x02, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06];
        let nested = [&numbers[..], &[0x1C, 0x18, 0x00, 0x61, 0x00], &[0xB9, 0x2C, 0x15, 0x02, 0x00, 0x00]];
        page_with(uncompressed, compressed, 2, &nested.concat(), body)
    }

    fn dictionary(uncompressed: u64, values: u64) -> Vec<u8> {
        let nested = [&[0x15][..], &zigzag(values), &[0x15, 0x00]].concat();
        page_with(uncompressed, 0, 4, &nested, 0)
    }

    /// What pages of a type claim, or what is wrong with them, as a message says it.
    fn check_of(chunk: &[u8], kind: Type) -> Result<Claims, String> {
        let mut claims = Claims::default();
        claims.add(chunk, "x", kind, Compression::UNCOMPRESSED).map_err(|fault| fault.0)?;
        Ok(claims)
    }

    fn check(chunk: &[u8]) -> Result<Claims, String> {
        check_of(chunk, Type::INT32)
    }

    fn above(what: &str, found: u64, limit: u64) -> Result<Claims, String> {
        Err(Fault::limit(what, found, limit).unwrap_err().0)
    }

    fn damaged() -> Result<Claims, String> {
        Err(super::damaged().0)
    }

    #[test]
    fn pages_within_the_limit_pass_and_their_claims_are_summed() {
        let chunk = [dictionary(800, 200), page(1000, 17, 17), page(PAGE_LIMIT, 0, 0)].concat();
        let claims = Claims { dictionary: 800, page: PAGE_LIMIT, total: PAGE_LIMIT + 1800, scratch: 0 };
        assert_eq!(check(&chunk), Ok(claims));
        assert_eq!(check(&[]), Ok(Claims::default()));
    }

    #[test]
    fn a_page_that_claims_too_much_is_found_behind_others() {
        let chunk = [page(1000, 17, 17), page(PAGE_LIMIT + 1, 3, 3)].concat();
        assert_eq!(check(&chunk), above("page size of column x", PAGE_LIMIT + 1, PAGE_LIMIT));
    }

    #[test]
    fn a_claim_cannot_hide_behind_a_second_one() {
        // Field 2 twice: the long form of a field header states its number again.
        let mut chunk = vec![0x15, 0x00, 0x15];
        chunk.extend([0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
        chunk.extend([0x05, 0x04, 0x02, 0x15, 0x00, 0x00]);
        assert_eq!(check(&chunk), damaged());
        // A checksum that is a text: the library takes its length for the number, and its bytes for the next
        // fields.
        let text = [0x15, 0x00, 0x28, 0x08, 0x15, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 0x15, 0x00, 0x00];
        assert_eq!(
            check(&[&[0x15, 0x00, 0x15, 0x00, 0x15, 0x00][..], &text[2..], &[0x00]].concat()),
            damaged()
        );
        // Field 65538, which is 2 in 16 bits; field 2 as a number of another width.
        let far = [&[0x15, 0x00, 0x05][..], &zigzag(65_538), &zigzag(1 << 30), &[0x05, 0x04, 0x02, 0x00]];
        assert_eq!(check(&far.concat()), damaged());
        assert_eq!(check(&[0x15, 0x00, 0x16, 0x02, 0x15, 0x02, 0x15, 0x00, 0x00]), damaged());
    }

    #[test]
    fn a_dictionary_has_no_more_values_than_its_bytes() {
        let fault = above("number of dictionary values of column x", 201, 200);
        assert_eq!(check(&dictionary(800, 201)), fault);
        assert!(check_of(&dictionary(800, 101), Type::INT64).is_err());
        assert!(check(&dictionary(800, 0x7FFF_FFFF)).is_err());
    }

    #[test]
    fn text_is_plain_or_has_a_dictionary_whatever_the_footer_says() {
        let text = |chunk: &[u8]| check_of(chunk, Type::BYTE_ARRAY);
        let expands =
            Err("column x has variable length and another encoding than plain or a dictionary, which \
                           can stand for any amount of memory; write it plain"
                .to_owned());
        assert!(text(&page(1000, 17, 17)).is_ok());
        let places = [&[0x15, 0x02, 0x15][..], &zigzag(8)].concat();
        let places = page_with(9, 0, 2, &places, 0);
        let claims = Claims { dictionary: 800, page: 1000, total: 1809, scratch: 0 };
        assert_eq!(text(&[dictionary(800, 200), page(1000, 0, 0), places.clone()].concat()), Ok(claims));
        // Of every text there is its length, too; a dictionary comes first.
        assert!(text(&dictionary(800, 201)).is_err());
        assert_eq!(text(&[places, dictionary(800, 1)].concat()), damaged());
        // Lengths as deltas, in a page of either version.
        let lengths = zigzag(6);
        let first = [&[0x15, 0x02, 0x15][..], &lengths].concat();
        assert_eq!(text(&page_with(9, 0, 2, &first, 0)), expands);
        let second =
            [&[0x15, 0x02, 0x15, 0x00, 0x15, 0x02, 0x15][..], &lengths, &[0x15, 0, 0x15, 0]].concat();
        assert_eq!(text(&page_with(9, 0, 5, &second, 0)), expands);
        assert!(check(&page_with(9, 0, 5, &second, 0)).is_ok());
    }

    #[test]
    fn lzo_is_refused_without_pages_too() {
        let fault = Claims::default().add(&[], "x", Type::INT32, Compression::LZO).unwrap_err();
        assert!(fault.0.starts_with("column x is compressed with LZO, which spfde cannot read; "));
    }

    #[test]
    fn broken_headers_are_broken() {
        let good = page(1000, 17, 17);
        for length in 1..good.len() {
            assert_eq!(check(&good[..length]), damaged(), "{length}");
        }
        assert_eq!(check(&[0x2C; 64]), damaged());
        assert_eq!(check(&[0xFF; 64]), damaged());
    }
}
