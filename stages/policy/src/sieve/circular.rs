//! `circular`: the easiest samples leave, those that have waited longest outside return, the number of active
//! samples stays the same (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3).
//!
//! Easy is a sample with few *forgetting events* ([arXiv 1812.05159](https://arxiv.org/abs/1812.05159)):
//! presentations at which it is wrong after it was right. They are counted anew in every window, so that
//! samples that have just entered are judged like the others; the first presentation of a window counts
//! nothing. A sample that was never right in the window is not easy but not learned, and ranks hardest. Among
//! equals the one whose last entry is the earliest leaves first.
//!
//! `sieve.fraction` is the share of all samples that is out and the share of the active ones that is
//! exchanged at every interval. Those outside wait in a queue. Once every sample that started outside has
//! been in, the whole queue is shuffled at every update, so that the same samples do not travel together for
//! ever.
//!
//! The stage finds a cut by the sizes of classes of neighbouring ranks. The rank of an active sample has the
//! epoch of its entry. So there are up to 256 classes for each number of events and each epoch at which a
//! sample entered that is active still. Their number grows with the updates of the run, up to the number of
//! the active samples.
//!
//! ```
//! use spfde_policy::sieve::{self, Circular, Cut, SieveContext};
//! let circular = sieve::policy(Circular::default(), &SieveContext { seed: 1, epochs: 8, samples: 200 })?;
//! assert_eq!(circular.active_samples(0), 170);
//! assert_eq!(circular.decision(2).cut, Cut::Exchange { count: 26 }); // 25.5, rounded
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::random::Purpose;
use spfde_data::rows::ScoreRow;
use spfde_data::table::{Cell, Cells, Column, Record};

use super::forgetting::Events;
use super::shared::sieve_parameters;
use super::{Cut, Decision, Rank, Shared, SieveContext, SieveRule};
use crate::rounding::share_of;

sieve_parameters! {
    /// The easiest samples leave, those that have waited longest return.
    pub struct Circular: fraction(0.15), interval(2, 2..), until(1.0) {}
}

/// What a sample did in the window under way, in four bytes.
#[derive(Clone, Copy, Default)]
pub struct Seen(Events);

/// Saved column by column, as before it was packed.
impl Record for Seen {
    fn columns() -> Vec<Column> {
        let flag = |name| Column::of::<bool>(name, false);
        vec![Column::of::<u32>("forgotten", false), flag("right"), flag("learned")]
    }

    fn push(self, cells: &mut std::slice::IterMut<'_, Cells>) {
        let (forgotten, right, learned) = self.0.parts();
        let mut next = || cells.next().expect("there are three columns");
        forgotten.push(next());
        right.push(next());
        learned.push(next());
    }

    fn get(cells: &mut std::slice::Iter<'_, Cells>, row: usize) -> Self {
        let mut next = || cells.next().expect("there are three columns");
        Self(Events::of(u32::get(next(), row), bool::get(next(), row), bool::get(next(), row)))
    }
}

impl Circular {
    fn out(&self, run: &SieveContext) -> u32 {
        share_of(self.fraction, run.samples)
    }

    /// Never more than are out: a share of the active samples is at most the same share of all of them.
    fn exchanged(&self, run: &SieveContext) -> u32 {
        share_of(self.fraction, run.samples - self.out(run))
    }

    /// Whether the queue was shuffled at the update of `epoch`: from the one on that takes the last sample in
    /// that started outside.
    fn shuffles(&self, run: &SieveContext, epoch: u32) -> bool {
        let (updates, exchanged) = (u64::from(epoch / self.interval), self.exchanged(run));
        exchanged > 0 && updates * u64::from(exchanged) >= u64::from(self.out(run))
    }
}

impl SieveRule for Circular {
    const NAME: &'static str = "circular";
    const SUMMARY: &'static str =
        "the samples with the fewest forgetting events leave, those that have waited longest return";
    const READS_LOSSES: bool = false;
    type State = Seen;

    fn shared(&self, _: &SieveContext) -> Option<Shared> {
        let Self { fraction, interval, until } = *self;
        Some(Shared { fraction, interval, warmup: 0, until })
    }

    fn active_samples(&self, run: &SieveContext, _: u32) -> u32 {
        run.samples - self.out(run)
    }

    fn decision(&self, run: &SieveContext, _: u32) -> Decision {
        Cut::Exchange { count: self.exchanged(run) }.into()
    }

    fn rank(&self, run: &SieveContext, _: u32, sample: u32, entered: u32, key: u32) -> Rank {
        Rank { key, since: entered, hash: run.draw(Purpose::Tie, 0, sample) }
    }

    fn queue(&self, run: &SieveContext, epoch: u32, sample: u32, left: u32) -> Rank {
        let update_before = epoch.saturating_sub(self.interval);
        if self.shuffles(run, update_before) {
            return Rank { key: 0, since: 0, hash: run.draw(Purpose::Queue, update_before, sample) };
        }
        // First in, first out; those that left together stand in the order of a draw.
        let hash = match left {
            0 => run.draw(Purpose::Outside, 0, sample),
            left => run.draw(Purpose::Queue, left, sample),
        };
        Rank { key: 0, since: left, hash }
    }

    fn alike(&self, run: &SieveContext) -> Option<[u64; 3]> {
        self.shared(run)?.alike(run)
    }

    #[inline]
    fn observe(&self, seen: &mut Seen, score: &ScoreRow) {
        seen.0.observe(score.correct);
    }

    #[inline]
    fn key(&self, seen: &Seen) -> u32 {
        seen.0.key()
    }

    fn clear(&self) -> Option<Seen> {
        Some(Seen::default())
    }
}
