//! The network of a run with the weights that it has committed last, or with the best: for predictions,
//! evaluation and export.

mod evaluation;
mod predict;

use std::path::Path;
use std::sync::Arc;

use spfde_data::files::weights::Weights;
use spfde_data::files::{
    DataError, DataSetRecord, MANIFEST_NAME, Manifest, RecordedRun, RunDirectory, checkpoint,
};
use spfde_data::{DataSet, Images, Normalization, Parametric, Value};
use spfde_model::{InputShape, Kernel, Network};

use crate::configuration::keys::Train;
use crate::data::data_of_run;
use crate::environment::began_in;
use crate::seams::seams;
use crate::{Configuration, Registry, Result, Source};

pub use evaluation::{Bin, ClassResult, Evaluation};
pub use predict::Prediction;
pub(crate) use predict::on_all_cores;

/// The network of a run, as it was after the last epoch of which the run keeps weights, or after the best.
#[derive(Clone, Debug)]
pub struct TrainedNetwork {
    run: RecordedRun,
    configuration: Configuration,
    network: Network,
    epoch: u32,
    notes: Vec<String>,
}

impl TrainedNetwork {
    /// Reads the network of the run in `directory`. Models that come with no program are known by the
    /// `registry`, or by what the run says of its network.
    ///
    /// # Errors
    /// If there is no run, or it has no weights: a replay never has, a run not before its first checkpoint.
    /// If a file is not what it was.
    pub fn open(registry: &Arc<Registry>, directory: &Path) -> Result<Self> {
        let run = RunDirectory::open(directory)?;
        let manifest = run.manifest();
        let Some(epoch) = manifest.last_checkpoint() else {
            return Err(no_weights(directory, manifest).into());
        };
        let weights = checkpoint::read_weights(directory, manifest, epoch)?;
        let trained = Self::with_weights(registry, run, epoch, &weights)?;
        let reached = trained.run.manifest().epochs_reached;
        let older = (epoch < reached)
            .then(|| format!("the weights are those after epoch {epoch}, of {reached} that are committed"));
        let notes = older.into_iter().chain(trained.notes).collect();
        Ok(Self { notes, ..trained })
    }

    /// As [`TrainedNetwork::open`], with the weights of the best epoch on the validation set: the first with
    /// the greatest accuracy.
    ///
    /// # Errors
    /// As [`TrainedNetwork::open`]; if the run has no validation set.
    pub fn open_best(registry: &Arc<Registry>, directory: &Path) -> Result<Self> {
        let run = RunDirectory::open(directory)?;
        let (epoch, weights) = checkpoint::read_best(directory, run.manifest())?;
        Self::with_weights(registry, run, epoch, &weights)
    }

    /// The network of a run with its weights after `epoch` epochs.
    fn with_weights(
        registry: &Arc<Registry>,
        run: RecordedRun,
        epoch: u32,
        weights: &Weights,
    ) -> Result<Self> {
        let (directory, manifest) = (run.path(), run.manifest());
        let source = Source::of_run(directory, &run.config_unchanged()?)?;
        let registry = registry.of_run(&run, source.entries())?;
        let (mut known, _) = registry.with_stand_ins(source.entries());
        let mut notes = Vec::new();
        known.retain(|(key, value)| match value {
            Value::Text(name) if key == "train.kernel" && Kernel::resolve(name).is_err() => {
                notes
                    .push(format!("the run used the kernel {name}, which is not here: last bits may differ"));
                false
            }
            _ => true,
        });
        let begun_in = run.environment().ok().as_ref().and_then(began_in);
        let configuration = Configuration::resolve_over(&registry, &known, &[])?.begun_in(begun_in);
        let values = configuration.values();
        let (record, train) = (&manifest.data_set, Train::from_parameters(values));
        let input = InputShape { channels: record.channels, height: record.height, width: record.width };
        let description = registry.describe(values, input, record.classes)?;
        let kernel = Kernel::resolve(values.text("train.kernel"))?;
        let mut network = Network::from_description(description, 0, kernel);
        network.set_storage(train.storage);
        (registry.seams)(seams(&train)).plug(&mut network);
        network.restore(&weights.arrays).map_err(|error| {
            let what = format!("the weights after epoch {epoch} do not fit the run's network: {error}");
            DataError::refused(directory, what, "")
        })?;
        Ok(Self { network, epoch, notes, configuration, run })
    }

