//! Wall-clock time by stage: for people, never for decisions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use spfde_data::rows::TimingRow;

/// Seconds and calls by stage, of one worker, since they were last taken.
#[derive(Clone, Default)]
pub struct Timings(Rc<RefCell<BTreeMap<&'static str, (f64, u64)>>>);

impl Timings {
    /// Runs `work` and books its time on `stage`.
    pub fn measure<R>(&self, stage: &'static str, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        let mut stages = self.0.borrow_mut();
        let (seconds, calls) = stages.entry(stage).or_default();
        *seconds += start.elapsed().as_secs_f64();
        *calls += 1;
        result
    }

    /// Takes what has been booked, as rows of `epoch`.
    pub fn take(&self, epoch: u32, worker: usize) -> Vec<TimingRow> {
        let stages = std::mem::take(&mut *self.0.borrow_mut());
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
    use super::*;

    #[test]
    fn time_is_booked_once() {
        let timings = Timings::default();
        assert_eq!((0..3).map(|i| timings.measure("train", || i)).sum::<i32>(), 3);
        let rows = timings.take(4, 1);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].epoch, rows[0].worker, rows[0].stage.as_str(), rows[0].calls),
            (4, 1, "train", 3)
        );
        assert!(timings.take(5, 1).is_empty());
    }
}
