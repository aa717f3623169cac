//! Sieves judged by bare score files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use spfde_data::files::score_files::ScoreFiles;
use spfde_data::files::table_file::{Columns, Values};
use spfde_data::{ParameterError, Repeats, ScoreSource, counted};
use spfde_flow::grid::{Found, Grid, MemberCosts};
use spfde_policy::sieve::{Classes, STRATIFY, stratifies};
use spfde_policy::{SieveContext, SievePolicy};

use super::axes::each;
use super::directory::Directory;
use super::{Axes, GridOptions, JudgedRun, KEPT_NAME, Member, NAMES_NAME, judge};
use crate::{Configuration, Entry, Error, Result};

/// Which scores to judge by.
#[derive(Clone, Debug, Default)]
pub struct ScoreInput {
    /// Files, directories, or patterns ([`ScoreFiles::open`]).
    pub paths: Vec<PathBuf>,
    /// The first epoch, as the files number it: epoch 0 of the results.
    pub first_epoch: u32,
    /// What counts of a sample that has several rows in one epoch.
    pub repeats: Repeats,
}

impl<P: Into<PathBuf>> From<P> for ScoreInput {
    /// All that is at one path, from epoch 0, without repeats.
    fn from(path: P) -> Self {
        Self { paths: vec![path.into()], ..Self::default() }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The members and what was found, as of a run without layers.
    pub run: JudgedRun,
    /// Files of scores.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Those that do not count, since another row of their sample and epoch does.
    pub repeated_rows: u64,
    /// Epochs between the first and the last that have no rows, as the files number them.
    pub missing_epochs: Vec<u32>,
    /// Seconds to find out what is in the files, and for the rest.
    pub seconds: [f64; 2],
}

/// Judges sieve policies by score files: every point of `axes`, with `settings` for all of them.
///
/// The last epoch is decided, too: what takes effect after it is the answer of the whole record.
///
/// # Errors
/// If a setting is unknown, out of range or none of the sieve's, before any work; if a file cannot be read or
/// written, or it is interrupted; if the first epoch is another, or rows are repeated and may not be: nothing
/// is left then.
pub fn judge_scores(
    input: &ScoreInput,
    settings: &[Entry],
    axes: &Axes,
    options: &GridOptions,
) -> Result<Judged> {
    let points = axes.points();
    let configurations = each(&points, |_, point| {
        let settings = [settings, point].concat();
        let configuration = Configuration::resolve_over(&options.registry, &[], &settings)?;
        if let Some((key, _)) = settings.iter().find(|(key, _)| key != "seed" && !key.starts_with("sieve.")) {
            let reason = "bare scores tell of samples only: the seed and the keys of the sieve can be set";
            return Err(ParameterError::contradiction(key, reason).into());
        }
        Ok(configuration)
    })?;
    let sieves = |samples: u32, epochs: u32, classes: Option<&Arc<Classes>>| {
        each(&points, |number, _| -> Result<Arc<dyn SievePolicy>> {
            let values = configurations[number].values();
            let context = SieveContext { seed: u64::from(values.integer("seed")), epochs, samples };
            let sieve =
                options.registry.policies.sieve.build(values.text("sieve.policy"), values, &context)?;
            let sieve = sieve.concluding();
            Ok(match classes.filter(|_| stratifies(values)) {
                Some(classes) => sieve.stratified(classes)?,
                None => sieve,
            })
        })
    };
    let start = Instant::now();
    // What is wanted of a score is known to the policy alone, and that takes a number of samples.
    let asking = sieves(u32::MAX, 2, None)?;
    if let Some(sieve) = asking.iter().find(|sieve| sieve.reads_error_norms()) {
        let reason = format!("{} looks at norms of errors, and bare scores have none", sieve.name());
        return Err(ParameterError::contradiction(options.registry.policies.sieve.key, reason).into());
    }
    let wanted = asking.iter().any(|sieve| sieve.reads_losses());
    let files = ScoreFiles::open(&input.paths, options.workers, wanted, &options.interrupted)?;
    let files = Arc::new(files.ok_or_else(|| Error::no_replay("interrupted", true))?);
    refuse_other_first(input.first_epoch, files.first_epoch())?;
    let (samples, epochs, missing_epochs) = (files.samples(), files.epochs(), files.missing_epochs());
    let classes = match configurations.iter().any(|configuration| stratifies(configuration.values())) {
        true => Some(classes(&files, &options.interrupted)?),
        false => None,
    };
    let sieves = sieves(samples, epochs, classes.as_ref())?;
    let indexed = start.elapsed().as_secs_f64();
    let notes = configurations.iter().flat_map(|configuration| configuration.notes());
    let mut notes: Vec<String> = notes.cloned().collect();
    if sieves.iter().all(|sieve| (1..=epochs).all(|epoch| !sieve.decides(epoch))) {
        notes.push(format!("nothing is decided: no interval ends within {}", counted(epochs, "epoch")));
    }
    notes.extend(missing(&missing_epochs));
    options.tell(notes);
    let mut directory = Directory::create(options)?;
    let store = directory.as_mut().and_then(|directory| directory.store(options, ""));
    let source = Arc::clone(&files) as Arc<dyn ScoreSource>;
    let grid = Grid {
        repeats: Some(input.repeats),
        ..Grid::new(source, sieves, epochs, store, Arc::clone(&options.interrupted))
    };
    let found = judge(grid, options.workers)?;
    let repeated_rows = found.repeated.values().sum();
    if input.repeats == Repeats::Refuse {
        refuse_repeated(&found, repeated_rows, input.first_epoch)?;
    }
    let costs = found.rows.iter().copied().map(MemberCosts::from).collect();
    let member = |configuration: &Configuration| Member::of(configuration, &["sieve.policy"]);
    let run = JudgedRun {
        members: configurations.iter().map(member).collect(),
        found: Found { costs, ..found },
        samples,
        epochs,
        planned: epochs,
        ..JudgedRun::default()
    };
    if let Some(directory) = directory {
        if let Some(names) = files.names() {
            directory.write(NAMES_NAME, std::iter::once(names_table(names)))?;
        }
        let members = (0..run.members.len() as u32).filter(|_| !run.found.kept.is_empty());
        directory.write(KEPT_NAME, members.map(|member| kept_table(&files, &run.found, member)))?;
        directory.keep(std::slice::from_ref(&run))?;
    }
    let seconds = [indexed, start.elapsed().as_secs_f64() - indexed];
    Ok(Judged { run, files: files.files(), rows: files.rows(), repeated_rows, missing_epochs, seconds })
}

/// The class of every sample, from the column of labels.
fn classes(files: &ScoreFiles, interrupted: &AtomicBool) -> Result<Arc<Classes>> {
    let refused = |error| {
        let reason = format!("reads the class of every sample from the scores, column label: {error}");
        ParameterError::contradiction(STRATIFY, reason)
    };
    let labels = files.labels(interrupted).map_err(refused)?;
    Ok(Arc::new(Classes::new(&labels.ok_or_else(|| Error::no_replay("interrupted", true))?)))
}

/// Refuses files whose first epoch is another than was said.
pub(super) fn refuse_other_first(said: u32, found: u32) -> Result<()> {
    if said == found {
        return Ok(());
    }
    let remedy = format!("the first is epoch {found}; add --first-epoch {found}");
    Err(Error::usage(match found < said {
        true => format!("--first-epoch {said}: {remedy}"),
        false => format!("no rows of epoch {said}, {remedy}"),
    }))
}

/// Says which epochs have no rows.
fn missing(epochs: &[u32]) -> Option<String> {
    const NAMED: usize = 8;
    let mut named: Vec<String> = epochs.iter().take(NAMED).map(u32::to_string).collect();
    if epochs.len() > NAMED {
        named.push(format!("and {} more", epochs.len() - NAMED));
    }
    let (named, count) = (named.join(", "), counted(epochs.len(), "epoch"));
    let told =
        format!("no rows of {count} between the first and the last, as the files number them: {named}");
    (!epochs.is_empty()).then_some(told)
}

/// Refuses scores of which some are more than one row of a sample in an epoch.
fn refuse_repeated(found: &Found, rows: u64, first_epoch: u32) -> Result<()> {
    let Some(epoch) = found.repeated.keys().next() else { return Ok(()) };
    let (rows, epochs) = (counted(rows, "repeated row"), counted(found.repeated.len(), "epoch"));
    let epoch = epoch + first_epoch;
    Err(Error::usage(format!(
        "{rows} in {epochs}, the first in epoch {epoch}: a sample has more than one row in an epoch, as \
         after a resumed training or with a copied file; add --repeats last (or first) to take one by its \
         step"
    )))
}

/// The numbers of samples that are texts.
fn names_table(names: &[Arc<str>]) -> Columns {
    let numbers = (0..names.len() as i64).map(Some).collect();
    let names = names.iter().map(|name| Some(name.to_string())).collect();
    vec![("sample".to_owned(), Values::Integer(numbers)), ("name".to_owned(), Values::Text(names))]
}

/// Which samples a member keeps, in the user's names of them.
fn kept_table(files: &ScoreFiles, found: &Found, member: u32) -> Columns {
    let (mut kept, mut keys) = (Vec::new(), Vec::new());
    for (is_kept, key) in found.kept_by(member) {
        kept.push(Some(is_kept));
        keys.push(key.map(i64::from));
    }
    let samples = match files.names() {
        Some(names) => Values::Text(names.iter().map(|name| Some(name.to_string())).collect()),
        None => Values::Integer((0..files.samples()).map(|slot| Some(files.sample(slot).into())).collect()),
    };
    let members = Values::Integer(vec![Some(member.into()); kept.len()]);
    let columns = [
        ("member", members),
        ("sample", samples),
        ("kept", Values::Boolean(kept)),
        ("key", Values::Integer(keys)),
    ];
    columns.map(|(name, values)| (name.to_owned(), values)).into()
}
