//! Sieves judged by bare score files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use spfde_data::files::score_files::ScoreFiles;
use spfde_data::parameter::{ParameterError, Value};
use spfde_data::scores::ScoreSource;
use spfde_data::words::counted;
use spfde_flow::grid::{Found, Grid, MemberCosts};
use spfde_policy::{SieveContext, SievePolicy};

use super::axes::each;
use super::directory::Directory;
use super::{Axes, GridOptions, JudgedRun, Member, judge};
use crate::configuration::Configuration;
use crate::error::Error;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The members and what was found, as of a run without layers.
    pub run: JudgedRun,
    /// Files of scores.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Seconds to find out what is in the files, and for the rest.
    pub seconds: [f64; 2],
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
    let sieves = |samples: u32, epochs: u32| {
        each(&points, |number, _| -> Result<Arc<dyn SievePolicy>, Error> {
            let values = configurations[number].values();
            let context = SieveContext { seed: u64::from(values.integer("seed")), epochs, samples };
            Ok(options.registry.policies.sieve.build(values.text("sieve.policy"), values, &context)?)
        })
    };
    let start = Instant::now();
    // Whether losses are wanted is known to the policy alone, and that takes a number of samples.
    let wanted = sieves(u32::MAX, 2)?.iter().any(|sieve| sieve.reads_losses());
    let files = ScoreFiles::open(path, options.workers, wanted, &options.interrupted)?;
    let files = Arc::new(files.ok_or_else(|| Error::replay_interrupted("interrupted"))?);
    let (samples, epochs) = (files.samples(), files.epochs());
    let sieves = sieves(samples, epochs + 1)?;
    let indexed = start.elapsed().as_secs_f64();
    let notes = configurations.iter().flat_map(|configuration| configuration.notes());
    let mut notes: Vec<String> = notes.cloned().collect();
    if sieves.iter().all(|sieve| (1..=epochs).all(|epoch| !sieve.decides(epoch))) {
        notes.push(format!(
            "nothing is decided: no interval ends within the {} of {}",
            counted(epochs, "epoch"),
            path.display()
        ));
    }
    options.tell(notes);
    let mut directory = Directory::create(options)?;
    let store = directory.as_mut().and_then(|directory| directory.store(options, ""));
    let source = Arc::clone(&files) as Arc<dyn ScoreSource>;
    let grid = Grid::new(source, sieves, epochs, store, Arc::clone(&options.interrupted));
    let found = judge(grid, options.workers)?;
    let costs = found.rows.iter().copied().map(MemberCosts::from).collect();
    let run = JudgedRun {
        name: path.display().to_string(),
        members: configurations
            .iter()
            .map(|configuration| Member::of(configuration, &["sieve.policy"]))
            .collect(),
        found: Found { costs, ..found },
        samples,
        layers: 0,
        epochs,
        recorded: Vec::new(),
        end: None,
    };
    if let Some(directory) = directory {
        directory.keep(std::slice::from_ref(&run))?;
    }
    let seconds = [indexed, start.elapsed().as_secs_f64() - indexed];
    Ok(Judged { run, files: files.files(), rows: files.rows(), seconds })
}
