//! Is a recorded run what it was? Hashes, schemas and row counts; and that deltas add up to what the tables
//! say.
//!
//! The sums are taken afresh from the recorded deltas, with plain sets and loops, by none of the code that
//! trains. Numbers that only training knows are not computed again: norms, and the columns `measure` and
//! `plasticity` of `similarity`, whose rows are checked by schema and epoch only.

mod classes;
mod costs;
mod gradients;
mod layers;
mod predictions;
mod samples;
mod scores;
mod settled;
mod trace;
mod updates;

use std::fmt;
use std::path::Path;

use spfde_data::files::{DataError, DataSetRecord, Manifest, RecordedRun, plausible, verify};
use spfde_data::{EpochRow, Parametric, Row, SimilarityRow, Value, counted};
use spfde_model::InputShape;
use spfde_policy::sieve::STRATIFY;

use crate::configuration::frozen::probe;
use crate::configuration::keys::Traced;
use crate::{Configuration, Registry, Result, Source, experiment};
use classes::ByClass;
use costs::Extra;
use layers::Layer;
use predictions::Predictions;
use samples::Samples;
use settled::settled;
use trace::{Epoch, Trace};

pub use scores::verify_scores;
pub use trace::Findings;

/// What was found sound; in words how far the run came, and how much it recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// The manifest, all of whose files are what they were.
    pub manifest: Manifest,
    /// What could not be checked, and why.
    pub unchecked: Option<String>,
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sound { manifest: Manifest { epochs_reached, epochs, segments, ended_early, .. }, unchecked } =
            self;
        let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
        let (epochs, segments) = (counted(*epochs, "epoch"), counted(segments.len(), "segment"));
        write!(f, "{epochs_reached} of {epochs}, {segments}, {}", counted(rows, "row"))?;
        ended_early.iter().try_for_each(|reason| write!(f, "; ended early: {reason}"))?;
        unchecked.iter().try_for_each(|reason| write!(f, "; not checked: {reason}"))
    }
}

/// Checks the run in `directory`, which may be written meanwhile.
///
/// # Errors
/// If the directory is no run or cannot be read; if anything is not as it should be: the error has the
/// findings. If the run is written faster than it can be looked at.
pub fn verify(directory: &Path) -> Result<Sound> {
    let (run, findings) = settled(directory, findings)?;
    findings.refuse(directory)?;
    Ok(Sound { manifest: run.manifest().clone(), unchecked: findings.unchecked })
}

