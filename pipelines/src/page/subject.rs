//! A run that a page is about: what is read of it once, and how a query names its tables.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::files::parquet_store::{read_stream, stored_bytes};
use spfde_data::files::run_directory::is_held;
use spfde_data::files::{DataError, Manifest, RecordedRun, RunDirectory, plausible};
use spfde_data::rows::{
    CostRow, EpochRow, FreezeEvidenceRow, LayerRow, PredictionRow, STREAMS, SimilarityRow,
};
use spfde_data::{Architecture, DataSet, LayerShape, Row, Value};
use spfde_model::InputShape;

use super::epochs::Epochs;
use super::sets::Sets;
use crate::environment::began_in;
use crate::replay::rows;
use crate::{Configuration, Registry, Result, Source};

/// Layers that are shown at most.
pub(super) const LAYERS: usize = 64;

/// A run, read as far as its manifest goes.
pub(super) struct Subject {
    /// The directory, as the user named it.
    pub(super) name: String,
    pub(super) run: RecordedRun,
    /// Which of its epochs are shown.
    pub(super) epochs: Epochs,
    /// What every epoch cost and reached.
    pub(super) costs: Vec<EpochRow>,
    /// The layers at the end of the epochs that are shown.
    pub(super) layers: Vec<LayerState>,
    /// What the configuration says, and the network; or why that is not known.
    pub(super) settings: Result<(Configuration, Arc<Architecture>), String>,
    /// The names of policies that no registry here knows, by their keys.
    unknown: BTreeMap<&'static str, String>,
    /// Whether a process trains it.
    pub(super) is_held: bool,
    sets: Rc<Sets>,
    data: OnceCell<Result<DataSet, String>>,
}

/// A layer at the end of an epoch.
pub(super) struct LayerState {
    pub(super) epoch: u32,
    pub(super) layer: u16,
    pub(super) nonzero: u32,
    pub(super) weights: usize,
}

impl Subject {
    /// Reads the run in `directory`; its data set is one of `sets`.
    ///
    /// # Errors
    /// If there is no run, or its tables are not what the manifest says.
    pub(super) fn open(registry: &Arc<Registry>, directory: &Path, sets: &Rc<Sets>) -> Result<Self> {
        // The holder first: what it wrote before it let go is in the manifest that is read afterwards.
        let is_held = is_held(directory).unwrap_or(false);
        let run = RunDirectory::open(directory)?;
        let manifest = run.manifest();
        plausible::rows(directory, manifest)?;
        plausible::samples(directory, manifest, |segment| stored_bytes(directory, segment))?;
        let epochs = Epochs::new(manifest.epochs_reached);
        let mut unknown = BTreeMap::new();
        let settings = settings(registry, &run, &mut unknown).map_err(|error| error.to_string());
        let costs: Vec<EpochRow> = rows(directory, manifest, 0..manifest.epochs_reached)?;
        if !costs.iter().map(|row| row.epoch).eq(0..manifest.epochs_reached) {
            let what = "stream epochs does not have one row for each committed epoch";
            return Err(DataError::refused(directory, what, "the run was changed").into());
        }
        let name = directory.display().to_string();
        let (layers, data, sets) = (Vec::new(), OnceCell::new(), Rc::clone(sets));
        let mut own = Self { name, epochs, costs, layers, settings, unknown, is_held, sets, data, run };
        let mut layers = Vec::new();
        let mut add = |epoch, layer, nonzero, weights| {
            if epochs.last(epoch) == epoch {
                layers.push(LayerState { epoch, layer, nonzero, weights });
            }
        };
        if own.is_replay() {
            let shapes = own.settings.as_ref().map_or(&[][..], |(_, network)| &network.layers);
            let weights = |layer: u16| shapes.get(usize::from(layer)).map_or(0, LayerShape::weights);
            own.visit::<CostRow>(|row| add(row.epoch, row.layer, row.nonzero, weights(row.layer)))?;
        } else {
            own.visit::<LayerRow>(|row| add(row.epoch, row.layer, row.nonzero, row.weights as usize))?;
        }
        own.layers = layers;
        Ok(own)
    }

    /// The manifest.
    pub(super) fn manifest(&self) -> &Manifest {
        self.run.manifest()
    }

    /// Whether it is a replay, which trained nothing.
    pub(super) fn is_replay(&self) -> bool {
        self.manifest().replay_of.is_some()
    }

