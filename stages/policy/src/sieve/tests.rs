//! Every sieve through a driver that cuts as its numbers say.

mod circular;
mod classes;
mod every;
mod forgetting;
mod infobatch;
mod latest;
mod mean;
mod random;
mod shared;

use std::sync::Arc;

use spfde_data::parameter::{Parameters, Value};
use spfde_data::random::{Purpose, draw};

use super::*;
use crate::Registry;

/// The names of all policies.
fn names() -> Vec<&'static str> {
    Registry::default().sieve.entries.iter().map(|entry| entry.name).collect()
}

fn policy(
    name: &str,
    context: &SieveContext,
    fraction: f64,
    interval: u32,
) -> Result<Arc<dyn SievePolicy>, String> {
    let interval = Value::Integer(i64::from(interval));
    with(name, context, &[("sieve.fraction", Value::Number(fraction)), ("sieve.interval", interval)])
}

/// The policy with these of its keys; it may lack some.
fn with(name: &str, context: &SieveContext, keys: &[(&str, Value)]) -> Result<Arc<dyn SievePolicy>, String> {
    let family = Registry::default().sieve;
    let known = (family.find(name).expect("it is registered").parameters)();
    let has = |key: &str| known.iter().any(|parameter| parameter.key == key);
    let set = |parameters: Parameters, (key, value): &(&str, Value)| match has(key) {
        true => parameters.with(&known, key, value.clone()),
        false => Ok(parameters),
    };
    let parameters = keys.iter().try_fold(Parameters::defaults(&known), set);
    let policy = parameters.and_then(|parameters| family.build(name, &parameters, context));
    policy.map_err(|error| error.to_string())
}

/// Whether a sample is right at a presentation: easy samples nearly always, hard ones rarely.
fn right(seed: u64, epoch: u32, sample: u32) -> bool {
    let ease = draw(seed, Purpose::User, u64::MAX, u64::from(sample)) % 100;
    draw(seed, Purpose::User, u64::from(epoch), u64::from(sample)) % 100 < ease
}

/// Labels of so many classes at most, of which the first have the most samples.
fn labels(seed: u64, samples: u32, classes: u64) -> Vec<u16> {
    let draw = |sample: u32, part| draw(seed, Purpose::User, u64::from(sample) << 32, part) % classes;
    (0..samples).map(|sample| draw(sample, 0).min(draw(sample, 1)) as u16).collect()
}

/// What a sample shows in an epoch, with a loss from 0 to 10.
fn row(epoch: u32, sample: u32, correct: bool) -> ScoreRow {
    let loss = (draw(u64::from(sample), Purpose::User, u64::from(epoch), 1) % 1_000) as f32 / 100.0;
    ScoreRow { epoch, step: 0, sample, loss, correct, error_norm: 1.0, trained: true }
}

/// What a history of presentations is ranked by: how often right was followed by wrong, if it ever was right.
fn key(presentations: &[bool]) -> u32 {
    if !presentations.contains(&true) {
        return u32::MAX;
    }
    presentations.windows(2).filter(|pair| pair[0] && !pair[1]).count() as u32
}

/// What a sample's standing depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    /// Its weight in the loss, if it is active.
    weight: Option<f32>,
    /// The epoch of its last entry or leave.
    since: u32,
}

/// A run that trains nothing: it asks a policy and does as it says.
struct Run<'a> {
    policy: &'a dyn SievePolicy,
    context: SieveContext,
    standings: Vec<Standing>,
    state: Box<dyn SieveState>,
}

impl<'a> Run<'a> {
    fn new(policy: &'a dyn SievePolicy, context: &SieveContext) -> Self {
        let mut standings = vec![Standing { weight: Some(1.0), since: 0 }; context.samples as usize];
        for sample in policy.initially_outside() {
            standings[sample as usize].weight = None;
        }
        Self { policy, context: *context, state: policy.start(standings.len()), standings }
    }

