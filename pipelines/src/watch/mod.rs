//! Watching a run: what a screen or lines show of it, from committed segments alone.

mod screen;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use spfde_data::files::run_directory::is_held;
use spfde_data::files::{Manifest, plausible};
use spfde_data::{EpochRow, LayerRow, SieveRow, counted};

use crate::Result;
use crate::replay::rows;
use crate::report::table::{or_dash, percent, precise};

pub use screen::{Screen, text};

/// Epochs from whose times the time that is left is guessed.
const RECENT: usize = 3;

/// An epoch that is committed, and the samples that entered and left at its start; of the first epoch those
/// that began inside are no change.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Its row in the table `epochs`.
    pub row: EpochRow,
    /// Samples that entered the active set.
    pub entered: usize,
    /// Samples that left it.
    pub left: usize,
    /// Seconds up to its end, if they are known.
    pub elapsed: Option<f64>,
}

impl Epoch {
    /// FLOPs of training as a share of dense training.
    pub fn of_dense(&self) -> f64 {
        let flops = self.row.forward_flops + self.row.backward_flops + self.row.extra_flops;
        if self.row.dense_flops > 0 { flops as f64 / self.row.dense_flops as f64 } else { 0.0 }
    }

    /// The epoch in a line.
    pub fn line(&self) -> String {
        let Self { row, entered, left, elapsed } = self;
        format!(
            "epoch {}: test accuracy {}, {} of dense FLOPs, {} samples (+{entered} −{left}), {} frozen, {}",
            row.epoch + 1,
            or_dash(row.test_accuracy, precise),
            percent(self.of_dense()),
            row.active_samples,
            counted(row.frozen_layers, "layer"),
            or_dash(*elapsed, duration),
        )
    }
}

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The run directory.
    pub path: PathBuf,
    /// The manifest when it was last looked at.
    pub manifest: Manifest,
    /// Whether a process trains it.
    pub held: bool,
    /// The committed epochs.
    pub epochs: Vec<Epoch>,
    /// The layers at the end of the last of them; a replay has none.
    pub layers: Vec<LayerRow>,
}

impl Watched {
    /// The run in the directory `path`.
    ///
    /// # Errors
    /// If there is no run, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let mut watched = Self { path: path.to_owned(), ..Self::default() };
        watched.look()?;
        Ok(watched)
    }

    /// Looks again; whether there is something new. A run that went back to a checkpoint is read anew.
    ///
    /// # Errors
    /// If the run cannot be read, perhaps because it went back just now: look once more.
    pub fn look(&mut self) -> Result<bool> {
        // The holder first: what it wrote before it let go is in the manifest that is read afterwards.
        let held = is_held(&self.path)?;
        let manifest = Manifest::read(&self.path)?;
        if (held, &manifest) == (self.held, &self.manifest) {
            return Ok(false);
        }
        plausible::rows(&self.path, &manifest)?;
        let reached = manifest.epochs_reached;
        let mut epochs = std::mem::take(&mut self.epochs);
        epochs.truncate(if reached < epochs.len() as u32 { 0 } else { reached as usize });
        for number in epochs.len() as u32..reached {
            for row in rows::<EpochRow>(&self.path, &manifest, number..number + 1)? {
                // Who is active from the start on is no change.
                let changed = number.max(1)..number + 1;
                let sieves: Vec<SieveRow> = rows(&self.path, &manifest, changed)?;
                let samples = |diff: i8| -> BTreeSet<u32> {
                    sieves.iter().filter(|row| row.diff == diff).map(|row| row.sample).collect()
                };
                // One of which only the weight in the loss changes leaves and enters at once.
                let (entered, left) = (samples(1), samples(-1));
                let before = epochs.last().map_or(Some(0.0), |epoch: &Epoch| epoch.elapsed);
                let elapsed = before.zip(row.seconds).map(|(before, seconds)| before + seconds);
                epochs.push(Epoch {
                    row,
                    entered: entered.difference(&left).count(),
                    left: left.difference(&entered).count(),
                    elapsed,
                });
            }
        }
        self.layers = rows(&self.path, &manifest, reached.saturating_sub(1)..reached)?;
        (self.epochs, self.manifest, self.held) = (epochs, manifest, held);
        Ok(true)
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.manifest.finished || !self.held
    }

    /// Seconds until its last epoch, guessed from the latest ones; `None` if nothing is known of them.
    pub fn seconds_left(&self) -> Option<f64> {
        let recent = &self.epochs[self.epochs.len().saturating_sub(RECENT)..];
        let sum = recent.iter().try_fold(0.0, |sum, epoch| Some(sum + epoch.row.seconds?))?;
        let left = self.manifest.epochs.saturating_sub(self.manifest.epochs_reached);
        (!recent.is_empty()).then(|| f64::from(left) * sum / recent.len() as f64)
    }

    /// How it stands, in words.
    pub fn state(&self) -> String {
        let Manifest { finished, ended_early, stopped, .. } = &self.manifest;
        match (ended_early, stopped) {
            (Some(reason), _) => format!("ended early: {reason}"),
            _ if *finished => "finished".to_owned(),
            _ if self.held => "training".to_owned(),
            (_, Some(reason)) => format!("interrupted ({reason})"),
            _ => "interrupted".to_owned(),
        }
    }

    /// How far it is and what it reached, in words.
    pub fn reached(&self) -> String {
        let (reached, planned) = (self.manifest.epochs_reached, counted(self.manifest.epochs, "epoch"));
        let accuracy = self.epochs.last().and_then(|epoch| epoch.row.test_accuracy);
        let left = self.seconds_left().filter(|_| !self.has_ended());
        let left = left.map_or_else(String::new, |seconds| format!(", about {} left", duration(seconds)));
        format!("{reached} of {planned}, test accuracy {}{left}", or_dash(accuracy, precise))
    }
}

/// A duration for people.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 99.5 => format!("{seconds:.0} s"),
        seconds if seconds < 5970.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
