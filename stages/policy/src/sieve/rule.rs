//! From a rule to a policy: what all sieve policies share stands here once.

use std::sync::Arc;

use spfde_data::parameter::{ParameterError, Parametric};
use spfde_data::random::Purpose;
use spfde_data::rows::ScoreRow;
use spfde_data::table::{Column, Columns, Record};

use super::{Classes, Cut, Decision, Rank, STRATIFY, Shared, SieveContext, SievePolicy, SieveState, classes};
use crate::{Entry, state};

/// What is a sieve policy's own: its parameters are the fields of the type, the rest follows.
pub trait SieveRule: Parametric {
    /// The name under which it is registered.
    const NAME: &'static str;
    /// One sentence on what it does, without a full stop.
    const SUMMARY: &'static str;
    /// Whether it looks at more of a score than whether it was right: losses then have to be there.
    const READS_LOSSES: bool = true;
    /// Whether it looks at the norm of a score's error: it then has to be there.
    const READS_ERROR_NORMS: bool = false;
    /// Whether [`rank`](Self::rank) is left as it is. A decision on all samples then ranks those only whose
    /// keys have changed.
    const BY_KEY: bool = false;
    /// Whether it ever cuts: `sieve.stratify` is then one of its keys ([`Classes`]).
    const CUTS: bool = true;
    /// What is kept of a sample; `()` if nothing is.
    type State: Record + Default;

    /// What the keys say that rules share, of a rule that has them: from the first decision on the lowest
    /// are outside, until the whole set is active again. What is said of epochs below holds before that end.
    fn shared(&self, _run: &SieveContext) -> Option<Shared> {
        None
    }

    /// What has to hold of the parameters and the run together: that a sample is left, unless a rule says
    /// more.
    ///
    /// # Errors
    /// What contradicts what.
    fn check_run(&self, run: &SieveContext) -> Result<(), ParameterError> {
        self.shared(run).map_or(Ok(()), |shared| run.outside(shared.fraction).map(drop))
    }

    /// How many samples are trained during `epoch`: before the first decision that [`shared`](Self::shared)
    /// makes all, unless a rule says more.
    fn active_samples(&self, run: &SieveContext, epoch: u32) -> u32 {
        let cut = self.shared(run).filter(|shared| epoch >= shared.first());
        run.samples - cut.map_or(0, |shared| shared.out(run))
    }

    /// The samples that start outside, ascending; as many as [`active_samples`](Self::active_samples) leaves
    /// out of epoch 0, the lowest by [`first`](Self::first), unless a rule says more.
    fn initially_outside(&self, run: &SieveContext) -> Vec<u32> {
        run.lowest(run.samples - self.active_samples(run, 0), |sample| self.first(run, sample))
    }

    /// How a sample ranks among those that may start outside; by a draw, unless a rule says otherwise.
    fn first(&self, run: &SieveContext, sample: u32) -> Rank {
        Rank { key: 0, since: 0, hash: run.draw(Purpose::Outside, 0, sample) }
    }

    /// Whether a decision takes effect at the start of `epoch`, which is neither 0 nor after the run's end:
    /// as [`shared`](Self::shared) says, unless a rule says more.
    fn decides(&self, run: &SieveContext, epoch: u32) -> bool {
        self.shared(run).is_some_and(|shared| shared.decides(epoch))
    }

    /// What the decision for `epoch` does: as many are outside as [`active_samples`](Self::active_samples)
    /// leaves, unless a rule says more.
    fn decision(&self, run: &SieveContext, epoch: u32) -> Decision {
        Cut::Outside { out: run.samples - self.active_samples(run, epoch) }.into()
    }

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
    fn alike(&self, _run: &SieveContext) -> Option<[u64; 3]> {
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
    let build = |parameters: &_, run: &_| policy(R::from_parameters(parameters), run);
    let parameters = || {
        let own = R::default().parameters();
        own.into_iter().chain(R::CUTS.then(classes::parameter)).collect()
    };
    Entry { parameters, ..Entry::new::<R>(R::NAME, R::SUMMARY, build) }
}

/// The policy of a rule in one run.
///
/// # Errors
/// If a parameter is out of its range, or parameters contradict each other or the run.
pub fn policy<R: SieveRule>(rule: R, context: &SieveContext) -> Result<Arc<dyn SievePolicy>, ParameterError> {
    rule.check()?;
    rule.check_run(context)?;
    let end = rule.shared(context).map_or(u32::MAX, |shared| shared.end(context));
    Ok(Arc::new(Sieves { rule, run: *context, end, decided: context.epochs, classes: None }))
}

/// A rule in one run.
#[derive(Clone)]
struct Sieves<R> {
    rule: R,
    run: SieveContext,
    /// The epoch from which on the whole set is active.
    end: u32,
    /// The first epoch for which nothing is decided any more.
    decided: u32,
    classes: Option<Arc<Classes>>,
}

impl<R: SieveRule> SievePolicy for Sieves<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn active_samples(&self, epoch: u32) -> u32 {
        if epoch < self.end { self.rule.active_samples(&self.run, epoch) } else { self.run.samples }
    }

