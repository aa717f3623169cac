//! The order of segments, by which those of a stream are found.

use super::*;

#[test]
fn a_stream_is_none_whose_name_begins_so() {
    let streams = ["mask", "mask-s", "masks", "masks2"];
    let all = |stream| [(0, 0), (1, 0), (1, 1), (2, 0)].map(|(epoch, worker)| segment(stream, epoch, worker));
    let manifest = Manifest { segments: streams.map(all).concat(), ..manifest() };
    for stream in streams {
        assert_eq!(manifest.segments_of(stream, 0..3), all(stream));
        assert_eq!(manifest.segments_of(stream, 1..u32::MAX), &all(stream)[1..]);
        assert_eq!(manifest.segments_at(stream, 1), &all(stream)[1..3]);
        // A range that is reversed is empty.
        assert_eq!(manifest.segments_of(stream, Range { start: 2, end: 1 }), []);
    }
    for stream in ["", "mas", "mask-", "maskss", "z"] {
        assert_eq!(manifest.segments_of(stream, 0..u32::MAX), [], "{stream}");
    }
}
