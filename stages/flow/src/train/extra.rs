//! Gradients of weights beyond those that exist, and sums by which such weights are drawn, as mask policies
//! ask for them.

use std::collections::BTreeMap;

use spfde_data::tensor::{Tensor, TensorData};
use spfde_model::{DENSE_MOMENTA, Extra, Network, Sums};
use spfde_policy::Needs;
use spfde_policy::mask::{Candidates, Sampling};

use crate::{Settings, Tick};

use super::explored::Explored;

/// What the momentum of a dense gradient keeps of itself at a step (SNFS, section 3).
const KEPT: f32 = 0.9;

/// The weights of two ascending lists, ascending.
pub(super) fn sorted(some: &[u32], others: &[u32]) -> Vec<u32> {
    let mut all = [some, others].concat();
    // Two ascending runs: a stable sort merges them.
    all.sort();
    all
}

/// What is asked for in the step under way, and what is kept of earlier ones; the same on every worker.
#[derive(Default)]
pub(super) struct ExtraGradients {
    /// The weights whose gradients the last step that trained computed.
    pub(super) asked: Vec<Extra>,
    /// The momenta of dense gradients, by layer; of policies that look at them.
    pub(super) momenta: BTreeMap<usize, Vec<f32>>,
    /// The sums of the last step that trained, by layer: of what the layer reads, and of its gradients. They
    /// are used within their epoch, so that no checkpoint needs them.
    sums: BTreeMap<usize, [Vec<f32>; 2]>,
    /// Whether a momentum begins anew when an update has seen it.
    forgets: bool,
    keeps: bool,
}

impl ExtraGradients {
    /// Asks the policy before a step that trains.
    pub(super) fn ask(
        &mut self,
        network: &Network,
        settings: &Settings,
        explored: &Explored,
        (tick, steps): (Tick, u32),
    ) {
        let (mask, plan) = (&settings.policies.mask, &settings.plan);
        let kept = mask.momentum_steps();
        (self.keeps, self.forgets) = (kept.is_some(), kept.is_some_and(|steps| steps > 0));
        let ends = tick.step + 1 == steps;
        if tick.step == 0 {
            self.sums.clear();
        }
        let takes_effect = if ends { (tick.epoch + 1, 0) } else { (tick.epoch, tick.step + 1) };
        let indices = |(layer, needs): (usize, Needs)| {
            let existing = network.indices(layer);
            let all = match needs {
                Needs::Candidates => {
                    let units = mask.moment(layer, takes_effect.0, plan.spans(layer)).units;
                    let (seed, tick, indices) = (settings.seed, takes_effect, existing);
                    let sums = self.sums.get(&layer);
                    let sums = sums.map_or([&[][..]; 2], |[taps, outputs]| [&taps[..], &outputs[..]]);
                    let asked = Candidates { seed, layer, tick, units, indices, sums };
                    sorted(existing, &mask.candidates(&asked))
                }
                _ => (0..network.architecture().layers[layer].weights() as u32).collect(),
            };
            (layer, all)
        };
        let (when, frozen) = ([tick.epoch, tick.step, steps], network.frozen_blocks());
        let mut wanted: BTreeMap<usize, Vec<u32>> = match mask.explores() {
            true => explored.wanted(network, settings, tick.epoch).into_iter().collect(),
            false => plan.extra(when, frozen).into_iter().map(indices).collect(),
        };
        let summed = plan.summed(when, frozen);
        for layer in &summed {
            wanted.entry(*layer).or_default();
        }
        let kind = match mask.sampling() {
            Sampling::Uniform => None,
            Sampling::Grabo => Some(Sums::Magnitudes),
            Sampling::Graest => Some(Sums::Signed),
        };
        // What the last step asked for, too, is sorted for the kernels already.
        let mut before = std::mem::take(&mut self.asked).into_iter().peekable();
        let extra = |(layer, indices): (usize, Vec<u32>)| {
            while before.next_if(|extra| extra.layer() < layer).is_some() {}
            let same = before.next_if(|extra| extra.layer() == layer && extra.indices() == indices);
            let sums = kind.filter(|_| summed.contains(&layer));
            same.unwrap_or_else(|| Extra::new(layer, indices)).with_sums(sums)
        };
        self.asked = wanted.into_iter().map(extra).collect();
    }

    /// Whether a shard has to draw signs.
    pub(super) fn draws_signs(&self) -> bool {
        self.asked.iter().any(|extra| extra.sums() == Some(Sums::Signed))
    }

    /// Takes up the reduced gradients and sums of a step.
    pub(super) fn gather(&mut self, network: &Network, gradients: &[f32]) {
        let summed = self.asked.iter().filter(|extra| extra.sums().is_some()).map(Extra::layer);
        let sums = |layer| network.extra_sums(gradients, &self.asked, layer).map(<[f32]>::to_vec);
        self.sums = summed.map(|layer| (layer, sums(layer))).collect();
        if !self.keeps {
            return;
        }
        for extra in &self.asked {
            let gradient = network.extra_gradient(gradients, &self.asked, extra.layer());
            let momentum = self.momenta.entry(extra.layer()).or_insert_with(|| vec![0.0; gradient.len()]);
            for (momentum, gradient) in momentum.iter_mut().zip(gradient) {
                *momentum = KEPT * *momentum + (1.0 - KEPT) * gradient;
            }
        }
    }

    /// An update has seen the momenta of these layers.
    pub(super) fn seen(&mut self, layers: impl Iterator<Item = usize>) {
        if self.forgets {
            layers.for_each(|layer| drop(self.momenta.remove(&layer)));
        }
    }

    /// The candidates of a layer and their gradients.
    pub(super) fn candidates(
        &self,
        network: &Network,
        gradients: &[f32],
        layer: usize,
    ) -> (Vec<u32>, Vec<f32>) {
        let all = self.asked.iter().find(|extra| extra.layer() == layer).expect("the layer was asked for");
        let gradient = network.extra_gradient(gradients, &self.asked, layer);
        let mut existing = network.indices(layer).iter().peekable();
        let drawn = all.indices().iter().zip(gradient);
        drawn.filter(|(index, _)| existing.next_if_eq(index).is_none()).map(|(i, g)| (*i, *g)).unzip()
    }

    /// The momenta as named tensors.
    pub(super) fn tensors(&self, network: &Network) -> Vec<Tensor> {
        let names = &network.architecture().layers;
        let tensor = |(layer, momentum): (&usize, &Vec<f32>)| {
            Tensor::list(format!("{}{DENSE_MOMENTA}", names[*layer].name), momentum.clone())
        };
        self.momenta.iter().map(tensor).collect()
    }

    /// Goes on with saved momenta; those that do not fit the network are another's.
    pub(super) fn restore(&mut self, network: &Network, tensors: &[Tensor]) {
        let layers = &network.architecture().layers;
        let own = |tensor: &Tensor| {
            let name = tensor.name.strip_suffix(DENSE_MOMENTA)?;
            let layer = layers.iter().position(|layer| layer.name == name)?;
            let TensorData::F32(momentum) = &tensor.data else { return None };
            (momentum.len() == layers[layer].weights()).then(|| (layer, momentum.clone()))
        };
        self.momenta = tensors.iter().filter_map(own).collect();
    }
}
