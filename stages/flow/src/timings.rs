//! Wall-clock time by stage: for people, never for decisions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use spfde_data::TimingRow;

use crate::Observer;

/// Seconds and calls by stage, of one worker, since they were last taken.
#[derive(Clone)]
pub struct Timings {
    stages: Rc<RefCell<BTreeMap<&'static str, (f64, u64)>>>,
    worker: usize,
    observer: Arc<dyn Observer>,
}

impl Timings {
    /// The clock of `worker`; `observer` is told of every piece of work.
    pub(crate) fn new(worker: usize, observer: Arc<dyn Observer>) -> Self {
        Self { stages: Rc::default(), worker, observer }
    }

    /// Runs `work` and books its time on `stage`.
    pub fn measure<R>(&self, stage: &'static str, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        let spent = start.elapsed().as_secs_f64();
        {
            let mut stages = self.stages.borrow_mut();
            let (seconds, calls) = stages.entry(stage).or_default();
            *seconds += spent;
            *calls += 1;
        }
        self.observer.worked(self.worker, stage, spent);
        result
    }

    /// Takes what has been booked, as rows of `epoch`.
    pub fn take(&self, epoch: u32, worker: usize) -> Vec<TimingRow> {
        let stages = std::mem::take(&mut *self.stages.borrow_mut());
        let row = |(stage, (seconds, calls)): (&str, (f64, u64))| TimingRow {
            epoch,
            worker: u16::try_from(worker).unwrap_or(u16::MAX),
            stage: stage.to_owned(),
            seconds,
            calls,
        };
        stages.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(usize, &'static str, f64)>>);

    impl Observer for Heard {
        fn worked(&self, worker: usize, stage: &'static str, seconds: f64) {
            self.0.lock().unwrap().push((worker, stage, seconds));
        }
    }

    #[test]
    fn time_is_booked_once_and_told_piece_by_piece() {
        let heard = Arc::new(Heard::default());
        let timings = Timings::new(1, Arc::clone(&heard) as Arc<dyn Observer>);
        assert_eq!((0..3).map(|i| timings.measure("train", || i)).sum::<i32>(), 3);
        let rows = timings.take(4, 1);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].epoch, rows[0].worker, rows[0].stage.as_str(), rows[0].calls),
            (4, 1, "train", 3)
        );
        assert!(timings.take(5, 1).is_empty());
        let heard = heard.0.lock().unwrap();
        assert!(heard.iter().all(|(worker, stage, _)| (*worker, *stage) == (1, "train")));
        assert_eq!(heard.len(), 3);
        assert_eq!(heard.iter().map(|(_, _, seconds)| seconds).sum::<f64>(), rows[0].seconds);
    }
}
