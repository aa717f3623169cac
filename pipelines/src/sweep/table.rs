//! What the runs of a sweep have come to, from what is on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use spfde_data::Value;
use spfde_data::files::run_directory::is_held;
use spfde_data::files::table_file::{self, Values};
use spfde_data::files::{CONFIG_NAME, Kind, Manifest};

use super::{Job, Sweep};
use crate::compare::{ACCURACY, Case, Comparison, Group};
use crate::grid::narrowest;
use crate::{Configuration, Error, Result};

/// The name of the table in the directory of a sweep.
pub const TABLE_NAME: &str = "sweep.parquet";

/// Settings that depend on the machine.
const OF_MACHINE: [&str; 1] = ["train.kernel"];

/// How far a run of a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not begun.
    Waiting,
    /// A process trains it.
    Running,
    /// It was begun, and no process trains it.
    Stopped,
    /// It failed.
    Failed,
    /// It came to its end.
    Finished,
}

impl Outcome {
    /// In the table.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A run of a sweep, and what it has come to.
#[derive(Clone, Debug)]
pub struct Row {
    /// The run.
    pub job: Job,
    /// How far it is.
    pub outcome: Outcome,
    /// Why it failed, or stopped, where that is known.
    pub reason: Option<String>,
    /// Its numbers, if there is something of it.
    pub case: Option<Case>,
}

impl Row {
    /// Looks at a run; `failed` says why it failed, if it did. One that cannot be read has failed.
    pub fn look(job: &Job, failed: Option<&str>) -> Self {
        Self::read(job, failed).unwrap_or_else(|error| Row {
            job: job.clone(),
            outcome: Outcome::Failed,
            reason: Some(error.to_string()),
            case: None,
        })
    }