    fn of(&self, active: bool) -> Vec<u32> {
        let is = |sample: &u32| self.standings[*sample as usize].weight.is_some() == active;
        (0..self.context.samples).filter(is).collect()
    }

    /// The samples outside in the order in which the decision for `epoch` will find them.
    fn queue(&self, epoch: u32) -> Vec<u32> {
        let mut queue = self.of(false);
        let since = |sample: u32| self.standings[sample as usize].since;
        queue.sort_by_key(|sample| (self.policy.queue(epoch, *sample, since(*sample)), *sample));
        queue
    }

    /// Takes the decision for `epoch`, if there is one.
    fn decide(&mut self, epoch: u32) {
        if !self.policy.decides(epoch) {
            return;
        }
        let (decision, classes) = (self.policy.decision(epoch), self.policy.classes());
        let of_class = |class: u16| {
            let all = 0..self.context.samples;
            all.filter(|sample| classes.is_none_or(|classes| classes.of(*sample) == class))
                .collect::<Vec<u32>>()
        };
        let ranked = |mut samples: Vec<u32>| {
            samples.sort_by_key(|sample| {
                let (since, key) = (self.standings[*sample as usize].since, self.state.key(*sample as usize));
                (self.policy.rank(epoch, *sample, since, key), *sample)
            });
            samples
        };
        let mut weights: Vec<Option<f32>> = self.standings.iter().map(|standing| standing.weight).collect();
        if let Cut::Outside { .. } = decision.cut {
            weights.fill(Some(decision.weight));
        }
        let counts = classes.map(|classes| classes.cut(self.policy, epoch));
        for class in 0..classes.map_or(1, |classes| classes.sizes().len() as u16) {
            let own = of_class(class);
            let count = |all: u32| counts.as_ref().map_or(all, |counts| counts[usize::from(class)]) as usize;
            match decision.cut {
                Cut::Outside { out } => {
                    ranked(own).iter().take(count(out)).for_each(|sample| weights[*sample as usize] = None);
                }
                Cut::Exchange { count: all } => {
                    let of = |samples: Vec<u32>| samples.into_iter().filter(|sample| own.contains(sample));
                    let leave = ranked(of(self.of(true)).collect());
                    leave.iter().take(count(all)).for_each(|sample| weights[*sample as usize] = None);
                    let entering = of(self.queue(epoch)).take(count(all));
                    entering.for_each(|sample| weights[sample as usize] = Some(decision.weight));
                }
                Cut::BelowMean { .. } | Cut::AboveMean { .. } => {
                    let key = |sample: u32| self.state.key(sample as usize);
                    let mean = Decision::mean(own.iter().map(|sample| key(*sample))).mean();
                    for sample in own {
                        weights[sample as usize] =
                            decision.at_mean(self.policy, epoch, sample, key(sample), mean);
                    }
                }
            }
        }
        for (standing, weight) in self.standings.iter_mut().zip(weights) {
            let changes = standing.weight.is_some() != weight.is_some();
            *standing = Standing { weight, since: if changes { epoch } else { standing.since } };
        }
        self.state.clear();
    }

    /// Shows the state what the active samples of an epoch did.
    fn train(&mut self, epoch: u32, row: impl Fn(u32) -> ScoreRow) {
        for sample in self.of(true) {
            self.state.observe(sample as usize, &ScoreRow { epoch, ..row(sample) });
        }
    }
}

/// Trains with a policy and hands every active set to `visit`, epoch by epoch, with the queue in its order as
/// the next decision will find it.
fn drive(
    policy: &dyn SievePolicy,
    context: &SieveContext,
    interval: u32,
    mut visit: impl FnMut(u32, &[u32], &[u32]),
) {
    let mut run = Run::new(policy, context);
    for epoch in 0..context.epochs {
        run.decide(epoch);
        run.train(epoch, |sample| row(epoch, sample, right(context.seed, epoch, sample)));
        visit(epoch, &run.of(true), &run.queue((epoch / interval + 1) * interval));
    }
}
