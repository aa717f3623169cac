//! What a configuration can choose from: policies, models and data sets, as one value that a program extends.

use std::sync::{Arc, LazyLock};

use spfde_data::files::data_set::{self, DataSetEntry};
use spfde_data::images::DataSet;
use spfde_data::parameter::Parameter;
use spfde_model::models::{self, ModelEntry};
use spfde_policy::registry::{Listed, Member};

use crate::error::Error;

/// A data set that needs no path.
#[derive(Clone)]
pub struct DataEntry {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub summary: String,
    /// Its licence and where it comes from.
    pub licence: String,
    /// Reads it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub load: Arc<dyn Fn() -> Result<DataSet, Error> + Send + Sync>,
}

impl From<&DataSetEntry> for DataEntry {
    fn from(entry: &DataSetEntry) -> Self {
        let load = entry.load;
        Self {
            name: entry.name.to_owned(),
            summary: entry.summary.to_owned(),
            licence: entry.licence.to_owned(),
            load: Arc::new(move || Ok(load()?)),
        }
    }
}

/// Policies, models and data sets by name.
#[derive(Clone)]
pub struct Registry {
    /// The families of policies.
    pub policies: spfde_policy::Registry,
    /// The models.
    pub models: Vec<ModelEntry>,
    /// The data sets that need no path.
    pub data: Vec<DataEntry>,
}

impl Default for Registry {
    /// What comes with the program.
    fn default() -> Self {
        Self {
            policies: spfde_policy::Registry::default(),
            models: models::registry().to_vec(),
            data: data_set::registry().iter().map(DataEntry::from).collect(),
        }
    }
}

impl Registry {
    /// What comes with the program, shared.
    pub fn standard() -> Arc<Self> {
        static STANDARD: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);
        Arc::clone(&STANDARD)
    }

    /// The families of which a run chooses one member each: models first, then those of the policies.
    pub fn families(&self) -> Vec<Listed> {
        let names = self.models.iter().map(|entry| entry.name).collect();
        let member = |entry: &ModelEntry| Member {
            name: entry.name.to_owned(),
            summary: entry.summary.to_owned(),
            parameters: (entry.parameters)(),
        };
        let models = Listed {
            name: "model",
            choice: Parameter::choice("model.name", "resnet20", names, "the network"),
            members: self.models.iter().map(member).collect(),
        };
        std::iter::once(models).chain(self.policies.families()).collect()
    }

    /// The model called `name`.
    ///
    /// # Panics
    /// If there is none: the choice is checked before.
    pub fn model(&self, name: &str) -> &ModelEntry {
        self.models.iter().find(|entry| entry.name == name).expect("a choice was checked")
    }
}
