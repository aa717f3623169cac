//! Freeze policies judged by bare norms of gradients.

use std::path::Path;
use std::sync::Arc;

use spfde_data::files::table_file::{Columns, Values};
use spfde_data::files::{atomic, gradient_files, table_file};
use spfde_data::{Architecture, LayerShape, ParameterError};
use spfde_policy::mask::{Dense, MaskContext};
use spfde_policy::sieve::{All, SieveContext};
use spfde_policy::{
    Change, Cost, FreezeContext, LearningRateSchedule, Plan, Spans, cost, count, mask, sieve,
};

use super::axes::each;
use super::{Axes, GridOptions, Member, layers_file, scores};
use crate::experiment::contexts;
use crate::{Configuration, Entry, Result};

/// The name of the table of the decisions: `member`, `epoch`, `block`, `frozen`, `reason`.
pub const FREEZES_NAME: &str = "freezes.parquet";

/// The key of how the learning rate goes on.
const SCHEDULE: &str = "train.schedule";

/// What came of it.
#[derive(Clone, Debug)]
pub struct JudgedGradients {
    /// The network.
    pub architecture: Arc<Architecture>,
    /// Files of norms.
    pub files: usize,
    /// Norms in them.
    pub rows: usize,
    /// Epochs.
    pub epochs: u32,
    /// The members.
    pub members: Vec<JudgedFreezing>,
}

/// What a freeze policy would have decided.
#[derive(Clone, Debug)]
pub struct JudgedFreezing {
    /// Its keys.
    pub member: Member,
    /// The decisions, each with the epoch from which it holds.
    pub changes: Vec<(u32, Change)>,
    /// When each block would have been frozen.
    pub frozen: Vec<Spans>,
    /// What one sample would have cost in all epochs.
    pub cost: Cost,
    /// The same if nothing froze.
    pub unfrozen: Cost,
    /// Norms that the policy asks for and the record lacks: of layers that train under it, at recorded steps.
    pub censored_norms: u64,
}

/// Judges freeze policies by the norms in `directory`: every point of `axes`, with `settings` for all of
/// them. Weights that exist are those that were recorded.
///
/// # Errors
/// If a setting is unknown, out of range or none of freezing; if a file cannot be read or written, or the
/// first epoch is another.
pub fn judge_gradients(
    directory: &Path,
    first_epoch: u32,
    settings: &[Entry],
    axes: &Axes,
    options: &GridOptions,
) -> Result<JudgedGradients> {
    let points = axes.points();
    let configurations = each(&points, |_, point| {
        let settings = [settings, point].concat();
        if let Some((key, _)) = settings.iter().find(|(key, _)| !is_of_freezing(key)) {
            let reason =
                "bare gradients tell of layers only: freeze, mask.interval, train.schedule can be set";
            return Err(ParameterError::contradiction(key, reason).into());
        }
        Configuration::resolve_over(&options.registry, &[], &settings).map_err(Into::into)
    })?;
    let architecture = layers_file::read(&layers_file::place(directory))?;
    let norms = gradient_files::read(directory, &architecture.layers)?;
    scores::refuse_other_first(first_epoch, norms.first_epoch)?;
    let nonzero = nonzero(&norms, &architecture);
    let (mut members, mut notes) = (Vec::new(), Vec::new());
    for configuration in &configurations {
        notes.extend(configuration.notes().iter().cloned());
        let plan = plan(configuration, &architecture, norms.epochs)?;
        notes.extend(plan.1.note.clone());
        members.push(judge(configuration, &plan.0, &plan.1, &norms, &nonzero));
    }
    options.tell(notes);
    let gradient_files::Norms { rows, epochs, files, .. } = norms;
    let judged = JudgedGradients { architecture, files, rows: rows.len(), epochs, members };
    if let Some(out) = &options.directory {
        atomic::create_directory(out)?;
        table_file::write(&out.join(FREEZES_NAME), table(&judged))?;
    }
    Ok(judged)
}

/// Whether a key may be set where only gradients are known.
pub(crate) fn is_of_freezing(key: &str) -> bool {
    ["seed", "mask.interval", SCHEDULE].contains(&key) || key.starts_with("freeze.")
}

type FreezePolicy = Arc<dyn spfde_policy::FreezePolicy>;

