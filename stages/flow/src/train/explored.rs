//! Weights that do not exist and still train, for mask policies that keep a store of all values.

use std::collections::BTreeMap;

use spfde_data::tensor::{Tensor, TensorData};
use spfde_model::{Extra, LayerStart, Network, STORED, State};
use spfde_policy::Needs;
use spfde_policy::mask::selection::{lowest, order_of};

use super::extra::sorted;
use super::ledger::is_frozen;
use crate::{Settings, Tick};

/// The store of a network: the same on every worker.
#[derive(Default)]
pub(super) struct Explored(BTreeMap<usize, Layer>);

/// The store of one layer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Layer {
    /// By index; of a weight that exists the value is the network's.
    values: Vec<f32>,
    /// The absent weights that train, ascending.
    indices: Vec<u32>,
    /// What the optimiser keeps of them.
    momenta: Vec<f32>,
    squares: Vec<f32>,
    /// Steps of the layer, if the optimiser counts them.
    steps: u32,
}

impl Layer {
    /// Chooses `count` weights beyond the existing ones.
    fn choose(&mut self, existing: &[u32], count: u32) {
        let mut existing = existing.iter().peekable();
        let absent = (0u32..).zip(&self.values).filter(|(index, _)| existing.next_if_eq(&index).is_none());
        let keyed = absent.map(|(index, value)| (!order_of(f64::from(value.abs())), index));
        let chosen = lowest(keyed, count as usize);
        let kept = |list: &[f32]| -> Vec<f32> {
            let mut before = self.indices.iter().zip(list).peekable();
            let kept = |index: &u32| {
                while before.next_if(|(other, _)| *other < index).is_some() {}
                before.next_if(|(other, _)| *other == index).map_or(0.0, |(_, number)| *number)
            };
            chosen.iter().map(kept).collect()
        };
        self.momenta = kept(&self.momenta);
        self.squares = if self.squares.is_empty() { Vec::new() } else { kept(&self.squares) };
        self.indices = chosen;
    }
}

impl Explored {
    /// The store with which a run begins: the initial values of all weights. Empty of a policy that has none.
    pub(super) fn new(settings: &Settings) -> Self {
        let mask = &settings.policies.mask;
        if !mask.explores() {
            return Self::default();
        }
        let mut network = settings.fresh_network();
        settings.begin(&mut network);
        let layers = (0..network.architecture().layers.len()).filter(|layer| mask.masked(*layer));
        let fresh = settings.fresh_network();
        let store = |layer| {
            let mut values = network.values(layer).to_vec();
            // A mask that is taken over says nothing of the weights that it lacks: they begin afresh.
            let start = settings.start.as_ref().and_then(|start| start[layer].mask.as_ref());
            let lacks =
                |index: &usize| start.is_some_and(|mask| mask.binary_search(&(*index as u32)).is_err());
            (0..values.len()).filter(lacks).for_each(|index| values[index] = fresh.values(layer)[index]);
            (layer, Layer { values, ..Layer::default() })
        };
        Self(layers.map(store).collect())
    }

    /// The values of all weights of a layer; empty where there is no store.
    pub(super) fn stored(&self, network: &Network, layer: usize) -> Vec<f32> {
        let Some(Layer { values, .. }) = self.0.get(&layer) else { return Vec::new() };
        let mut all = values.clone();
        let existing = network.indices(layer).iter().zip(network.values(layer));
        existing.for_each(|(index, value)| all[*index as usize] = *value);
        all
    }

    /// The weights whose gradients a step of `epoch` computes: of each layer that trains those that exist,
    /// and those that are explored.
    pub(super) fn wanted(
        &self,
        network: &Network,
        settings: &Settings,
        epoch: u32,
    ) -> Vec<(usize, Vec<u32>)> {
        let mask = &settings.policies.mask;
        let explores = |layer: usize| {
            !is_frozen(network, layer) && mask.explored(layer, epoch, network.nonzero(layer) as u32) > 0
        };
        let layers = self.0.iter().filter(|(layer, _)| explores(**layer));
        layers.map(|(layer, store)| (*layer, sorted(network.indices(*layer), &store.indices))).collect()
    }

