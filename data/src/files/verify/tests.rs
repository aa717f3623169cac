//! A sound run has no findings; each kind of damage has its own, and one does not hide another.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::files::checkpoint::write_weights;
use crate::files::data_set;
use crate::files::parquet_store::ParquetStore;
use crate::files::run_directory::{Beginning, RunDirectory};
use crate::images::Images;
use crate::segment::SegmentStore;
use crate::table::Columns;

crate::row! {
    /// A stream of the user's.
    struct UserRow in "confusion" by (epoch) {
        /// The epoch.
        epoch: u32,
        /// Something counted.
        count: u64,
    }
}

const EPOCHS: u32 = 2;

fn store<R: Row>(store: &ParquetStore, epoch: u32, rows: Vec<R>) -> Segment {
    let mut writer = store.create(R::STREAM, &R::columns(), epoch, 0).unwrap();
    writer.append(&Columns::from_rows(rows)).unwrap();
    writer.finish().unwrap()
}

/// A run of two epochs with a row of scores, masks and a user's stream in each, the other streams empty.
fn run() -> (tempfile::TempDir, Manifest) {
    let directory = tempfile::tempdir().unwrap();
    let images =
        Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8, 2].into(), labels: vec![0, 1] };
    let manifest = Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), EPOCHS);
    let (config, environment) = (String::new(), serde_json::json!({"version": "test"}));
    let beginning = Beginning { config, architecture: None, start: None, environment, manifest };
    let run = RunDirectory::create(directory.path(), &beginning).unwrap();
    let files = run.store();
    for epoch in 0..EPOCHS {
        let score =
            ScoreRow { epoch, step: 0, sample: 1, loss: 0.5, correct: true, error_norm: 0.25, trained: true };
        let segments = vec![
            store(&files, epoch, vec![score]),
            store(&files, epoch, vec![MaskRow { epoch, step: 0, layer: 0, index: 5, diff: 1 }]),
            store(&files, epoch, vec![UserRow { epoch, count: 3 }]),
            store::<GradientRow>(&files, epoch, vec![]),
            store::<LayerRow>(&files, epoch, vec![]),
            store::<FreezeRow>(&files, epoch, vec![]),
            store::<SieveRow>(&files, epoch, vec![]),
            store::<EpochRow>(&files, epoch, vec![]),
            store::<TimingRow>(&files, epoch, vec![]),
        ];
        let weights = write_weights(directory.path(), epoch + 1, &[], &BTreeMap::new());
        run.commit_checkpoint(epoch, segments, vec![weights.unwrap()], None).unwrap();
    }
    let manifest = run.manifest();
    (directory, manifest)
}

fn messages(run: &Path, manifest: &Manifest) -> Vec<String> {
    let prefix = format!("{}/", run.display());
    segments(run, manifest).iter().map(|finding| finding.to_string().replace(&prefix, "")).collect()
}

#[test]
fn a_sound_run_has_no_findings() {
    let (directory, manifest) = run();
    assert_eq!(manifest.segments.len(), 18);
    assert_eq!(messages(directory.path(), &manifest), Vec::<String>::new());
}

#[test]
fn runs_that_were_recorded_with_manifests_of_version_2_are_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/v2");
    let runs = root.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut count = 0;
    for path in runs {
        let run = RunDirectory::open(&path).unwrap();
        assert_eq!(run.manifest().version, 2, "{}", path.display());
        run.config_unchanged().unwrap();
        run.environment().unwrap();
        assert_eq!(run.architecture().unwrap(), None);
        let findings: Vec<String> =
            segments(&path, run.manifest()).iter().map(DataError::to_string).collect();
        assert_eq!(findings, [""; 0]);
        count += 1;
    }
    assert!(count >= 3, "{count} runs");
}

