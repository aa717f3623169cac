//! From a rule to a policy: what all sieve policies share stands here once.

use std::sync::Arc;

use spfde_data::parameter::{ParameterError, Parametric};
use spfde_data::random::Purpose;
use spfde_data::rows::ScoreRow;
use spfde_data::table::{Column, Columns, Record};

use super::{Decision, Rank, SieveContext, SievePolicy, SieveState};
use crate::{Entry, state};

/// What is a sieve policy's own: its parameters are the fields of the type, the rest follows.
pub trait SieveRule: Parametric {
    /// The name under which it is registered.
    const NAME: &'static str;
    /// One sentence on what it does, without a full stop.
    const SUMMARY: &'static str;
    /// Whether it looks at more of a score than whether it was right: losses then have to be there.
    const READS_LOSSES: bool = true;
    /// What is kept of a sample; `()` if nothing is.
    type State: Record + Default;

    /// What has to hold of the parameters and the run together.
    ///
    /// # Errors
    /// What contradicts what.
    fn check_run(&self, _run: &SieveContext) -> Result<(), ParameterError> {
        Ok(())
    }

    /// How many samples are trained during `epoch`; all, unless a rule says more.
    fn active_samples(&self, run: &SieveContext, _epoch: u32) -> u32 {
        run.samples
    }

    /// The samples that start outside, ascending; none, unless a rule says more.
    fn initially_outside(&self, _run: &SieveContext) -> Vec<u32> {
        Vec::new()
    }

    /// Whether a decision takes effect at the start of `epoch`, which is neither 0 nor after the run's end.
    fn decides(&self, run: &SieveContext, epoch: u32) -> bool;

    /// What the decision for `epoch` does.
    fn decision(&self, run: &SieveContext, epoch: u32) -> Decision;

    /// How a sample ranks; by its key, then by a draw that is the same in the whole run, unless a rule says
    /// otherwise.
    fn rank(&self, run: &SieveContext, _epoch: u32, sample: u32, _entered: u32, key: u32) -> Rank {
        Rank { key, since: 0, hash: run.draw(Purpose::Tie, 0, sample) }
    }

    /// How a sample outside queues; by when it left, unless a rule says otherwise.
    fn queue(&self, _run: &SieveContext, _epoch: u32, _sample: u32, left: u32) -> Rank {
        Rank { key: 0, since: left, hash: 0 }
    }

    /// What rules that differ in their sizes only have in common ([`SievePolicy::alike`]); nothing, unless a
    /// rule says more.
    fn alike(&self, _run: &SieveContext) -> Option<[u64; 2]> {
        None
    }

    /// What a presentation showed, in order of (epoch, step); [`SieveState::observe`].
    fn observe(&self, _state: &mut Self::State, _score: &ScoreRow) {}

    /// What a sample is ranked by.
    fn key(&self, _state: &Self::State) -> u32 {
        0
    }

    /// A new window starts: what the state becomes, if it changes.
    fn clear(&self) -> Option<Self::State> {
        None
    }
}

/// The line of a rule in the registry.
pub fn entry<R: SieveRule>() -> Entry<dyn SievePolicy, SieveContext> {
    Entry::new::<R>(R::NAME, R::SUMMARY, |parameters, run| policy(R::from_parameters(parameters), run))
}

/// The policy of a rule in one run.
///
/// # Errors
/// If a parameter is out of its range, or parameters contradict each other or the run.
pub fn policy<R: SieveRule>(rule: R, context: &SieveContext) -> Result<Arc<dyn SievePolicy>, ParameterError> {
    rule.check()?;
    rule.check_run(context)?;
    Ok(Arc::new(Sieves { rule, run: *context }))
}

/// A rule in one run.
#[derive(Clone)]
struct Sieves<R> {
    rule: R,
    run: SieveContext,
}

impl<R: SieveRule> SievePolicy for Sieves<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn active_samples(&self, epoch: u32) -> u32 {
        self.rule.active_samples(&self.run, epoch)
    }

    fn initially_outside(&self) -> Vec<u32> {
        self.rule.initially_outside(&self.run)
    }

    fn decides(&self, epoch: u32) -> bool {
        0 < epoch && epoch < self.run.epochs && self.rule.decides(&self.run, epoch)
    }

    fn decision(&self, epoch: u32) -> Decision {
        self.rule.decision(&self.run, epoch)
    }

    fn rank(&self, epoch: u32, sample: u32, entered: u32, key: u32) -> Rank {
        self.rule.rank(&self.run, epoch, sample, entered, key)
    }

    fn queue(&self, epoch: u32, sample: u32, left: u32) -> Rank {
        self.rule.queue(&self.run, epoch, sample, left)
    }

    fn keeps(&self, epoch: u32, sample: u32, share: f64) -> bool {
        let draw = self.run.draw(Purpose::Keep, epoch, sample);
        ((draw >> 11) as f64) < share * (1u64 << 53) as f64
    }

    fn alike(&self) -> Option<[u64; 2]> {
        self.rule.alike(&self.run)
    }

    fn reads_losses(&self) -> bool {
        R::READS_LOSSES
    }

    fn start(&self, samples: usize) -> Box<dyn SieveState> {
        Box::new(Sieving { rule: self.rule.clone(), states: vec![R::State::default(); samples] })
    }
}

/// The states of some samples.
struct Sieving<R: SieveRule> {
    rule: R,
    states: Vec<R::State>,
}

impl<R: SieveRule> SieveState for Sieving<R> {
    fn observe(&mut self, slot: usize, score: &ScoreRow) {
        self.rule.observe(&mut self.states[slot], score);
    }

    fn key(&self, slot: usize) -> u32 {
        self.rule.key(&self.states[slot])
    }

    fn clear(&mut self) {
        if let Some(cleared) = self.rule.clear() {
            self.states.fill(cleared);
        }
    }

    fn columns(&self) -> Vec<Column> {
        state::columns::<R::State>("sample")
    }

    fn save(&self, slot: usize, epoch: u32, sample: u32, rows: &mut Columns) {
        state::push(rows, epoch, sample, self.states[slot].clone());
    }

    fn restore(&mut self, slot: usize, rows: &Columns, row: usize) {
        self.states[slot] = state::get(rows, row).1;
    }
}
