//! However long a trace is and however slow its replay is written: no epoch is read before the one before the
//! last is committed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spfde_data::files::recording::RecordedTrace;
use spfde_data::nowhere::Nowhere;
use spfde_data::segment::{
    Commit, CompleteEpoch, Densities, RecordedSegment, Recording, RecordingError, StorageError,
};
use spfde_data::table::Column;
use spfde_flow::{Recorded, Services, Stop};

use super::experiment;
use crate::support::{Bench, execute};

const EPOCHS: u32 = 12;

/// A recording, and a store that is slow to commit: how far the one was ahead of the other.
struct Watched {
    trace: RecordedTrace,
    committed: AtomicU32,
    ahead: Mutex<Vec<u32>>,
}

impl Recording for Watched {
    fn epochs(&self) -> u32 {
        self.trace.epochs()
    }

    fn segments(&self, stream: &str, epoch: u32) -> usize {
        self.trace.segments(stream, epoch)
    }

    fn open(
        &self,
        stream: &str,
        columns: &[Column],
        epoch: u32,
        segment: usize,
    ) -> Result<RecordedSegment, RecordingError> {
        self.ahead.lock().unwrap().push(epoch - self.committed.load(Ordering::SeqCst).min(epoch));
        self.trace.open(stream, columns, epoch, segment)
    }
}

impl Commit for Watched {
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<(), StorageError> {
        std::thread::sleep(Duration::from_millis(10));
        self.committed.store(complete.epoch + 1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn two_epochs_are_in_flight_at_most() {
    let bench = Bench::new(64);
    let words = ["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=12"];
    let (_, run) = bench.train("run", &words);
    for workers in [1, 2, 4] {
        let (_, experiment) = experiment(&run.path, &["sieve.fraction=0.4"]).unwrap();
        let streams = ["scores", "gradients", "layers", "masks"];
        let watched = Arc::new(Watched {
            trace: RecordedTrace::new(&run.path, &run.manifest, &streams).unwrap(),
            committed: AtomicU32::new(0),
            ahead: Mutex::default(),
        });
        let recording = Arc::clone(&watched) as Arc<dyn Recording>;
        let services = Services {
            store: Arc::new(Nowhere),
            commit: Arc::clone(&watched) as Arc<dyn Commit>,
            checkpoints: None,
            resumed: None,
            recorded: Some(Recorded { recording, densities: Densities::Recorded, follows: false }),
            stop: Stop::default(),
            prefix_cache: None,
            observer: Arc::new(()),
        };
        assert!(execute(&experiment, services, workers).iter().all(Option::is_none));
        assert_eq!(watched.committed.load(Ordering::SeqCst), EPOCHS);
        let ahead = watched.ahead.lock().unwrap();
        assert_eq!(ahead.iter().max(), Some(&1), "{workers} workers: {ahead:?}");
    }
}
