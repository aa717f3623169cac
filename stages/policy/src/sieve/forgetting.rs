//! `forgetting`: the samples with the fewest forgetting events of the whole run are out (Toneva et al.,
//! [arXiv 1812.05159](https://arxiv.org/abs/1812.05159)).
//!
//! A *forgetting event* is a presentation at which a sample is wrong after it was right at the one before. Events are
//! counted from the start of the run on, across all decisions; the first presentation counts nothing. A sample that
//! was never right is not learned rather than easy, and ranks last. Training starts with all samples; at every
//! interval the `sieve.fraction` of all samples that rank lowest is out, the others are in. Ties break by a draw that
//! is the same for a sample in the whole run.
//!
//! A sample that is out keeps the count it left with, and comes back only when others fall below it: what this rule
//! removes from a running training it hardly reconsiders. Its proper use is the question which samples of a
//! recorded run were never forgotten.
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{Cut, SieveContext, sieve};
//! let entry = sieve::registry().iter().find(|entry| entry.name == "forgetting").expect("it is registered");
//! let parameters = Parameters::defaults(&(entry.parameters)());
//! let forgetting = sieve::build("forgetting", &parameters, &SieveContext { seed: 1, epochs: 8, samples: 200 })?;
//! assert_eq!((forgetting.active_samples(1), forgetting.active_samples(2)), (200, 170));
//! assert_eq!(forgetting.cut(2), Cut::Outside { out: 30 });
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

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn SievePolicy, SieveContext> = Entry {
    name: "forgetting",
    summary: "the samples with the fewest forgetting events of the whole run are out",
    parameters,
    build: |parameters, context| Ok(Box::new(Forgetting::new(parameters, context)?)),
};

fn parameters() -> Vec<Parameter> {
    let help = "epochs between two cuts";
    vec![fraction_parameter(), interval_parameter(1, help)]
}

/// The samples with the fewest forgetting events of the whole run are out.
#[derive(Clone, Copy, Debug)]
pub struct Forgetting {
    context: SieveContext,
    out: u32,
    interval: u32,
}

impl Forgetting {
    /// The policy with the given parameters.
    ///
    /// # Errors
    /// If the fraction leaves no sample.
    ///
    /// # Panics
    /// If a key is missing.
    pub fn new(parameters: &Parameters, context: &SieveContext) -> Result<Self, ParameterError> {
        let out = outside(parameters, context)?;
        Ok(Self { context: *context, out, interval: parameters.integer("sieve.interval") })
    }
}

impl SievePolicy for Forgetting {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn active_samples(&self, epoch: u32) -> u32 {
        if epoch < self.interval { self.context.samples } else { self.context.samples - self.out }
    }

    fn initially_outside(&self) -> Vec<u32> {
        Vec::new()
    }

    fn decides(&self, epoch: u32) -> bool {
        0 < epoch && epoch < self.context.epochs && epoch.is_multiple_of(self.interval)
    }

    fn cut(&self, epoch: u32) -> Cut {
        Cut::Outside { out: if epoch < self.interval { 0 } else { self.out } }
    }

    fn rank(&self, _epoch: u32, sample: u32, _entered: u32, key: u32) -> Rank {
        Rank { key, since: 0, hash: draw(self.context.seed, Purpose::Tie, 0, u64::from(sample)) }
    }

    fn queue(&self, _epoch: u32, _sample: u32, left: u32) -> Rank {
        Rank { key: 0, since: left, hash: 0 }
    }

    fn alike(&self) -> Option<[u64; 2]> {
        Some([self.context.seed, u64::from(self.interval)])
    }

    fn reads_losses(&self) -> bool {
        false
    }

    fn start(&self, samples: usize) -> Box<dyn SieveState> {
        Box::new(Counts(vec![0; samples]))
    }
}

/// What each sample did since the start of the run, in four bytes: whether it was right at its latest presentation
/// (bit 0), whether it ever was (bit 1), and how often it was forgotten.
struct Counts(Vec<u32>);

const RIGHT: u32 = 1;
const LEARNED: u32 = 2;
const EVENT: u32 = 4;
/// Where counting stops: a billion events.
const MOST: u32 = u32::MAX / EVENT - 1;

impl SieveState for Counts {
    fn observe(&mut self, slot: usize, score: &ScoreRow) {
        let seen = self.0[slot];
        self.0[slot] = match (score.correct, seen & RIGHT != 0) {
            (true, _) => seen | RIGHT | LEARNED,
            (false, true) if seen / EVENT < MOST => (seen + EVENT) & !RIGHT,
            (false, _) => seen & !RIGHT,
        };
    }

    fn key(&self, slot: usize) -> u32 {
        let seen = self.0[slot];
        if seen & LEARNED != 0 { seen / EVENT } else { u32::MAX }
    }

    /// Counts go on over the whole run.
    fn clear(&mut self) {}

    fn columns(&self) -> Option<Vec<Column>> {
        Some(CountRow::columns())
    }

    fn save(&self, slot: usize, epoch: u32, sample: u32, rows: &mut Columns) {
        let seen = self.0[slot];
        let (forgotten, right, learned) = (seen / EVENT, seen & RIGHT != 0, seen & LEARNED != 0);
        CountRow { epoch, sample, forgotten, right, learned }.push(rows);
    }

    fn restore(&mut self, slot: usize, rows: &Columns, row: usize) {
        let CountRow { forgotten, right, learned, .. } = CountRow::get(rows, row);
        self.0[slot] = forgotten.min(MOST) * EVENT + u32::from(learned) * LEARNED + u32::from(right) * RIGHT;
    }
}

spfde_data::row! {
    /// What a sample did since the start of the run, as it is saved.
    struct CountRow in "forgetting" by (epoch, sample) {
        epoch: u32,
        sample: u32,
        forgotten: u32,
        right: bool,
        learned: bool,
    }
}