    /// The explored weights follow the gradients of a step that asked for them. `rates` are those of the
    /// blocks, the classifier's last. Their weight decay is divided by the layer's density (Top-KAST, section
    /// 2.3).
    pub(super) fn step(
        &mut self,
        network: &Network,
        settings: &Settings,
        asked: &[Extra],
        gradients: &[f32],
        rates: &[f32],
    ) {
        let optimiser = &settings.seams.optimiser;
        for extra in asked {
            let layer = extra.layer();
            let shape = &network.architecture().layers[layer];
            let Some(store) = self.0.get_mut(&layer) else { continue };
            let all = extra.indices().iter().zip(network.extra_gradient(gradients, asked, layer));
            let mut wanted = store.indices.iter().peekable();
            let gradients: Vec<f32> =
                all.filter_map(|(index, gradient)| wanted.next_if_eq(&index).map(|_| *gradient)).collect();
            let mut values: Vec<f32> =
                store.indices.iter().map(|index| store.values[*index as usize]).collect();
            let Layer { momenta, squares, steps, .. } = store;
            squares.resize(if optimiser.keeps_squares() { momenta.len() } else { 0 }, 0.0);
            let state = State { momenta, squares, steps: *steps };
            let decay = shape.weights() as f32 / network.nonzero(layer) as f32;
            optimiser.step(&mut values, state, &gradients, rates[shape.block], decay);
            store.steps += u32::from(optimiser.keeps_squares());
            let places = store.indices.iter().zip(values);
            places.for_each(|(index, value)| store.values[*index as usize] = value);
        }
    }

    /// Takes up the values of the weights of a layer before its mask changes.
    pub(super) fn put(&mut self, network: &Network, layer: usize) {
        let all = self.stored(network, layer);
        if let Some(store) = self.0.get_mut(&layer) {
            store.values = all;
        }
    }

    /// Lets the weights begin with their values that have just grown in a layer.
    pub(super) fn grow(&self, network: &mut Network, layer: usize) {
        if let Some(Layer { values, .. }) = self.0.get(&layer) {
            network.begin(layer, &LayerStart { values: values.clone(), ..LayerStart::default() });
        }
    }

    /// Chooses anew which weights train beyond the mask, where masks are updated at `tick`: the greatest of
    /// the absent ones. Those that train already keep their momenta.
    pub(super) fn choose(&mut self, network: &Network, settings: &Settings, Tick { epoch, step }: Tick) {
        let (mask, plan) = (&settings.policies.mask, &settings.plan);
        let window = mask.steps().map_or(1, |window| window.get());
        for (&layer, store) in &mut self.0 {
            let (spans, trains) = (plan.spans(layer), !is_frozen(network, layer));
            let is_due = match step {
                0 => epoch == 0 || mask.needs(layer, epoch, spans) > Needs::Nothing,
                _ => step.is_multiple_of(window) && mask.needs_within(layer, epoch, spans) > Needs::Nothing,
            };
            if is_due && trains {
                store.choose(
                    network.indices(layer),
                    mask.explored(layer, epoch, network.nonzero(layer) as u32),
                );
            }
        }
    }

    /// The store as named tensors.
    pub(super) fn tensors(&self, network: &Network) -> Vec<Tensor> {
        let tensors = self.0.iter().flat_map(|(layer, store)| {
            let name = &network.architecture().layers[*layer].name;
            let tensor = |what: &str, data: TensorData| Tensor::list(format!("{name}{STORED}{what}"), data);
            let Layer { values, indices, momenta, squares, steps } = store.clone();
            let squares = (!squares.is_empty()).then(|| tensor("squares", squares.into()));
            let lists = [
                tensor("values", values.into()),
                tensor("indices", indices.into()),
                tensor("momenta", momenta.into()),
                tensor("steps", vec![steps].into()),
            ];
            lists.into_iter().chain(squares)
        });
        tensors.collect()
    }

    /// Goes on with a saved store. What of it does not fit the network stays as it was at the start.
    pub(super) fn restore(&mut self, network: &Network, tensors: &[Tensor]) {
        for (layer, store) in &mut self.0 {
            let shape = &network.architecture().layers[*layer];
            let find = |what: &str| {
                let name = format!("{}{STORED}{what}", shape.name);
                tensors.iter().find(|tensor| tensor.name == name).map(|tensor| &tensor.data)
            };
            let floats = |what: &str| match find(what) {
                Some(TensorData::F32(numbers)) => Some(numbers.clone()),
                _ => None,
            };
            let integers = |what: &str| match find(what) {
                Some(TensorData::U32(numbers)) => Some(numbers.clone()),
                _ => None,
            };
            let saved = || {
                Some(Layer {
                    values: floats("values").filter(|values| values.len() == shape.weights())?,
                    indices: integers("indices")?,
                    momenta: floats("momenta")?,
                    squares: floats("squares").unwrap_or_default(),
                    steps: *integers("steps")?.first()?,
                })
            };
            let absent = |index: &u32| {
                (*index as usize) < shape.weights() && network.indices(*layer).binary_search(index).is_err()
            };
            let fits = |saved: &Layer| {
                let squares = [0, saved.indices.len()].contains(&saved.squares.len());
                squares
                    && saved.momenta.len() == saved.indices.len()
                    && saved.indices.is_sorted_by(|a, b| a < b)
                    && saved.indices.iter().all(absent)
            };
            if let Some(saved) = saved().filter(fits) {
                *store = saved;
            }
        }
    }
}