/// Everything that is not as it should be, in words.
///
/// Memory holds the state of each sample and each weight, one segment and a batch of its rows: not the rows
/// of an epoch.
///
/// # Errors
/// If the configuration or the data of the run cannot be read at all.
pub fn findings(run: &RecordedRun) -> Result<Findings> {
    let manifest = run.manifest();
    let mut findings = Findings::default();
    files(run).into_iter().for_each(|error| findings.push(error));
    if findings.count() == 0
        && let Err(error) = plausible::samples(run.path(), manifest, |segment| Ok(segment.bytes))
    {
        findings.push(error);
    }
    if findings.count() > 0 {
        // Sums over damaged files say nothing more.
        return Ok(findings);
    }
    let source = Source::of_run(run.path(), &run.config_unchanged()?)?;
    let registry = Registry::standard().of_run(run, source.entries())?;
    let (known, unknown) = registry.with_stand_ins(source.entries());
    // Ranges of a stand-in say nothing of what the policy itself takes.
    let configuration = Configuration::resolve_over(&registry, &known, &[])?;
    let DataSetRecord { channels, height, width, classes, train_rows, .. } = manifest.data_set;
    let input = InputShape { channels, height, width };
    let description = configuration.registry().describe(configuration.values(), input, classes)?;
    let Traced { observe, predictions } = Traced::from_parameters(configuration.values());
    let trace = Trace { run: run.path(), manifest, architecture: description.architecture(), observe };
    let (mut layers, mut samples) = (layers::begin(&trace), Samples::new(&trace));
    // A policy from outside the registry has a name that only its own program knows; of the sums only those
    // of the extra and the backward FLOPs depend on one of masks, and those of the extra ones on one of
    // freezing.
    let (family, values) = (&registry.policies.mask, configuration.values());
    let rows = u32::try_from(train_rows).unwrap_or(u32::MAX);
    let (context, freeze, sieve) = experiment::contexts(&configuration, description.architecture(), rows);
    let is_known = !unknown.contains_key(family.key);
    let mask = is_known.then(|| family.build(values.text(family.key), values, &context)).transpose()?;
    let by_class = ByClass::of(run, &configuration, &sieve).unwrap_or_else(|error| {
        findings.unchecked = Some(error.to_string());
        None
    });
    let predicted = (predictions && manifest.replay_of.is_none())
        .then(|| Predictions::of(run, &configuration, &mut findings));
    let asked = source.entries().contains(&(STRATIFY.to_owned(), Value::Text(true.to_string())));
    if let Some(name) = unknown.get(registry.policies.sieve.key).filter(|_| asked) {
        findings.unchecked = Some(format!("the sizes of classes: the sieve {name} is unknown here"));
    }
    let (batch_size, epochs) = (values.integer("data.batch_size"), values.integer("train.epochs"));
    let policies = &registry.policies.freeze;
    let reads = if unknown.contains_key(policies.key) {
        // What it is can be told by what it recorded; a replay records no similarity.
        let has = manifest.segments.iter().any(|segment| segment.stream == SimilarityRow::STREAM);
        [has, has || manifest.replay_of.is_some()]
    } else {
        [policies.build(values.text(policies.key), values, &freeze)?.reads_similarity(); 2]
    };
    let probed = |reads| probe(values, reads).map_or(0, |of| train_rows.min(u64::from(of.samples)));
    let mut extra = Extra::new(mask, u64::from(batch_size), epochs, reads.map(probed));
    // The first epoch with the greatest accuracy on the validation set, from 1.
    let mut best: Option<(f64, u32)> = None;
    for number in 0..manifest.epochs_reached {
        let epoch = &mut Epoch { trace: &trace, number, findings: &mut findings };
        layers::add(&mut layers, epoch)?;
        extra.check(Some(&layers), epoch.findings);
        samples.add(epoch)?;
        by_class.iter().for_each(|by_class| by_class.check(&samples, epoch));
        let costs = epoch.row::<EpochRow>()?;
        if let Some(source) = &manifest.replay_of {
            // A replay has no scores, norms and layers.
            costs::check_replay(source, costs.as_ref(), &mut layers, epoch)?;
        } else {
            layers::check(&layers, epoch)?;
            let steps = samples.check_scores(epoch)?;
            gradients::check(&steps, &layers, epoch)?;
            predicted.iter().try_for_each(|predicted| predicted.check(costs.as_ref(), epoch))?;
        }
        if let Some(row) = &costs {
            let accuracy = row.validation_accuracy.filter(|found| best.is_none_or(|(best, _)| *found > best));
            best = accuracy.map(|accuracy| (accuracy, number + 1)).or(best);
            costs::check_epoch(row, &samples, &layers, extra.mask(), epoch);
            extra.add(row, &layers, epoch);
        }
    }
    extra.check(None, &mut findings);
    // A run of a time before they were kept has none.
    if let Some(file) = manifest.best.last().filter(|file| best.is_none_or(|(_, best)| best != file.epoch)) {
        let best = best.map_or_else(|| "none".to_owned(), |(_, epoch)| format!("epoch {epoch}"));
        findings.push(format_args!("{}: is after epoch {}; the best is {best}", file.path, file.epoch));
    }
    layers::check_weights(&layers, &trace, &mut findings)?;
    Ok(findings)
}

/// What is wrong with the files of a run, each by itself.
pub(crate) fn files(run: &RecordedRun) -> Vec<DataError> {
    let texts = [run.config_unchanged().err(), run.environment().err(), run.architecture().err()];
    let beside = texts.into_iter().chain([run.start().err()]);
    beside.flatten().chain(verify::segments(run.path(), run.manifest())).collect()
}