#[test]
fn each_kind_of_damage_is_found_beside_the_others() {
    let (directory, mut manifest) = run();
    let path = |name: &str| directory.path().join(name);
    let place =
        |manifest: &Manifest, name: &str| manifest.segments.iter().position(|s| s.path == name).unwrap();
    let rehash = |segment: &mut Segment| {
        let bytes = std::fs::read(path(&segment.path)).unwrap();
        (segment.bytes, segment.blake3) = (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string());
    };

    // A segment that the manifest lost.
    let lost = place(&manifest, "trace/epochs/e00001-w00.parquet");
    manifest.segments.remove(lost);
    // A missing file.
    std::fs::remove_file(path("trace/freezes/e00000-w00.parquet")).unwrap();
    // A changed byte.
    let mut changed = std::fs::read(path("trace/masks/e00000-w00.parquet")).unwrap();
    changed[60] ^= 1;
    std::fs::write(path("trace/masks/e00000-w00.parquet"), &changed).unwrap();
    // A cut file.
    let cut = std::fs::read(path("trace/masks/e00001-w00.parquet")).unwrap();
    std::fs::write(path("trace/masks/e00001-w00.parquet"), &cut[..100]).unwrap();
    // Rows of another epoch, in a file whose hash fits.
    std::fs::copy(path("trace/scores/e00001-w00.parquet"), path("trace/scores/e00000-w00.parquet")).unwrap();
    let index = place(&manifest, "trace/scores/e00000-w00.parquet");
    rehash(&mut manifest.segments[index]);
    // Another stream, in a file whose hash fits.
    std::fs::copy(path("trace/layers/e00000-w00.parquet"), path("trace/sieves/e00000-w00.parquet")).unwrap();
    let index = place(&manifest, "trace/sieves/e00000-w00.parquet");
    rehash(&mut manifest.segments[index]);
    // Another number of rows.
    let index = place(&manifest, "trace/confusion/e00001-w00.parquet");
    manifest.segments[index].rows = 4;
    // A changed checkpoint.
    let mut weights = std::fs::read(path("checkpoint/e00002.safetensors")).unwrap();
    weights[9] ^= 1;
    std::fs::write(path("checkpoint/e00002.safetensors"), &weights).unwrap();
    let recorded = &manifest.checkpoints.last().unwrap().blake3;

    let hash = |segment: &str| manifest.segments[place(&manifest, segment)].blake3.clone();
    let bytes = |segment: &str| manifest.segments[place(&manifest, segment)].bytes;
    let expected = [
        "manifest.json: stream epochs has no segment of committed epoch 2; the manifest was \
         changed"
            .to_owned(),
        "trace/confusion/e00001-w00.parquet: number of rows is 1; expected 4; the file was changed or is \
         damaged"
            .to_owned(),
        "trace/freezes/e00000-w00.parquet: cannot open: No such file or directory (os error 2); is its name \
         right, or was it removed or moved?"
            .to_owned(),
        format!(
            "trace/masks/e00000-w00.parquet: BLAKE3 is {}; expected {}; the file was changed or is damaged",
            blake3::hash(&changed).to_hex(),
            hash("trace/masks/e00000-w00.parquet")
        ),
        format!(
            "trace/masks/e00001-w00.parquet: length is 100 bytes; expected {}; it was cut, replaced or is \
             still being \
             written",
            bytes("trace/masks/e00001-w00.parquet")
        ),
        "trace/scores/e00000-w00.parquet: row 0: epoch is 1; expected 0, that of the segment".to_owned(),
        "trace/sieves/e00000-w00.parquet: spfde.stream is \"layers\"; expected sieves".to_owned(),
        format!(
            "checkpoint/e00002.safetensors: BLAKE3 is {}; expected {recorded}; the file was changed or is \
             damaged",
            blake3::hash(&weights).to_hex(),
        ),
    ];
    assert_eq!(messages(directory.path(), &manifest), expected);
}