    fn read(job: &Job, failed: Option<&str>) -> Result<Self> {
        let row = |outcome, reason, case| Row { job: job.clone(), outcome, reason, case };
        if !job.directory.join(CONFIG_NAME).exists() {
            let outcome = if failed.is_some() { Outcome::Failed } else { Outcome::Waiting };
            return Ok(row(outcome, failed.map(str::to_owned), None));
        }
        // The holder first: what it wrote before it let go is in the manifest that is read afterwards.
        let held = is_held(&job.directory)?;
        let manifest = match Manifest::read(&job.directory) {
            // It has just begun.
            Err(error) if error.is(Kind::NotARun) => None,
            manifest => Some(manifest?),
        };
        let outcome = match &manifest {
            Some(manifest) if manifest.finished => Outcome::Finished,
            _ if held => Outcome::Running,
            _ if failed.is_some() => Outcome::Failed,
            _ => Outcome::Stopped,
        };
        let told = manifest.as_ref().and_then(|manifest| manifest.stopped.clone());
        let reason = failed.map(str::to_owned).or(told).filter(|_| outcome != Outcome::Finished);
        Ok(row(outcome, reason, manifest.map(|_| Case::read(&job.directory)).transpose()?))
    }
}

/// Why runs have failed, by their places, as the table in the directory `out` tells. One that is not there or
/// is damaged tells of none: it is written anew.
pub fn failures(jobs: &[Job], out: &Path) -> BTreeMap<usize, String> {
    let mut failures = BTreeMap::new();
    let _ = table_file::read(&out.join(TABLE_NAME), &["run", "outcome", "reason"], |columns| {
        let [Values::Text(runs), Values::Text(outcomes), Values::Text(reasons)] = &columns[..] else {
            return;
        };
        let failed = Some(Outcome::Failed.name());
        for row in (0..runs.len()).filter(|row| outcomes[*row] == failed) {
            let place = jobs.iter().position(|job| file_name(&job.directory) == runs[row]);
            failures.extend(place.zip(reasons[row].clone()));
        }
    });
    failures
}

/// What a run is called in the table.
fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The finished runs of a sweep, a line for each member; at the end one without runs for each of which all
/// that have ended failed.
pub fn summary(sweep: &Sweep, rows: &[Row]) -> Comparison {
    let finished = rows.iter().filter(|row| row.outcome == Outcome::Finished);
    let cases = finished.filter_map(|row| {
        // A key that a policy does not use tells members apart all the same.
        let mut case = row.case.clone()?;
        case.settings.extend(sweep.members[row.job.member].settings.clone());
        Some(case)
    });
    let mut comparison = Comparison::by(cases.collect(), sweep.keys.clone(), ACCURACY);
    let of =
        |member: usize, outcome| rows.iter().any(|row| (row.job.member, row.outcome) == (member, outcome));
    let failed = sweep
        .members
        .iter()
        .enumerate()
        .filter(|(member, _)| of(*member, Outcome::Failed) && !of(*member, Outcome::Finished));
    comparison.groups.extend(failed.map(|(_, member)| Group {
        values: sweep.keys.iter().map(|key| member.settings.get(key).cloned()).collect(),
        cases: Vec::new(),
    }));
    comparison
}

/// Writes the table of a sweep to the directory `out`, a row for each run.
///
/// # Errors
/// If it cannot be written.
pub fn write(sweep: &Sweep, rows: &[Row], out: &Path) -> Result<PathBuf> {
    let texts = |of: &dyn Fn(&Row) -> Option<String>| Values::Text(rows.iter().map(of).collect());
    let whole = |of: &dyn Fn(&Row) -> Option<u64>| {
        Values::Integer(rows.iter().map(|row| of(row).map(|number| number as i64)).collect())
    };
    let number = |of: &dyn Fn(&Case) -> Option<f64>| {
        Values::Number(rows.iter().map(|row| of(row.case.as_ref()?)).collect())
    };
    let member = |row: &Row| &sweep.members[row.job.member];
    let mut columns = vec![
        ("run", texts(&|row| file_name(&row.job.directory))),
        ("member", texts(&|row| Some(member(row).name.clone()))),
        ("seed", whole(&|row| Some(row.job.seed.into()))),
        ("outcome", texts(&|row| Some(row.outcome.name()))),
        ("reason", texts(&|row| row.reason.clone())),
        ("epochs", whole(&|row| Some(row.case.as_ref()?.epochs.into()))),
        ("test_accuracy", number(&|case| case.test_accuracy)),
        ("flops", number(&|case| Some(case.flops))),
        ("of_dense", number(&Case::of_dense)),
        ("seconds", number(&|case| case.seconds)),
        ("peak_memory_bytes", whole(&|row| row.case.as_ref()?.peak_memory_bytes)),
    ]
    .into_iter()
    .map(|(name, values)| (name.to_owned(), values))
    .collect::<Vec<_>>();
    // Every key has a table, so that none has the name of another column.
    columns.extend(sweep.keys.iter().map(|key| {
        let values: Vec<Option<Value>> =
            rows.iter().map(|row| member(row).settings.get(key).cloned()).collect();
        (key.clone(), narrowest(&values))
    }));
    let path = out.join(TABLE_NAME);
    table_file::write(&path, columns)?;
    Ok(path)
}

/// An error if there is a run in the directory of `job` with other settings than `configuration`, apart from
/// the seed.
pub(super) fn refuse_other(job: &Job, configuration: &Configuration) -> Result<()> {
    // There is none, it has only begun, or it is damaged, which harms no other run.
    let Ok(manifest) = Manifest::read(&job.directory) else { return Ok(()) };
    let mut wanted: BTreeMap<String, Json> = configuration.settings();
    wanted.insert("seed".to_owned(), job.seed.into());
    let differs = |(key, value): &(&String, &Json)| {
        let found = manifest.settings.get(*key);
        found.is_some_and(|found| found != *value) && !OF_MACHINE.contains(&key.as_str())
    };
    match wanted.iter().find(differs) {
        None => Ok(()),
        Some((key, value)) => Err(Error::usage(format!(
            "{}: is a run with {key} = {}, and the sweep would have {value}; set it in [base], name another \
             directory with --out, or remove this one",
            job.directory.display(),
            manifest.settings[key]
        ))),
    }
}
