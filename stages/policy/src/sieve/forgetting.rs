//! `forgetting`: the samples with the fewest forgetting events of the whole run are out (Toneva et al.,
//! [arXiv 1812.05159](https://arxiv.org/abs/1812.05159)).
//!
//! A *forgetting event* is a presentation at which a sample is wrong after it was right at the one before.
//! Events are counted from the start of the run on, across all decisions; the first presentation counts
//! nothing. A sample that was never right is not learned rather than easy, and ranks last. Training starts
//! with all samples; at every interval the `sieve.fraction` of all samples that rank lowest is out, the
//! others are in. Ties break by a draw that is the same for a sample in the whole run.
//!
//! A sample that is out keeps the count it left with, and comes back only when others fall below it: what
//! this rule removes from a running training it hardly reconsiders. Its proper use is the question which
//! samples of a recorded run were never forgotten.
//!
//! ```
//! use spfde_policy::sieve::{self, Cut, Forgetting, SieveContext};
//! let context = SieveContext { seed: 1, epochs: 8, samples: 200 };
//! let forgetting = sieve::policy(Forgetting::default(), &context)?;
//! assert_eq!((forgetting.active_samples(1), forgetting.active_samples(2)), (200, 170));
//! assert_eq!(forgetting.decision(2).cut, Cut::Outside { out: 30 });
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::rows::ScoreRow;

use super::shared::{shared, sieve_parameters};
use super::{SieveContext, SieveRule};

sieve_parameters! {
    /// The samples with the fewest forgetting events of the whole run are out.
    pub struct Forgetting: fraction(0.15), interval(2, 1..), warmup(0), until(1.0) {}
}

spfde_data::state! {
    /// What a sample did since the start of the run, or of a window, in four bytes: whether it was right at
    /// its latest presentation (bit 0), whether it ever was (bit 1), and how often it was forgotten.
    #[derive(Copy)]
    pub struct Events { seen: u32 = 0, }
}

const RIGHT: u32 = 1;
const LEARNED: u32 = 2;
const EVENT: u32 = 4;
/// Where counting stops: a billion events.
const MOST: u32 = u32::MAX / EVENT - 1;

impl Events {
    /// A presentation, right or wrong.
    #[inline]
    pub(super) fn observe(&mut self, correct: bool) {
        let seen = &mut self.seen;
        *seen = match (correct, *seen & RIGHT != 0) {
            (true, _) => *seen | RIGHT | LEARNED,
            (false, true) if *seen / EVENT < MOST => (*seen + EVENT) & !RIGHT,
            (false, _) => *seen & !RIGHT,
        };
    }

    /// How often a sample was forgotten, whether it was right the last time, and whether it ever was.
    pub(super) fn of(forgotten: u32, right: bool, learned: bool) -> Self {
        Self { seen: (forgotten.min(MOST) * EVENT) | (u32::from(learned) * LEARNED) | u32::from(right) }
    }

    /// What [`of`](Self::of) makes it of.
    pub(super) fn parts(self) -> (u32, bool, bool) {
        (self.seen / EVENT, self.seen & RIGHT != 0, self.seen & LEARNED != 0)
    }

    /// How often the sample was forgotten; the greatest number if it was never right.
    #[inline]
    pub(super) fn key(&self) -> u32 {
        if self.seen & LEARNED != 0 { self.seen / EVENT } else { u32::MAX }
    }
}

impl SieveRule for Forgetting {
    const NAME: &'static str = "forgetting";
    const SUMMARY: &'static str = "the samples with the fewest forgetting events of the whole run are out";
    const READS_LOSSES: bool = false;
    const BY_KEY: bool = true;
    type State = Events;

    shared!();

    fn alike(&self, run: &SieveContext) -> Option<[u64; 3]> {
        self.shared(run)?.alike(run)
    }

    #[inline]
    fn observe(&self, events: &mut Events, score: &ScoreRow) {
        events.observe(score.correct);
    }

    #[inline]
    fn key(&self, events: &Events) -> u32 {
        events.key()
    }
}
