//! `gse`: guided stochastic exploration ([arXiv 2401.06898](https://arxiv.org/abs/2401.06898), algorithm 2
//! and the authors' code).
//!
//! Before the last step of a window each layer draws pairs of an output and an input, `mask.samples` times
//! as many as it has weights, with replacement; pairs that exist already do not count. Of these candidates
//! alone the step computes gradients: the cost is linear in the existing weights, and no dense gradient is
//! ever needed. An update grows the candidates with the greatest gradients, the share α of the weights, and
//! drops as many of the others, the least by magnitude. α falls along a cosine. A layer that is half dense
//! takes all absent weights as candidates. `epochs.extra_flops` counts draws, up to all absent weights, by
//! the weights that the layer has at the epoch's end.
//!
//! With `mask.scope = global` both selections are over all updated layers at once, as in the authors' code,
//! so that densities drift between layers and the total stays; with `layer` each layer keeps its own. The
//! greatest weight of each layer stays.
//!
//! `mask.sampling` says by which probabilities a pair is drawn. `uniform` takes all alike, which the paper
//! found as good as its guided distributions. `grabo` and `graest` follow sums of activations and of
//! gradients at outputs, over samples and positions ([`Sampling`]). The paper takes them from the batch
//! whose gradients decide; here they are those of the step before, and travel with its gradients. They need
//! (taps + outputs) · positions additions for each sample, which `epochs.extra_flops` counts as 2 FLOPs
//! each. An update that no two steps of its epoch precede, or whose sums are all 0, draws uniformly. Where
//! a convolution has groups, an input is drawn among those that the output reads.
//!
//! The gradients are those of the last step's batch, as in the paper; the authors' code takes those of fresh
//! batches. The paper's masks begin as `mask.distribution = er-patches`, and it ends at `mask.until = 0.6`.
//!
//! ```
//! use spfde_policy::mask::{self, Candidates, Gse, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 8, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Gse { samples: 0.5, ..Gse::default() }, &context)?;
//! let (indices, never) = (policy.initial(0, &Spans::never()), Spans::never());
//! let units = policy.moment(0, 2, &never).units;
//! let asked = Candidates { seed: 1, layer: 0, tick: (2, 0), units, indices: &indices, sums: [&[]; 2] };
//! assert_eq!(policy.candidate_count(0, 1_000), 500); // draws; some fall on a pair twice, some on a weight
//! assert!((400..500).contains(&policy.candidates(&asked).len()));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::sampling::Wheel;
use super::schedule::cosine;
use super::selection::order_of;
use super::together::{lowest_of_all, spared};
use super::{Candidates, MaskDelta, MaskRule, MaskUpdate, Needs, Sampling, Scope, Units};
use spfde_data::random::{Purpose, draw};

mask_parameters! {
    /// Guided stochastic exploration.
    pub struct Gse: layers, interval(2), until {
        /// share of the weights that the first update would grow at the start of the run
        pub drop: f64 = 0.2, 0.0..=1.0;
        /// candidates that are drawn for an update, as a share of the existing weights
        pub samples: f64 = 1.0, 0.0..=100.0;
        /// by which probabilities candidates are drawn
        pub sampling: Sampling = Sampling::Uniform, ..;
        /// whether weights are ranked over all layers or in each
        pub scope: Scope = Scope::Global, ..;
    }
}

impl MaskRule for Gse {
    const NAME: &'static str = "gse";
    const SUMMARY: &'static str = "grows the best of a random sample of absent weights, by gradient";
    const REDISTRIBUTES: bool = true;
    const SCHEDULED: bool = false;
    type State = ();

    axes!(layers, updates);

    fn needs(&self) -> Needs {
        Needs::Candidates
    }

    fn sampling(&self) -> Sampling {
        self.sampling
    }

    fn candidate_count(&self, units: &Units, existing: u32) -> u32 {
        if is_half_dense(units, existing) {
            return units.weights() - existing;
        }
        (self.samples * f64::from(existing)) as u32
    }

    fn candidates(&self, of: &Candidates<'_>) -> Vec<u32> {
        let existing = of.indices.len() as u32;
        let is_absent = |index: &u32| of.indices.binary_search(index).is_err();
        if is_half_dense(&of.units, existing) {
            return (0..of.units.weights()).filter(is_absent).collect();
        }
        let (epoch, step) = of.tick;
        let [outputs, inputs] = of.units.matrix().map(u64::from);
        let key = u64::from(epoch) << 32 | of.layer as u64;
        // One for each group of outputs that read the same inputs; one that is alike without sums.
        let (taps, by_output) = (of.sums[0].chunks_exact(inputs as usize), Wheel::new(of.sums[1]));
        let mut by_input: Vec<Wheel> = taps.map(Wheel::new).collect();
        by_input.resize_with(by_input.len().max(1), || Wheel::new(&[]));
        let pair = |number: u64| {
            let drawn = draw(of.seed, Purpose::Candidate, key, u64::from(step) << 32 | number);
            // Each half of the draw is one of 2^32 places.
            let output = by_output.turn(drawn >> 32, outputs);
            let group = output as usize * by_input.len() / outputs as usize;
            let input = by_input[group].turn(drawn & 0xFFFF_FFFF, inputs);
            (output * inputs + input) as u32
        };
        let samples = self.candidate_count(&of.units, existing);
        let mut candidates: Vec<u32> = (0..u64::from(samples)).map(pair).filter(is_absent).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    fn update(&self, update: &MaskUpdate<'_>, _: &mut ()) -> MaskDelta {
        self.exchange(&[*update]).remove(0)
    }

    fn update_all(&self, updates: &[MaskUpdate<'_>], _: &mut [&mut ()]) -> Vec<MaskDelta> {
        match self.scope {
            Scope::Global => self.exchange(updates),
            Scope::Layer => updates.iter().flat_map(|update| self.exchange(&[*update])).collect(),
        }
    }
}

fn is_half_dense(units: &Units, existing: u32) -> bool {
    existing >= units.weights().div_ceil(2)
}

impl Gse {
    /// What changes in these layers, ranked together.
    fn exchange(&self, updates: &[MaskUpdate<'_>]) -> Vec<MaskDelta> {
        let Some(first) = updates.first() else { return Vec::new() };
        let share = cosine(self.drop, self.schedule(first.moment.epochs).progress(first.moment.epoch));
        let existing: usize = updates.iter().map(|update| update.indices.len()).sum();
        let candidates: Vec<(u64, (u32, u32))> = (0..)
            .zip(updates)
            .flat_map(|(layer, update)| {
                let greatest =
                    |(gradient, index): (&f32, &u32)| (!order_of(f64::from(*gradient)), (layer, *index));
                update.candidate_gradients.iter().zip(update.candidates).map(greatest).collect::<Vec<_>>()
            })
            .collect();
        // As many go as come: the greatest weight of a layer never does.
        let most = candidates.len().min(existing.saturating_sub(updates.len()));
        let count = ((share * existing as f64) as usize).min(most);
        let grown = lowest_of_all(candidates, count, updates.len());
        let dropped = lowest_of_all(spared(updates), count, updates.len());
        dropped.into_iter().zip(grown).map(|(dropped, grown)| MaskDelta { dropped, grown }).collect()
    }
}
