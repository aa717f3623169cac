//! Training done again without dataflow: one replica, one shard for a whole batch, what the trace says of
//! masks and weights in the loss.

use std::collections::BTreeMap;

use spfde::Experiment;
use spfde_data::Value;
use spfde_data::augment::Placement;
use spfde_data::rows::{MaskRow, ScoreRow, SieveRow};
use spfde_model::{
    Activations, Growth, LayerStart, MomentumSgd, Network, Shard, Tensor, TensorData, Workspace, input,
};

use crate::support::Recorded;

/// A replica that follows a recorded run, whose blocks all train.
pub(crate) struct Reference<'a> {
    experiment: &'a Experiment,
    pub(crate) network: Network,
    masks: Vec<MaskRow>,
    sieves: Vec<SieveRow>,
    /// The samples of every step.
    steps: BTreeMap<(u32, u32), Vec<u32>>,
    /// The weights in the loss of the active samples.
    weights: BTreeMap<u32, f32>,
    /// The values with which weights of some layers begin that grow, by index; those of others begin at 0.
    pub(crate) stores: BTreeMap<usize, Vec<f32>>,
    /// With what the layers begin some epochs, in place of what they are.
    pub(crate) begins: BTreeMap<u32, Vec<LayerStart>>,
    /// Which epoch of a training each epoch is, and where that ends, if that is not the whole run.
    pub(crate) phases: BTreeMap<u32, (u32, u32)>,
}

impl<'a> Reference<'a> {
    /// Before the first step.
    pub(crate) fn new(experiment: &'a Experiment, run: &Recorded) -> Self {
        let mut steps: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for row in run.rows::<ScoreRow>().iter().filter(|row| row.trained) {
            steps.entry((row.epoch, row.step)).or_default().push(row.sample);
        }
        Self {
            network: experiment.settings().initial_network(),
            masks: run.rows(),
            sieves: run.rows(),
            weights: BTreeMap::new(),
            stores: BTreeMap::new(),
            begins: BTreeMap::new(),
            phases: BTreeMap::new(),
            experiment,
            steps,
        }
    }

    /// Trains an epoch; `last` sees the network before the last update, and the samples of that step.
    pub(crate) fn train(&mut self, epoch: u32, mut last: impl FnMut(&Network, &[u32])) {
        self.train_steps(epoch, |step, steps, network, samples| {
            if step + 1 == steps {
                last(network, samples);
            }
        });
    }

    /// Trains an epoch; before each step, of how many, `visit` sees the network and the samples of the step;
    /// masks that change within the epoch do so after it.
    pub(crate) fn train_steps(&mut self, epoch: u32, mut visit: impl FnMut(usize, usize, &Network, &[u32])) {
        if epoch > 0 {
            self.apply_masks(epoch, 0);
        }
        for (layer, start) in self.begins.get(&epoch).into_iter().flatten().enumerate() {
            self.network.begin(layer, start);
        }
        let mut sieves: Vec<&SieveRow> = self.sieves.iter().filter(|row| row.epoch == epoch).collect();
        sieves.sort_by_key(|row| row.diff);
        for row in sieves {
            match row.diff {
                1 => self.weights.insert(row.sample, row.weight),
                _ => self.weights.remove(&row.sample),
            };
        }
        let steps: Vec<Vec<u32>> =
            self.steps.range((epoch, 0)..(epoch + 1, 0)).map(|(_, samples)| samples.clone()).collect();
        for (step, samples) in steps.iter().enumerate() {
            visit(step, steps.len(), &self.network, samples);
            if step > 0 {
                self.apply_masks(epoch, step as u32);
            }
            let weights: Vec<f32> = samples.iter().map(|sample| self.weights[sample]).collect();
            let part = gradient(self.experiment, &self.network, samples, &weights);
            let settings = self.experiment.settings();
            let (at, ends) = self.phases.get(&epoch).copied().unwrap_or((epoch, settings.epochs));
            let elapsed = f64::from(at) + step as f64 / steps.len() as f64;
            let phase = std::f64::consts::PI * elapsed / f64::from(ends);
            let rate = (0.5 * settings.learning_rate * (1.0 + phase.cos())) as f32;
            let values = self.experiment.configuration().values();
            let optimiser = MomentumSgd {
                momentum: values.number("train.momentum") as f32,
                weight_decay: values.number("train.weight_decay") as f32,
                nesterov: values.get("train.optimizer") == Some(&Value::Text("nesterov".to_owned())),
            };
            let rates = vec![rate; self.network.architecture().blocks.len() + 1];
            self.network.update(&part, &rates, &optimiser);
        }
    }

