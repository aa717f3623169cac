//! Sieves judged by bare score files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use spfde_data::files::score_files::ScoreFiles;
use spfde_data::files::table_file;
use spfde_data::parameter::{ParameterError, Value};
use spfde_data::scores::ScoreSource;
use spfde_data::words::counted;
use spfde_flow::grid::{Found, Grid};
use spfde_policy::{SieveContext, SievePolicy};

use super::axes::at_point;
use super::directory::Directory;
use super::work::judge;
use super::{Axes, GridOptions, Member, TABLE_NAME, table};
use crate::configuration::Configuration;
use crate::error::Error;
use crate::registry::Registry;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The members, by number.
    pub members: Vec<Member>,
    /// What was found.
    pub found: Found,
    /// Files of scores.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Samples that occur.
    pub samples: u32,
    /// Epochs with scores.
    pub epochs: u32,
    /// Seconds to find out what is in the files, and for the rest.
    pub seconds: [f64; 2],
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Judges sieve policies by the score files at `path`: every point of `axes`, with `settings` for all of
/// them.
///
/// The last epoch is decided, too: what takes effect after it is the answer of the whole record.
///
/// # Errors
/// If a setting is unknown, out of range or none of the sieve's, before any work; if a file cannot be read or
/// written, or it is interrupted: nothing is left then.
pub fn judge_scores(
    path: &Path,
    settings: &[(String, Value)],
    axes: &Axes,
    options: &GridOptions,
) -> Result<Judged, Error> {
    let places = axes.points();
    let points: Vec<Configuration> = places
        .iter()
        .map(|point| {
            configuration(&options.registry, &[settings, point].concat())
                .map_err(|error| at_point(point, error))
        })
        .collect::<Result<_, Error>>()?;
    let start = Instant::now();
    // Whether losses are wanted is known to the policy alone, and that takes a number of samples.
    let wanted = points.iter().zip(&places).try_fold(false, |wanted, (point, place)| {
        let built = build(point, u32::MAX, 2).map_err(|error| at_point(place, error))?;
        Ok::<_, Error>(wanted | built.reads_losses())
    })?;
    let files = ScoreFiles::open(path, options.workers, wanted, &options.interrupted)?;
    let files = Arc::new(files.ok_or_else(|| Error::replay_interrupted("interrupted"))?);
    let (samples, epochs) = (files.samples(), files.epochs());
    let policies: Vec<Arc<dyn SievePolicy>> = points
        .iter()
        .zip(&places)
        .map(|(point, place)| build(point, samples, epochs + 1).map_err(|error| at_point(place, error)))
        .collect::<Result<_, Error>>()?;
    let indexed = start.elapsed().as_secs_f64();
    let members: Vec<Member> = points.iter().map(|point| Member::of(point, &["sieve.policy"])).collect();
    let mut notes: Vec<String> = points.iter().flat_map(|point| point.notes().iter().cloned()).collect();
    notes.sort();
    notes.dedup();
    if policies.iter().all(|policy| (1..=epochs).all(|epoch| !policy.decides(epoch))) {
        notes.push(format!(
            "nothing is decided: no interval ends within the {} of {}",
            counted(epochs, "epoch"),
            path.display()
        ));
    }
    let mut directory = options.directory.as_deref().map(Directory::create).transpose()?;
    let store = match (&mut directory, options.decisions) {
        (Some(directory), true) => Some(directory.store("")),
        _ => None,
    };
    let source = Arc::clone(&files) as Arc<dyn ScoreSource>;
    let grid = Grid::new(source, policies, epochs, store, Arc::clone(&options.interrupted));
    let found = judge(grid, options.workers)?;
    if let Some(directory) = directory {
        table_file::write(&directory.path().join(TABLE_NAME), table::of_scores(&members, &found))?;
        directory.keep();
    }
    let seconds = [indexed, start.elapsed().as_secs_f64() - indexed];
    let (files, rows) = (files.files(), files.rows());
    Ok(Judged { members, found, files, rows, samples, epochs, seconds, notes })
}

/// The configuration of a member; only keys of the sieve, and the seed.
fn configuration(
    registry: &Arc<Registry>,
    settings: &[(String, Value)],
) -> Result<Configuration, ParameterError> {
    let configuration = Configuration::resolve_over(registry, &[], settings)?;
    if let Some((key, _)) = settings.iter().find(|(key, _)| key != "seed" && !key.starts_with("sieve.")) {
        let reason = "bare scores tell of samples only: the seed and the keys of the sieve can be set";
        return Err(ParameterError::contradiction(key, reason));
    }
    Ok(configuration)
}

fn build(
    configuration: &Configuration,
    samples: u32,
    epochs: u32,
) -> Result<Arc<dyn SievePolicy>, ParameterError> {
    let values = configuration.values();
    let context = SieveContext { seed: u64::from(values.integer("seed")), epochs, samples };
    configuration.registry().policies.sieve.build(values.text("sieve.policy"), values, &context)
}
