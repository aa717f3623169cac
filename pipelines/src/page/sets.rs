//! The data sets of the runs of a page: runs of the same one share it.

use std::cell::RefCell;
use std::path::PathBuf;

use spfde_data::files::{DataSetRecord, RecordedRun};
use spfde_data::{DataSet, Value};

use crate::Configuration;
use crate::configuration::keys::VALIDATION;
use crate::data::data_of_run;

/// What the training set of a run follows from: what was recorded of its data set, where that is, and what is
/// set aside of it with which seed.
type Key = (DataSetRecord, PathBuf, [Option<Value>; 2]);

/// The data sets that were read so far.
#[derive(Default)]
pub(super) struct Sets(RefCell<Vec<(Key, DataSet)>>);

impl Sets {
    /// That of a run, to which its `configuration` leads.
    ///
    /// # Errors
    /// Why it cannot be read, or that it is another than it was, in words.
    pub(super) fn of(&self, run: &RecordedRun, configuration: &Configuration) -> Result<DataSet, String> {
        let values = configuration.values();
        let seed = values.get("seed").filter(|_| values.number(VALIDATION) > 0.0);
        let drawn = [values.get(VALIDATION), seed].map(|value| value.cloned());
        let key = (run.manifest().data_set.clone(), configuration.data_path(), drawn);
        if let Some((_, set)) = self.0.borrow().iter().find(|(known, _)| *known == key) {
            // Images are shared.
            return Ok(set.clone());
        }
        let set = data_of_run(run, configuration)?;
        self.0.borrow_mut().push((key, set.clone()));
        Ok(set)
    }
}
