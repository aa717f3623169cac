//! The record of a run that goes on: each epoch can be read once it is committed.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::RecordedTrace;
use crate::files::run_directory::is_held;
use crate::files::{DataError, MANIFEST_NAME, Manifest, plausible};
use crate::segment::Result;
use crate::{Column, Extent, RecordedSegment, Recording, RecordingError, counted};

/// How often the manifest is looked at. An epoch takes seconds at least, a look a millisecond for some
/// thousand segments.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What to do about a record that is not the one that was read.
const ANEW: &str = "follow it anew";

/// Some streams of a run that another process may still be writing.
///
/// It is complete when the run is finished, or no process holds it any more: then it was interrupted. Nothing
/// is ever taken back: a run that was resumed before the follower saw it released is an error if its segments
/// are not those that have been read already, as they are not on another number of workers, or if one of them
/// is gone that was still to be read.
#[derive(Debug)]
pub struct FollowedTrace {
    run: PathBuf,
    state: Mutex<State>,
}

/// What the last look found.
#[derive(Clone, Debug)]
struct State {
    trace: Arc<RecordedTrace>,
    /// The streams that are read.
    streams: Vec<String>,
    manifest_blake3: String,
    complete: bool,
    looked: Instant,
}

/// How a followed run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowedEnd {
    /// Its last manifest; a run that is not finished was interrupted.
    pub manifest: Manifest,
    /// BLAKE3 of the manifest, in hexadecimal.
    pub manifest_blake3: String,
}

impl FollowedTrace {
    /// The streams of the run directory `run`, as far as they are committed. The given ones have to be among
    /// them; others count as read from when they are asked for.
    ///
    /// # Errors
    /// If there is no run, or one of the streams is not recorded.
    pub fn open(run: &Path, streams: &[&str]) -> Result<Self, DataError> {
        let streams: Vec<String> = streams.iter().map(|stream| (*stream).to_owned()).collect();
        let state = Mutex::new(look(run, streams)?);
        Ok(Self { run: run.to_owned(), state })
    }

    /// The same, if it is the run whose manifest is known.
    ///
    /// # Errors
    /// If it is another run by now: of other data, another configuration, or other epochs.
    pub fn of(self, known: &Manifest) -> Result<Self, DataError> {
        check_same(&self.run, &self.trace().manifest, known)?;
        Ok(self)
    }

    /// How the run ended, once it has.
    pub fn end(&self) -> Option<FollowedEnd> {
        let state = self.lock();
        let (manifest, manifest_blake3) = (&state.trace.manifest, &state.manifest_blake3);
        let end = || FollowedEnd { manifest: manifest.clone(), manifest_blake3: manifest_blake3.clone() };
        state.complete.then(end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trace(&self) -> Arc<RecordedTrace> {
        Arc::clone(&self.lock().trace)
    }

    /// Looks again, unless it did so just now. What was known has to be there still.
    fn look_again(&self) -> Result<(), DataError> {
        let mut known = self.lock();
        if known.complete || known.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        let found = look(&self.run, known.streams.clone())?;
        let (found_manifest, known_manifest) = (&found.trace.manifest, &known.trace.manifest);
        check_same(&self.run, found_manifest, known_manifest)?;
        let path = self.run.join(MANIFEST_NAME);
        let (now, before) = (found_manifest.epochs_reached, known_manifest.epochs_reached);
        if now < before {
            // A resumed run goes back to its checkpoint, and records the epochs behind it again.
            if found.complete {
                let read = counted(before, "epoch");
                let what =
                    format!("has {now} of {read} that have been read: the run went back and ended there");
                return Err(DataError::refused(&path, what, ANEW));
            }
            known.looked = found.looked;
            return Ok(());
        }
        let is_other = |(stream, epoch): &(&String, u32)| {
            found_manifest.segments_at(stream, *epoch) != known_manifest.segments_at(stream, *epoch)
        };
        let mut places =
            found.streams.iter().flat_map(|stream| (0..before).map(move |epoch| (stream, epoch)));
        if let Some((stream, epoch)) = places.find(is_other) {
            let what = format!("names other segments of {stream} in epoch {} than have been read", epoch + 1);
            return Err(DataError::refused(&path, what, ANEW));
        }
        *known = found;
        Ok(())
    }
}

/// Tests that two looks found the same run.
fn check_same(run: &Path, found: &Manifest, known: &Manifest) -> Result<(), DataError> {
    let identity = |manifest: &Manifest| {
        (manifest.data_set.fingerprint.clone(), manifest.configuration.clone(), manifest.epochs)
    };
    if identity(found) == identity(known) {
        return Ok(());
    }
    let what = "is that of another run by now: of other data, another configuration or other epochs";
    Err(DataError::refused(&run.join(MANIFEST_NAME), what, ANEW))
}

/// What there is of a run.
fn look(run: &Path, streams: Vec<String>) -> Result<State, DataError> {
    // The holder first: what it wrote before it let go is in the manifest that is read afterwards.
    let held = is_held(run)?;
    let (manifest, manifest_blake3) = Manifest::read_hashed(run)?;
    plausible::rows(run, &manifest)?;
    let named: Vec<&str> = streams.iter().map(String::as_str).collect();
    let trace = Arc::new(RecordedTrace::new(run, &manifest, &named)?);
    let complete = manifest.finished || !held;
    Ok(State { trace, streams, manifest_blake3, complete, looked: Instant::now() })
}

impl Recording for FollowedTrace {
    fn epochs(&self) -> u32 {
        self.trace().epochs()
    }

    fn extent(&self) -> Extent {
        let state = self.lock();
        Extent { epochs: state.trace.epochs(), complete: state.complete }
    }

    fn look(&self) -> Result<Extent> {
        self.look_again()?;
        Ok(self.extent())
    }

    fn segments(&self, stream: &str, epoch: u32) -> usize {
        let mut state = self.lock();
        let segments = state.trace.segments(stream, epoch);
        if segments > 0 && !state.streams.iter().any(|read| read == stream) {
            state.streams.push(stream.to_owned());
        }
        segments
    }

    fn open(&self, stream: &str, columns: &[Column], epoch: u32, segment: usize) -> Result<RecordedSegment> {
        let known = self.trace();
        known.open(stream, columns, epoch, segment).map_err(|error| {
            // It may be gone because the run went back since the last look.
            let at = |trace: &RecordedTrace| trace.manifest.segments_at(stream, epoch).to_vec();
            match look(&self.run, Vec::new()) {
                Ok(now) if at(&now.trace) != at(&known) => RecordingError(format!(
                    "{error}; the run has gone back to a checkpoint since, and records epoch {} anew: {ANEW}",
                    epoch + 1
                )),
                _ => error,
            }
        })
    }
}
