//! The labels of the samples of a run.

use std::sync::Arc;

use spfde_data::files::RecordedRun;

use crate::data::data_of_run;
use crate::{Configuration, Error, Registry, Result, Source};

/// The classes of the samples of a training set.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    labels: Vec<u16>,
    names: Vec<String>,
}

impl Labels {
    /// Those of a run, from its data set, which has to be the same still: one of the `registry`, or files.
    pub(super) fn of(run: &RecordedRun, registry: &Arc<Registry>) -> Result<Self> {
        let source = Source::of_run(run.path(), &run.config_unchanged()?)?;
        let registry = registry.of_run(run, source.entries())?;
        let (known, _) = registry.with_stand_ins(source.entries());
        let configuration = Configuration::resolve_over(&registry, &known, &[])?;
        let set = data_of_run(run, &configuration).map_err(|why| {
            let (run, path) = (run.path().display(), configuration.values().text("data.path"));
            let what = "the class of every sample is in the data set, which cannot be used";
            Error::failed(format!("{run}: {what}: {why}; put it back where it was: data.path = {path:?}"))
        })?;
        Ok(Self { labels: set.train.labels.clone(), names: set.class_names.clone() })
    }

    /// The class of a sample; `None` if there is no such sample.
    pub fn of_sample(&self, sample: u32) -> Option<u16> {
        self.labels.get(sample as usize).copied()
    }

    /// The name of a class, or its number if it has none.
    pub fn name(&self, class: u16) -> String {
        self.names.get(usize::from(class)).cloned().unwrap_or_else(|| class.to_string())
    }
}
