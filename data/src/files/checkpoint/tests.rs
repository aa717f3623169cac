//! Checkpoints there and back, and files that are not what they were.

use super::*;
use crate::files::data_set;
use crate::files::parquet_store::ParquetStore;
use crate::images::Images;
use crate::rows::MaskRow;
use crate::segment::SegmentStore;
use crate::table::Record;
use crate::tensor::TensorData;

fn arrays() -> Vec<Tensor> {
    vec![Tensor { name: "a.values".to_owned(), shape: vec![2], data: TensorData::F32(vec![0.5, -1.0]) }]
}

/// A run directory with a checkpoint at the start of epoch 2: weights, and masks of two workers.
fn written() -> (tempfile::TempDir, Manifest) {
    let run = tempfile::tempdir().unwrap();
    let images = Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8].into(), labels: vec![0] };
    let mut manifest = Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), 4);
    manifest.epochs_reached = 2;
    manifest.checkpoints.push(write_weights(run.path(), 2, &arrays(), &Metadata::new()).unwrap());
    for worker in [0, 1] {
        let tables = ParquetStore::of_checkpoints(run.path());
        let mut writer = tables.create("masks", &MaskRow::columns(), 2, worker).unwrap();
        writer.append(&Columns::from_rows([row(worker)])).unwrap();
        manifest.checkpoints.push(writer.finish().unwrap().into());
    }
    (run, manifest)
}

fn row(index: u32) -> MaskRow {
    MaskRow { epoch: 2, step: 0, layer: 1, index, diff: 1 }
}

#[test]
fn a_checkpoint_reads_back_as_it_was_written() {
    let (run, manifest) = written();
    assert_eq!(read_weights(run.path(), &manifest, 2).unwrap().arrays, arrays());
    let masks = read_table(run.path(), &manifest, 2, "masks", &MaskRow::columns(), 1000).unwrap();
    assert_eq!(masks.into_rows::<MaskRow>(), [row(0), row(1)]);
    let none = read_table(run.path(), &manifest, 2, "mask", &MaskRow::columns(), 1000).unwrap();
    assert_eq!(none.rows, 0);
    check(run.path(), &manifest, 2).unwrap();
    assert!(run.path().join("checkpoint/masks/e00002-w01.parquet").is_file());
    assert_eq!(manifest.last_checkpoint(), Some(2));
    // The manifest takes it in and gives it back.
    manifest.write(run.path()).unwrap();
    assert_eq!(Manifest::read(run.path()).unwrap(), manifest);
}

#[test]
fn a_damaged_file_is_named_and_not_used() {
    let (run, manifest) = written();
    let paths: Vec<String> = manifest.checkpoints.iter().map(|file| file.path.clone()).collect();
    for path in paths {
        let file = run.path().join(&path);
        let whole = std::fs::read(&file).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        for bytes in [&changed[..], &whole[..whole.len() - 1]] {
            std::fs::write(&file, bytes).unwrap();
            let error = check(run.path(), &manifest, 2).unwrap_err().to_string();
            assert!(error.contains(&path), "{error}");
            let read = match path.ends_with("safetensors") {
                true => read_weights(run.path(), &manifest, 2).map(|_| ()),
                false => read_table(run.path(), &manifest, 2, "masks", &MaskRow::columns(), 1000).map(|_| ()),
            };
            assert!(read.unwrap_err().to_string().contains(&path));
        }
        std::fs::write(&file, &whole).unwrap();
    }
    let error = read_weights(run.path(), &manifest, 1).unwrap_err().to_string();
    assert!(error.contains("checkpoint/e00001.safetensors: is not in the manifest"), "{error}");
}