    /// The run.
    pub fn run(&self) -> &RecordedRun {
        &self.run
    }

    /// The network, as it evaluates.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        self.configuration.values().text("model.name")
    }

    /// After how many epochs the network was so.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What is worth knowing of the weights.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Channels, rows and columns of the images that the network takes.
    pub fn shape(&self) -> [usize; 3] {
        let record = &self.run.manifest().data_set;
        [record.channels, record.height, record.width]
    }

    /// The name of each class: its number, if the data set has no names.
    pub fn labels(&self) -> Vec<String> {
        let DataSetRecord { class_names, classes, .. } = &self.run.manifest().data_set;
        match class_names.len() == *classes {
            true => class_names.clone(),
            false => (0..*classes).map(|class| class.to_string()).collect(),
        }
    }

    /// Whether the network takes rows of a table rather than pictures. Of a run of a time before it was
    /// written down, a table of one column is taken for pictures.
    ///
    /// # Errors
    /// As [`TrainedNetwork::normalization`].
    pub fn is_table(&self) -> Result<bool> {
        match self.run.manifest().data_set.table {
            Some(table) => Ok(table),
            None => Ok(self.normalization()?.scale.len() != self.shape()[0]),
        }
    }

    /// How bytes become the network's input: as the run wrote it down, or as its data set says.
    ///
    /// # Errors
    /// If the run is of a time before it was written down, and its data set cannot be used.
    pub fn normalization(&self) -> Result<Normalization> {
        match &self.run.manifest().data_set.normalization {
            Some(normalization) => Ok(normalization.clone()),
            None => Ok(self.data()?.normalization),
        }
    }

    /// The data set of the run.
    ///
    /// # Errors
    /// If it cannot be read, or is another than it was.
    pub fn data(&self) -> Result<DataSet> {
        data_of_run(&self.run, &self.configuration).map_err(|why| {
            let (path, found) = (self.run.path(), self.configuration.values().text("data.path"));
            let what = format!("the data set of the run, data.path = {found:?}, cannot be used: {why}");
            DataError::refused(path, what, "put it back, or name another with --data").into()
        })
    }

    /// Another data set, by its name or its directory.
    ///
    /// # Errors
    /// If it cannot be read, or its images have another shape than those of the run, or more classes, or
    /// classes or columns of other names.
    pub fn data_at(&self, path: &str) -> Result<DataSet> {
        let entry = ("data.path".to_owned(), Value::Text(path.to_owned()));
        let mut configuration = Configuration::resolve_over(self.configuration.registry(), &[], &[entry])?;
        let set = crate::data::load(&mut configuration)?;
        let Images { channels, height, width, .. } = *set.test;
        let (found, expected) = ([channels, height, width], self.shape());
        let (classes, known) = (set.classes, self.run.manifest().data_set.classes);
        let told = |[channels, height, width]: [usize; 3], classes| {
            format!("images of {channels} × {height} × {width} in {classes} classes")
        };
        if found != expected || classes > known {
            let (found, expected) = (told(found, classes), told(expected, known));
            let reason = format!("--data {path}: has {found}; the run's network takes {expected}");
            return Err(crate::Error::usage(reason));
        }
        let own = &self.run.manifest().data_set;
        for (noun, own, found, remedy) in [
            ("class", &own.class_names, &set.class_names, "number its classes alike"),
            ("column", &own.column_names, &set.column_names, "give it the same columns in the same order"),
        ] {
            if let Some(place) = own.iter().zip(found).position(|(own, found)| own != found) {
                let (own, found) = (&own[place], &found[place]);
                let reason = format!(
                    "--data {path}: calls {noun} {place} {found:?}, the run calls it {own:?}; {remedy}"
                );
                return Err(crate::Error::usage(reason));
            }
        }
        Ok(set)
    }
}

/// Why a run has no weights, and what to do.
fn no_weights(directory: &Path, manifest: &Manifest) -> DataError {
    if let Some(source) = &manifest.replay_of {
        let expected = format!("none; a replay has no weights, name {} instead", source.path);
        return DataError::value(&directory.join(MANIFEST_NAME), "replay_of", &source.path, expected);
    }
    let (reached, epochs) = (manifest.epochs_reached, manifest.epochs);
    let what = format!("has no weights yet ({reached} of {epochs} epochs are committed)");
    DataError::refused(directory, what, "they come with the first checkpoint (train.checkpoint_every)")
}
