//! Inputs made from seeds, each a function of its number.

use spfde_data::random::{Purpose, draw};

/// Numbers at which sizes and counters go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    1 << 40,
    u64::MAX >> 1,
    u64::MAX - 1,
    u64::MAX,
];

/// Bytes of an input; a seed has a few thousand.
const LONGEST: usize = 1 << 16;

/// Input `number` of the seeds: one of them, changed in one to four places.
///
/// # Panics
/// If there is no seed.
pub fn input(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut drawn = 0;
    let mut below = |limit: usize| {
        drawn += 1;
        (draw(1, Purpose::Synthetic, number, drawn) % limit.max(1) as u64) as usize
    };
    let mut bytes = seeds[below(seeds.len())].clone();
    for _ in 0..=below(4) {
        let place = below(bytes.len());
        let length = 1 + below(16);
        let end = bytes.len().min(place + length);
        match below(9) {
            0 | 1 if !bytes.is_empty() => bytes[place] ^= 1 << below(8),
            2 if !bytes.is_empty() => bytes[place] = below(256) as u8,
            3 => {
                // A number, in either order, of one to eight bytes.
                let (edge, width) = (EDGES[below(EDGES.len())], [1, 2, 4, 8][below(4)]);
                let number = match below(2) {
                    0 => edge.to_le_bytes()[..width].to_vec(),
                    _ => edge.to_be_bytes()[8 - width..].to_vec(),
                };
                let end = bytes.len().min(place + width);
                bytes[place..end].copy_from_slice(&number[..end - place]);
            }
            4 => drop(bytes.drain(place..end)),
            5 => {
                let piece = bytes[place..end].to_vec();
                let to = below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            6 => bytes.truncate(place),
            7 => {
                let other = &seeds[below(seeds.len())];
                let from = below(other.len());
                let piece = other[from..other.len().min(from + 8 * length)].to_vec();
                bytes.splice(place..end, piece);
            }
            _ => {
                let more: Vec<u8> = (0..length).map(|_| below(256) as u8).collect();
                bytes.splice(place..place, more);
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