    /// Shows every row of a stream to `visit`, epoch by epoch.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn visit<R: Row>(&self, mut visit: impl FnMut(R)) -> Result<()> {
        for batch in read_stream::<R>(self.run.path(), self.manifest(), 0..self.manifest().epochs_reached) {
            batch?.into_rows::<R>().into_iter().for_each(&mut visit);
        }
        Ok(())
    }

    /// The table of a stream in SQL; of a run that is not finished without what is not committed.
    pub(super) fn table(&self, stream: &str) -> String {
        let files = quoted(&format!("{}/trace/{stream}/*.parquet", literal(&self.name)));
        match self.manifest().finished {
            true => files,
            false => format!("(SELECT * FROM {files} WHERE epoch < {})", self.manifest().epochs_reached),
        }
    }

    /// A query from its template. In braces, names of streams become their tables, `number` and `shown` what
    /// [`Epochs`] calls so, and others what `more` says.
    pub(super) fn query(&self, template: &str, more: &[(&str, &str)]) -> String {
        let layers = if self.is_replay() { CostRow::STREAM } else { LayerRow::STREAM };
        let streams = STREAMS
            .iter()
            .chain(&[PredictionRow::STREAM, SimilarityRow::STREAM, FreezeEvidenceRow::STREAM])
            .map(|stream| (*stream, self.table(if *stream == LayerRow::STREAM { layers } else { stream })));
        let own = [("number", self.epochs.number()), ("shown", self.epochs.is_shown())];
        let more = more.iter().map(|(name, text)| (*name, (*text).to_owned()));
        let all = own.into_iter().chain(more).chain(streams);
        let fill = |query: String, (name, text): (&str, String)| query.replace(&format!("{{{name}}}"), &text);
        all.fold(template.trim_end().to_owned(), fill)
    }

    /// What the epochs that are shown cost and reached.
    pub(super) fn shown(&self) -> impl Iterator<Item = &EpochRow> {
        self.epochs.shown().filter_map(|epoch| self.costs.get(epoch as usize))
    }

    /// Its data set.
    ///
    /// # Errors
    /// Why it cannot be read, or that it is another than it was, in words.
    pub(super) fn data(&self) -> Result<&DataSet, &str> {
        let read = || self.sets.of(&self.run, &self.settings.as_ref().map_err(Clone::clone)?.0);
        self.data.get_or_init(read).as_ref().map_err(String::as_str)
    }

    /// The layers that are shown, evenly spaced ones of a deep network, with their names.
    pub(super) fn shown_layers(&self) -> (Vec<u16>, Vec<String>) {
        let names = self.settings.as_ref().map_or(&[][..], |(_, network)| &network.layers);
        let last = self.layers.iter().map(|state| usize::from(state.layer) + 1).max();
        let count = last.unwrap_or(0).max(names.len()).min(usize::from(u16::MAX));
        let every = count.div_ceil(LAYERS).max(1);
        let named = |layer: usize| match names.get(layer) {
            Some(shape) => format!("{layer} {:.24}", shape.name),
            None => layer.to_string(),
        };
        (0..count).step_by(every).map(|layer| (layer as u16, named(layer))).unzip()
    }

    /// The value of a key of the configuration, in words.
    pub(super) fn setting(&self, key: &str) -> String {
        if let Some(name) = self.unknown.get(key) {
            return name.clone();
        }
        match self.settings.as_ref().ok().and_then(|(own, _)| own.values().get(key)) {
            Some(Value::Text(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "–".to_owned(),
        }
    }

    /// The name of a class.
    pub(super) fn class(&self, class: usize) -> String {
        let names = &self.manifest().data_set.class_names;
        names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// Seconds from the start of the run to the end of each epoch; `None` where no time is recorded.
    pub(super) fn elapsed(&self) -> Vec<Option<f64>> {
        let add = |sum: &mut Option<f64>, row: &EpochRow| {
            *sum = row.seconds.map(|seconds| sum.unwrap_or(0.0) + seconds).or(*sum);
            Some(*sum)
        };
        self.costs.iter().scan(None, add).collect()
    }
}

/// The configuration of a run, and its network; policies that are not known here go to `unknown`.
fn settings(
    registry: &Arc<Registry>,
    run: &RecordedRun,
    unknown: &mut BTreeMap<&'static str, String>,
) -> Result<(Configuration, Arc<Architecture>)> {
    let source = Source::of_run(run.path(), &run.config_unchanged()?)?;
    let registry = registry.of_run(run, source.entries())?;
    let (known, lacking) = registry.with_stand_ins(source.entries());
    *unknown = lacking;
    let begun_in = run.environment().ok().as_ref().and_then(began_in);
    let configuration = Configuration::resolve_over(&registry, &known, &[])?.begun_in(begun_in);
    let record = &run.manifest().data_set;
    let input = InputShape { channels: record.channels, height: record.height, width: record.width };
    let description = registry.describe(configuration.values(), input, record.classes)?;
    let network = Arc::clone(description.architecture());
    Ok((configuration, network))
}

/// A path as a pattern of DuckDB that it alone fits.
pub(super) fn literal(path: &str) -> String {
    path.replace('[', "[[]").replace('*', "[*]").replace('?', "[?]")
}

/// A text in SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