    fn initially_outside(&self) -> Vec<u32> {
        if self.end == 0 {
            return Vec::new();
        }
        let Some(classes) = &self.classes else { return self.rule.initially_outside(&self.run) };
        let mut left = classes.outside(self.run.samples - self.active_samples(0));
        let mut order: Vec<u32> = (0..self.run.samples).collect();
        order.sort_by_cached_key(|sample| (self.rule.first(&self.run, *sample), *sample));
        let is_out = |sample: &u32| {
            let left = &mut left[usize::from(classes.of(*sample))];
            std::mem::replace(left, left.saturating_sub(1)) > 0
        };
        order.retain(is_out);
        order.sort_unstable();
        order
    }

    fn decides(&self, epoch: u32) -> bool {
        let is_cut = |epoch| epoch < self.end && self.rule.decides(&self.run, epoch);
        let ends =
            || epoch == self.end && (self.active_samples(0) < self.run.samples || (1..epoch).any(is_cut));
        0 < epoch && epoch < self.decided && (is_cut(epoch) || ends())
    }

    fn concluding(&self) -> Arc<dyn SievePolicy> {
        Arc::new(Self { decided: self.run.epochs.saturating_add(1), ..self.clone() })
    }

    fn decision(&self, epoch: u32) -> Decision {
        if epoch < self.end { self.rule.decision(&self.run, epoch) } else { Cut::Outside { out: 0 }.into() }
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

    fn alike(&self) -> Option<[u64; 3]> {
        // Where nothing is out from the start, the end decides nothing. The sign of a share is free.
        let starts_cut = u64::from(self.active_samples(0) < self.run.samples) << 63;
        self.rule.alike(&self.run).map(|[seed, windows, until]| [seed, windows, until | starts_cut])
    }

    fn classes(&self) -> Option<&Arc<Classes>> {
        self.classes.as_ref()
    }

    fn stratified(&self, classes: &Arc<Classes>) -> Result<Arc<dyn SievePolicy>, ParameterError> {
        let cuts = |kind: fn(&Cut) -> bool| {
            (1..self.decided).any(|epoch| self.decides(epoch) && kind(&self.decision(epoch).cut))
        };
        // How many samples a cut at the mean leaves in a class depends on scores.
        if cuts(Cut::is_at_mean) && cuts(|cut| matches!(cut, Cut::Exchange { .. })) {
            let reason = format!("{} cuts at the mean and exchanges samples, too; set it to false", R::NAME);
            return Err(ParameterError::contradiction(STRATIFY, reason));
        }
        let (samples, active) = (self.run.samples, self.active_samples(0));
        let outside = self.initially_outside().len();
        if outside as u64 + u64::from(active) != u64::from(samples) {
            let reason =
                format!("{} has {outside} outside and {active} active of {samples} samples", R::NAME);
            return Err(ParameterError::contradiction(STRATIFY, reason));
        }
        Ok(Arc::new(Self { classes: Some(Arc::clone(classes)), ..self.clone() }))
    }

    fn by_key(&self) -> bool {
        R::BY_KEY
    }

    fn reads_losses(&self) -> bool {
        R::READS_LOSSES
    }

    fn reads_error_norms(&self) -> bool {
        R::READS_ERROR_NORMS
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

    fn keys(&self, slots: std::ops::Range<usize>, keys: &mut Vec<u32>) {
        keys.clear();
        keys.extend(self.states[slots].iter().map(|state| self.rule.key(state)));
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
