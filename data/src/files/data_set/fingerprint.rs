//! BLAKE3 of a data set's content, whatever file it came from.

use crate::images::Images;

/// Hashes shape, classes, pixels and labels, training images first, as one stream of bytes in which no two
/// different data sets look the same: numbers are little-endian u64, every list is preceded by its length.
pub(super) fn fingerprint(classes: usize, train: &Images, test: &Images) -> String {
    let mut hasher = blake3::Hasher::new();
    let number = |hasher: &mut blake3::Hasher, value: usize| {
        hasher.update(&(value as u64).to_le_bytes());
    };
    hasher.update(b"spfde data set 1\0");
    for value in [train.channels, train.height, train.width, classes] {
        number(&mut hasher, value);
    }
    for images in [train, test] {
        number(&mut hasher, images.len());
        hasher.update(&images.pixels);
        let labels: Vec<u8> = images.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        hasher.update(&labels);
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(pixels: &[u8], labels: &[u16]) -> Images {
        Images { channels: 1, height: 1, width: 2, pixels: pixels.to_vec(), labels: labels.to_vec() }
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
}
