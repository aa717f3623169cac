//! `circular`: the easiest samples leave, those that have waited longest outside return, the number of active
//! samples stays the same (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3).
//!
//! Easy is a sample with few *forgetting events* ([arXiv 1812.05159](https://arxiv.org/abs/1812.05159)):
//! presentations at which it is wrong after it was right. They are counted anew in every window, so that samples
//! that have just entered are judged like the others; the first presentation of a window counts nothing. A sample
//! that was never right in the window is not easy but not learned, and ranks hardest. Among equals the one whose
//! last entry is the earliest leaves first.
//!
//! `sieve.fraction` is the share of all samples that is out and the share of the active ones that is exchanged at
//! every interval. Those outside wait in a queue. Once every sample that started outside has been in, the whole
//! queue is shuffled at every update, so that the same samples do not travel together for ever.
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{Cut, SieveContext, sieve};
//! let entry = sieve::registry().iter().find(|entry| entry.name == "circular").expect("it is registered");
//! let parameters = Parameters::defaults(&(entry.parameters)());
//! let circular = sieve::build("circular", &parameters, &SieveContext { seed: 1, epochs: 8, samples: 200 })?;
//! assert_eq!(circular.active_samples(0), 170);
//! assert_eq!(circular.cut(2), Cut::Exchange { count: 26 }); // 25.5, rounded
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;
use spfde_data::table::{Column, Columns, Row};

use super::{
    Cut, Rank, SieveContext, SievePolicy, SieveState, fraction_parameter, interval_parameter, outside,
};
use crate::Entry;
use crate::rounding::share_of;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn SievePolicy, SieveContext> = Entry {
    name: "circular",
    summary: "the samples with the fewest forgetting events leave, those that have waited longest return",
    parameters,
    build: |parameters, context| Ok(Box::new(Circular::new(parameters, context)?)),
};

fn parameters() -> Vec<Parameter> {
    let help = "epochs between two exchanges; forgetting takes at least two presentations";
    vec![fraction_parameter(), interval_parameter(2, help)]
}

/// The easiest samples leave, those that have waited longest return.
#[derive(Clone, Copy, Debug)]
pub struct Circular {
    context: SieveContext,
    out: u32,
    exchanged: u32,
    interval: u32,
}

impl Circular {
    /// The policy with the given parameters.
    ///
    /// # Errors
    /// If the fraction leaves no sample.
    ///
    /// # Panics
    /// If a key is missing.
    pub fn new(parameters: &Parameters, context: &SieveContext) -> Result<Self, ParameterError> {
        let out = outside(parameters, context)?;
        // Never more than `out`: a share of the active samples is at most the same share of all of them.
        let exchanged = share_of(parameters.number("sieve.fraction"), context.samples - out);
        Ok(Self { context: *context, out, exchanged, interval: parameters.integer("sieve.interval") })
    }

    /// Whether the queue was shuffled at the update of `epoch`: from the one on that takes the last sample in
    /// that started outside.
    fn shuffles(&self, epoch: u32) -> bool {
        let updates = u64::from(epoch / self.interval);
        self.exchanged > 0 && updates * u64::from(self.exchanged) >= u64::from(self.out)
    }

    fn draw(&self, purpose: Purpose, epoch: u32, sample: u32) -> u64 {
        draw(self.context.seed, purpose, u64::from(epoch), u64::from(sample))
    }
}

impl SievePolicy for Circular {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn active_samples(&self, _epoch: u32) -> u32 {
        self.context.samples - self.out
    }

    fn initially_outside(&self) -> Vec<u32> {
        let mut drawn: Vec<(u64, u32)> = (0..self.context.samples)
            .map(|sample| (self.draw(Purpose::Outside, 0, sample), sample))
            .collect();
        drawn.sort_unstable();
        let mut outside: Vec<u32> =
            drawn.into_iter().take(self.out as usize).map(|(_, sample)| sample).collect();
        outside.sort_unstable();
        outside
    }

    fn decides(&self, epoch: u32) -> bool {
        0 < epoch && epoch < self.context.epochs && epoch.is_multiple_of(self.interval)
    }

    fn cut(&self, _epoch: u32) -> Cut {
        Cut::Exchange { count: self.exchanged }
    }

    fn rank(&self, _epoch: u32, sample: u32, entered: u32, key: u32) -> Rank {
        Rank { key, since: entered, hash: self.draw(Purpose::Tie, 0, sample) }
    }

    fn queue(&self, epoch: u32, sample: u32, left: u32) -> Rank {
        let update_before = epoch.saturating_sub(self.interval);
        if self.shuffles(update_before) {
            return Rank { key: 0, since: 0, hash: self.draw(Purpose::Queue, update_before, sample) };
        }
        // First in, first out; those who left together stand in the order of a draw.
        let hash = match left {
            0 => self.draw(Purpose::Outside, 0, sample),
            left => self.draw(Purpose::Queue, left, sample),
        };
        Rank { key: 0, since: left, hash }
    }

    fn alike(&self) -> Option<[u64; 2]> {
        Some([self.context.seed, u64::from(self.interval)])
    }

    fn reads_losses(&self) -> bool {
        false
    }

    fn start(&self, samples: usize) -> Box<dyn SieveState> {
        Box::new(Forgetting { seen: vec![Seen::default(); samples] })
    }
}

/// What each sample did in the current window.
struct Forgetting {
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Forgetting events; a window has at most as many as epochs.
    forgotten: u32,
    /// Whether it was right at its latest presentation; false before the first.
    right: bool,
    /// Whether it was ever right.
    learned: bool,
}

impl SieveState for Forgetting {
    fn observe(&mut self, slot: usize, score: &ScoreRow) {
        let seen = &mut self.seen[slot];
        if seen.right && !score.correct {
            seen.forgotten += 1;
        }
        seen.right = score.correct;
        seen.learned |= score.correct;
    }

    fn key(&self, slot: usize) -> u32 {
        let seen = self.seen[slot];
        if seen.learned { seen.forgotten } else { u32::MAX }
    }

    fn clear(&mut self) {
        self.seen.fill(Seen::default());
    }

    fn columns(&self) -> Option<Vec<Column>> {
        Some(SeenRow::columns())
    }

    fn save(&self, slot: usize, epoch: u32, sample: u32, rows: &mut Columns) {
        let Seen { forgotten, right, learned } = self.seen[slot];
        SeenRow { epoch, sample, forgotten, right, learned }.push(rows);
    }

    fn restore(&mut self, slot: usize, rows: &Columns, row: usize) {
        let SeenRow { forgotten, right, learned, .. } = SeenRow::get(rows, row);
        self.seen[slot] = Seen { forgotten, right, learned };
    }
}

spfde_data::row! {
    /// What a sample did in the window under way, as it is saved.
    struct SeenRow in "circular" by (epoch, sample) {
        epoch: u32,
        sample: u32,
        forgotten: u32,
        right: bool,
        learned: bool,
    }
}