/// The policy that a configuration chooses, and what it plans of a dense network, all of whose samples train.
fn plan(
    configuration: &Configuration,
    architecture: &Arc<Architecture>,
    epochs: u32,
) -> Result<(FreezePolicy, Plan)> {
    let values = configuration.values();
    let (mask, freeze, sieve) = contexts(configuration, architecture, 1);
    // How the rate of another trainer went on is known only if the user says so.
    let learning_rate = match configuration.is_given(SCHEDULE) {
        true => freeze.learning_rate,
        false => LearningRateSchedule::Constant,
    };
    let (name, context) = (values.text("freeze.policy"), FreezeContext { epochs, learning_rate, ..freeze });
    let policy = configuration.registry().policies.freeze.build(name, values, &context)?;
    let lacks = [("layers", policy.reads_layers()), ("similarity", policy.reads_similarity())];
    if let Some((stream, _)) = lacks.into_iter().find(|(_, reads)| *reads) {
        let reason = format!("`{name}` judges by the stream `{stream}` of a run, which bare gradients lack");
        return Err(ParameterError::contradiction("freeze.policy", reason).into());
    }
    let masks = mask::policy(Dense {}, &MaskContext { epochs, ..mask })?;
    let sieves = sieve::policy(All {}, &SieveContext { epochs, ..sieve })?;
    let plan = Plan::new(Arc::clone(architecture), epochs, 1, &masks, &*policy, &*sieves)?;
    Ok((policy, plan))
}

/// The weights of each layer that exist in each epoch: as it was last recorded by then, else all.
fn nonzero(norms: &gradient_files::Norms, architecture: &Architecture) -> Vec<Vec<u32>> {
    let mut now: Vec<u32> = architecture.layers.iter().map(|layer| layer.weights() as u32).collect();
    let of_epoch = |epoch: u32| {
        let rows = norms.rows.iter().skip(norms.rows.partition_point(|row| row.epoch < epoch));
        rows.take_while(|row| row.epoch == epoch).for_each(|row| now[usize::from(row.layer)] = row.nonzero);
        now.clone()
    };
    (0..norms.epochs).map(of_epoch).collect()
}

/// Shows the norms to a policy, epoch by epoch, and asks what it decides.
fn judge(
    configuration: &Configuration,
    policy: &FreezePolicy,
    plan: &Plan,
    norms: &gradient_files::Norms,
    nonzero: &[Vec<u32>],
) -> JudgedFreezing {
    let architecture = &plan.architecture;
    let mut state = policy.start(plan);
    let (mut changes, mut censored_norms) = (Vec::new(), 0);
    let (mut total, mut unfrozen) = (Cost::default(), Cost::default());
    let mut rows = &norms.rows[..];
    for epoch in 0..norms.epochs {
        if epoch > 0 {
            changes.extend(state.decide(epoch).into_iter().map(|change| (epoch, change)));
        }
        let frozen = cost::frozen_blocks(state.frozen(), epoch);
        let trains = |layer: &LayerShape| !frozen.contains(layer.block);
        let (own, rest) = rows.split_at(rows.partition_point(|row| row.epoch == epoch));
        rows = rest;
        own.iter().for_each(|row| state.observe(row));
        let training = architecture.layers.iter().filter(|layer| trains(layer)).count();
        for step in own.chunk_by(|row, next| row.step == next.step) {
            let found = step.iter().filter(|row| trains(&architecture.layers[usize::from(row.layer)]));
            censored_norms += (training - found.count()) as u64;
        }
        let weights = &nonzero[epoch as usize];
        total = total + count(architecture, weights, frozen, 1);
        unfrozen = unfrozen + count(architecture, weights, 0, 1);
    }
    let member = Member::of(configuration, &["freeze.policy"]);
    JudgedFreezing { member, changes, frozen: state.frozen().to_vec(), cost: total, unfrozen, censored_norms }
}

/// The decisions of all members.
fn table(judged: &JudgedGradients) -> Columns {
    let of = |(member, freezing): (usize, &'_ JudgedFreezing)| {
        freezing.changes.iter().map(|change| (member as i64, change.clone())).collect::<Vec<_>>()
    };
    let rows: Vec<(i64, (u32, Change))> = judged.members.iter().enumerate().flat_map(of).collect();
    let text = |of: &dyn Fn(&Change) -> String| {
        Values::Text(rows.iter().map(|(_, (_, change))| Some(of(change))).collect())
    };
    let columns = [
        ("member", Values::Integer(rows.iter().map(|(member, _)| Some(*member)).collect())),
        ("epoch", Values::Integer(rows.iter().map(|(_, (epoch, _))| Some((*epoch).into())).collect())),
        ("block", text(&|change| judged.architecture.blocks[change.block].clone())),
        ("frozen", Values::Boolean(rows.iter().map(|(_, (_, change))| Some(change.frozen)).collect())),
        ("reason", text(&|change| change.reason.clone())),
    ];
    columns.map(|(name, values)| (name.to_owned(), values)).into()
}
