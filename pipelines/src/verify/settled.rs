//! Looking at a run that may be written meanwhile: what its manifest named may be gone by then, and is no
//! damage.

use std::path::Path;

use spfde_data::files::{RecordedRun, RunDirectory};

use super::Findings;
use crate::{Error, Result};

/// How often a run is looked at that is written meanwhile.
const TRIES: usize = 10;

/// Opens the run in `directory` and checks it: anew where something is found and the manifest is another by
/// then. Files go away, or are replaced, only after the manifest has changed that named them: what is found
/// while it stays the same is true.
///
/// # Errors
/// As `check`, and if the run cannot be opened; if the manifest changed each time.
pub(super) fn settled(
    directory: &Path,
    mut check: impl FnMut(&RecordedRun) -> Result<Findings>,
) -> Result<(RecordedRun, Findings)> {
    let mut run = RunDirectory::open(directory)?;
    for _ in 0..TRIES {
        let checked = check(&run);
        if checked.as_ref().is_ok_and(|findings| findings.count() == 0) {
            return checked.map(|findings| (run, findings));
        }
        let now = RunDirectory::open(directory)?;
        if now.manifest_blake3() == run.manifest_blake3() {
            return checked.map(|findings| (run, findings));
        }
        run = now;
    }
    let what = format!("is being written, and went on each of the {TRIES} times that it was looked at");
    Err(Error::failed(format!("{}: {what}; verify it when it rests", directory.display())))
}

#[cfg(test)]
mod tests {
    use spfde_data::files::manifest::{DataSetRecord, Manifest};

    use super::*;
    use spfde_data::files::run_directory::Beginning;

    /// A run that is being written.
    fn begun(path: &Path) -> RunDirectory {
        let data_set = DataSetRecord {
            name: "tiny".to_owned(),
            train_rows: 2,
            test_rows: 2,
            channels: 1,
            height: 1,
            width: 1,
            classes: 2,
            fingerprint: "0".repeat(64),
            class_names: Vec::new(),
            column_names: Vec::new(),
            table: None,
            normalization: None,
        };
        let environment = serde_json::json!({"version": "test"});
        let (config, manifest) = (String::new(), Manifest::of(data_set, 2));
        RunDirectory::create(
            path,
            &Beginning { config, architecture: None, start: None, environment, manifest },
        )
        .unwrap()
    }

    fn found(words: &str) -> Findings {
        let mut findings = Findings::default();
        findings.push(words);
        findings
    }

    #[test]
    fn what_is_found_in_a_run_that_went_on_meanwhile_is_looked_at_anew() {
        let root = tempfile::tempdir().unwrap();
        let written = begun(root.path());
        let mut tries = 0;
        let (run, findings) = settled(root.path(), |_| {
            tries += 1;
            if tries == 3 {
                return Ok(Findings::default());
            }
            written.finish(Some(format!("after {tries}"))).unwrap();
            Ok(found("a file is gone"))
        })
        .unwrap();
        assert_eq!((tries, findings.count()), (3, 0));
        assert_eq!(run.manifest().stopped.as_deref(), Some("after 2"));
    }

    #[test]
    fn what_is_found_in_a_run_at_rest_is_told_at_once() {
        let root = tempfile::tempdir().unwrap();
        let _held = begun(root.path());
        let mut tries = 0;
        let (_, findings) = settled(root.path(), |_| {
            tries += 1;
            Ok(found("a file is damaged"))
        })
        .unwrap();
        assert_eq!((tries, findings.told()), (1, &["a file is damaged".to_owned()][..]));
    }

    #[test]
    fn a_run_that_goes_on_each_time_is_not_called_damaged() {
        let root = tempfile::tempdir().unwrap();
        let written = begun(root.path());
        let mut tries = 0;
        let error = settled(root.path(), |_| {
            tries += 1;
            written.finish(Some(format!("after {tries}"))).unwrap();
            Ok(found("a file is gone"))
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{}: is being written, and went on each of the 10 times that it was looked at; \
                 verify it when it rests",
                root.path().display()
            )
        );
        assert_eq!((tries, error.exit_code()), (10, 1));
    }
}