    fn apply_masks(&mut self, epoch: u32, step: u32) {
        for layer in 0..self.network.architecture().layers.len() {
            let those = |diff: i8| -> Vec<u32> {
                let is_due =
                    |row: &&MaskRow| (row.epoch, row.step, usize::from(row.layer)) == (epoch, step, layer);
                let rows = self.masks.iter().filter(is_due);
                rows.filter(|row| row.diff == diff).map(|row| row.index).collect()
            };
            let (dropped, grown) = (those(-1), those(1));
            if !dropped.is_empty() || !grown.is_empty() {
                self.network.apply_mask(layer, &dropped, &grown, Growth::Zero);
                let Some(store) = self.stores.get(&layer) else { continue };
                let mut values = store.clone();
                for (index, value) in self.network.indices(layer).iter().zip(self.network.values(layer)) {
                    if grown.binary_search(index).is_err() {
                        values[*index as usize] = *value;
                    }
                }
                self.network.begin(layer, &LayerStart { values, ..LayerStart::default() });
            }
        }
    }

    /// The greatest difference between a weight and the one that the run ended with.
    pub(crate) fn difference(&self, run: &Recorded) -> f32 {
        let arrays = run.arrays();
        let difference = |tensor: &Tensor| {
            let TensorData::F32(own) = &tensor.data else { return 0.0 };
            let array = arrays.iter().find(|array| array.name == tensor.name).unwrap();
            let TensorData::F32(found) = &array.data else { panic!("{}", tensor.name) };
            assert_eq!(own.len(), found.len(), "{}", tensor.name);
            own.iter().zip(found).map(|(own, found)| (own - found).abs()).fold(0.0, f32::max)
        };
        let values = self.network.tensors();
        values.iter().filter(|tensor| !tensor.name.ends_with("momenta")).map(difference).fold(0.0, f32::max)
    }
}

/// The gradient of the mean loss of some samples, as one shard.
pub(crate) fn gradient(
    experiment: &Experiment,
    network: &Network,
    samples: &[u32],
    weights: &[f32],
) -> Vec<f32> {
    let data = &experiment.settings().data;
    let mut inputs = Activations::default((0, 0, 0, 0, 0));
    input::gather(
        network.kernel(),
        &data.train,
        &data.normalization,
        samples,
        |_| Placement::default(),
        &mut inputs,
    );
    let labels: Vec<u16> = samples.iter().map(|sample| data.train.labels[*sample as usize]).collect();
    let shard = Shard { inputs: &inputs, labels: &labels, weights, noise: &[], batch_samples: samples.len() };
    let mut part = vec![0.0; network.part_len()];
    network.train_shard(&mut Workspace::new(network), &shard, &mut part);
    part
}

/// The same network with every weight there is: those that do not exist are 0.
pub(crate) fn filled(experiment: &Experiment, network: &Network) -> Network {
    let settings = experiment.settings();
    let mut dense = Network::from_description((*settings.network).clone(), settings.seed, network.kernel());
    let mut tensors = network.tensors();
    for (layer, shape) in network.architecture().layers.iter().enumerate() {
        let indices = network.indices(layer).to_vec();
        for tensor in &mut tensors {
            match tensor.name.strip_prefix(&format!("{}.", shape.name)) {
                Some("indices") => {
                    let all = TensorData::U32((0..shape.weights() as u32).collect());
                    *tensor = Tensor { name: tensor.name.clone(), shape: vec![shape.weights()], data: all };
                }
                Some("values" | "momenta") => {
                    let TensorData::F32(sparse) = &tensor.data else { panic!("{}", tensor.name) };
                    let mut all = vec![0.0; shape.weights()];
                    indices.iter().zip(sparse).for_each(|(index, value)| all[*index as usize] = *value);
                    let (shape, data) = (vec![all.len()], TensorData::F32(all));
                    *tensor = Tensor { name: tensor.name.clone(), shape, data };
                }
                _ => (),
            }
        }
    }
    dense.restore(&tensors).unwrap();
    dense
}
