//! What a fingerprint is of.

use super::*;

fn images(pixels: &[u8], labels: &[u16]) -> Images {
    Images { channels: 1, height: 1, width: 2, pixels: pixels.to_vec().into(), labels: labels.to_vec() }
}

#[test]
fn the_stream_is_fixed() {
    let (train, test) = (images(&[1, 2, 3, 4], &[0, 1]), images(&[5, 6], &[1]));
    let mut stream = b"spfde data set 1\0".to_vec();
    for value in [1_u64, 1, 2, 2, 2] {
        stream.extend(value.to_le_bytes());
    }
    stream.extend([1, 2, 3, 4, 0, 0, 1, 0]);
    stream.extend(1_u64.to_le_bytes());
    stream.extend([5, 6, 1, 0]);
    assert_eq!(fingerprint(2, &train, &test), blake3::hash(&stream).to_hex().as_str());
}

#[test]
fn every_part_counts() {
    let (train, test) = (images(&[1, 2, 3, 4], &[0, 1]), images(&[5, 6], &[1]));
    let mut seen = std::collections::BTreeSet::new();
    seen.insert(fingerprint(2, &train, &test));
    seen.insert(fingerprint(3, &train, &test));
    seen.insert(fingerprint(2, &test, &train));
    seen.insert(fingerprint(2, &images(&[1, 2, 3, 5], &[0, 1]), &test));
    seen.insert(fingerprint(2, &images(&[1, 2, 3, 4], &[1, 1]), &test));
    seen.insert(fingerprint(2, &Images { height: 2, width: 1, ..train }, &test));
    assert_eq!(seen.len(), 6);
}