#[test]
fn a_score_that_no_training_records_is_found() {
    let (directory, mut manifest) = run();
    let name = "trace/scores/e00001-w00.parquet";
    let place = manifest.segments.iter().position(|segment| segment.path == name).unwrap();
    let score = |loss, error_norm, trained| ScoreRow {
        epoch: 1,
        step: 0,
        sample: 1,
        loss,
        correct: false,
        error_norm,
        trained,
    };
    let mut found = |rows: Vec<ScoreRow>| {
        std::fs::remove_file(directory.path().join(name)).unwrap();
        manifest.segments[place] = store(&ParquetStore::new(directory.path()), 1, rows);
        messages(directory.path(), &manifest)
    };
    let good = score(0.5, 0.25, true);
    let end = "expected a finite number; a step that comes to another is not recorded; the file was changed";
    assert_eq!(
        found(vec![good.clone(), score(f32::NAN, 0.5, true)]),
        [format!("{name}: row 1: loss is NaN; {end}")]
    );
    assert_eq!(
        found(vec![score(0.5, f32::INFINITY, true), good]),
        [format!("{name}: row 0: error_norm is inf; {end}")]
    );
    // A sample that was only observed ends nothing, whatever comes of it.
    assert_eq!(found(vec![score(f32::NAN, f32::NAN, false)]), Vec::<String>::new());
}

#[test]
fn a_manifest_that_claims_any_number_of_epochs_has_one_finding_for_each_stream() {
    let (directory, manifest) = run();
    let manifest = Manifest { epochs: u32::MAX, epochs_reached: u32::MAX, ..manifest };
    let expected = |stream: &str| {
        format!(
            "manifest.json: stream {stream} has no segment of 4294967293 committed epochs, the first of them \
             3; the manifest was changed"
        )
    };
    let streams =
        ["confusion", "epochs", "freezes", "gradients", "layers", "masks", "scores", "sieves", "timings"];
    assert_eq!(messages(directory.path(), &manifest), streams.map(expected));
}

#[test]
fn a_stream_that_was_added_may_begin_where_a_later_version_went_on_and_then_goes_on() {
    let (directory, manifest) = run();
    let with = |stream: &str, epochs: &[u32]| {
        let segment = |epoch: &u32| Segment {
            stream: stream.to_owned(),
            epoch: *epoch,
            ..manifest.segments[0].clone()
        };
        let segments = epochs.iter().map(segment).collect();
        let manifest = Manifest { segments, epochs_reached: 4, ..manifest.clone() };
        manifest.check_stream(directory.path(), stream).map_err(|error| error.to_string())
    };
    assert_eq!(with("freeze_evidence", &[2, 3]), Ok(()));
    assert_eq!(with("mask_updates", &[0, 1, 2, 3]), Ok(()));
    let gap = with("freeze_evidence", &[1, 3]).unwrap_err();
    assert!(gap.contains("no segment of committed epoch 3"), "{gap}");
    let late = with("freezes", &[2, 3]).unwrap_err();
    assert!(late.contains("no segment of 2 committed epochs, the first of them 1"), "{late}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_flipped_bit_anywhere_in_a_run_is_one_finding(
        file in 0..19_usize,
        place in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        // The run is the same for every case.
        thread_local!(static RUN: (tempfile::TempDir, Manifest) = run());
        RUN.with(|(directory, manifest)| {
            let segment = manifest.segments.get(file);
        let name = segment.map_or("checkpoint/e00002.safetensors", |segment| &segment.path);
            let path = directory.path().join(name);
            let good = std::fs::read(&path).unwrap();
            let mut bytes = good.clone();
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            std::fs::write(&path, bytes).unwrap();
            let findings = messages(directory.path(), manifest);
            std::fs::write(&path, good).unwrap();
            prop_assert_eq!(findings.len(), 1);
            prop_assert!(findings[0].starts_with(&format!("{name}: BLAKE3 is ")), "{}", findings[0]);
            Ok(())
        })?;
    }
}
