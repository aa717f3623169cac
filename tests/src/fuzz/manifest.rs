//! `manifest.json`.

use std::path::Path;

use spfde_data::files::data_set;
use spfde_data::files::manifest::{MANIFEST_VERSION, Manifest, ReplayOf};
use spfde_data::images::Images;
use spfde_data::segment::{Checkpoint, Densities, Segment};

/// What is accepted comes back from its own bytes, and every path in it stays below the run.
pub(super) fn run(bytes: &[u8]) {
    let path = Path::new("manifest.json");
    let Ok(manifest) = Manifest::parse(path, bytes) else { return };
    let again = Manifest::parse(path, &manifest.encode()).unwrap();
    assert_eq!(again, Manifest { version: MANIFEST_VERSION, ..manifest.clone() });
    let segments = manifest.segments.iter().map(|segment| (&segment.path, "trace/"));
    let checkpoints = manifest.checkpoints.iter().map(|file| (&file.path, "checkpoint/"));
    for (path, folder) in segments.chain(checkpoints) {
        assert!(path.starts_with(folder) && !path.contains("..") && !path.contains('\\'), "{path}");
    }
}

/// One of the first version, which had no seal, so that a change of it goes further than to the seal.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let images = Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8].into(), labels: vec![0] };
    let mut manifest = Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), 4);
    let blake3 = || "ab".repeat(32);
    manifest.configuration = Some(blake3());
    manifest.epochs_reached = 2;
    for (stream, epoch) in [("masks", 0), ("masks", 1), ("scores", 1)] {
        let path = format!("trace/{stream}/e{epoch:05}-w00.parquet");
        let stream = stream.to_owned();
        manifest.segments.push(Segment {
            stream,
            epoch,
            worker: 0,
            path,
            rows: 12,
            bytes: 345,
            blake3: blake3(),
        });
    }
    for (path, rows) in
        [("checkpoint/e00002.safetensors", None), ("checkpoint/standings/e00002-w01.parquet", Some(6))]
    {
        let path = path.to_owned();
        manifest.checkpoints.push(Checkpoint { epoch: 2, path, bytes: 67, blake3: blake3(), rows });
    }
    let sealed = manifest.encode();
    let json = |manifest: &Manifest| serde_json::to_vec_pretty(manifest).unwrap();
    let first = json(&Manifest { version: 1, ..manifest.clone() });
    let (path, manifest_hash) = ("runs/a".to_owned(), blake3());
    let of = ReplayOf { path, manifest: manifest_hash, epochs: 2, densities: Densities::Recorded };
    let replay =
        json(&Manifest { version: 1, replay_of: Some(of), stopped: Some("why".to_owned()), ..manifest });
    vec![("sealed", sealed), ("first-version", first), ("replay", replay)]
}
