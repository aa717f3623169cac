//! Passes that train nothing: scores of samples that do not train, evaluation, and where numbers stop being
//! finite.

use spfde_data::FrozenBlocks;

use crate::lane::{Activations, samples_in};
use crate::network::Network;
use crate::operation::loss;
use crate::schedule::Schedule;
use crate::shard::{Evaluation, Score, Shard};
use crate::workspace::{Kept, Workspace};

impl Network {
    /// Scores a shard as [`Network::train_shard`] would, with the shard's own statistics but without backward
    /// pass and without any trace in the network. Weights in the loss and `batch_samples` do not matter.
    ///
    /// # Panics
    /// If the shard's inputs have another shape than the network's or too few lanes, or a label is no class.
    pub fn observe_shard(&self, workspace: &mut Workspace, shard: &Shard<'_>) -> Vec<Score> {
        self.score(workspace, shard, &self.scoring, &self.frozen)
    }

    /// Scores a shard with the running statistics of all batch norms and without dropout; weights in the loss
    /// and `batch_samples` do not matter.
    ///
    /// # Panics
    /// If the shard's inputs have another shape than the network's or too few lanes, or a label is no class.
    pub fn evaluate(&self, workspace: &mut Workspace, shard: &Shard<'_>) -> Evaluation {
        // No block measures, not even the classifier's.
        let shard = &Shard { noise: &[], ..*shard };
        let scores = self.score(workspace, shard, &self.evaluating, &self.all_blocks());
        let loss = scores.iter().fold(0.0, |loss, score| loss + f64::from(score.loss));
        let correct = scores.iter().filter(|score| score.correct).count() as u32;
        Evaluation { loss, correct, classes: scores.iter().map(|score| score.class).collect() }
    }

    /// The logits of the first `samples` of `inputs`, with the running statistics of all batch norms: sample
    /// by sample, a number for each class.
    ///
    /// # Panics
    /// If the inputs have another shape than the network's or too few lanes.
    pub fn logits(&self, workspace: &mut Workspace, inputs: &Activations, samples: usize) -> Vec<f64> {
        let (labels, fixed) = (vec![0; samples], self.all_blocks());
        let shard = Shard { inputs, labels: &labels, weights: &[], noise: &[], batch_samples: samples };
        in_storage!(self.storage, S => {
            let pass = self.pass::<S>(workspace, Some(inputs), &shard, &self.evaluating, &fixed);
            pass.map_or(vec![], |mut pass| {
                self.run_forward(&mut pass, None);
                loss::logits(&pass)
            })
        })
    }

    /// What each of `layers` puts out for the first `samples` of `inputs`, as later operations read it, with
    /// the running statistics of all batch norms: for each layer sample by sample, each a list of numbers,
    /// row by row, channel by channel.
    ///
    /// # Panics
    /// If the inputs have another shape than the network's or too few lanes, or there is no such layer.
    pub fn outputs(
        &self,
        workspace: &mut Workspace,
        inputs: &Activations,
        samples: usize,
        layers: &[usize],
    ) -> Vec<Vec<Vec<f32>>> {
        let (labels, fixed) = (vec![0; samples], self.all_blocks());
        let shard = Shard { inputs, labels: &labels, weights: &[], noise: &[], batch_samples: samples };
        in_storage!(self.storage, S => {
            // A backward pass would need every value, so that none is overwritten.
            let pass = self.pass::<S>(workspace, Some(inputs), &shard, &self.observing, &fixed);
            pass.map_or(vec![vec![]; layers.len()], |mut pass| {
                self.run_forward(&mut pass, None);
                layers.iter().map(|layer| pass.signals(self.description.layers[*layer].value)).collect()
            })
        })
    }

    /// All blocks, and what is behind the last: with these fixed no batch norm measures.
    fn all_blocks(&self) -> FrozenBlocks {
        FrozenBlocks::from(self.architecture().blocks.len() + 1)
    }

    fn score(
        &self,
        workspace: &mut Workspace,
        shard: &Shard<'_>,
        schedule: &Schedule,
        fixed: &FrozenBlocks,
    ) -> Vec<Score> {
        in_storage!(self.storage, S => {
            let pass = self.pass::<S>(workspace, Some(shard.inputs), shard, schedule, fixed);
            let Some(mut pass) = pass else { return vec![] };
            self.run_forward(&mut pass, None);
            loss::score(&pass, shard.labels)
        })
    }

    /// Computes a shard forward, as [`Network::train_shard`] does, and looks for the first layer in forward
    /// order whose output (before batch norm and ReLU) holds a number that is not finite: its number, and the
    /// first sample of the shard, by position, that has one there. `None` if all outputs are finite.
    ///
    /// # Panics
    /// If the shard's inputs have another shape than the network's or too few lanes.
    pub fn first_not_finite(&self, workspace: &mut Workspace, shard: &Shard<'_>) -> Option<(usize, usize)> {
        in_storage!(self.storage, S => self.not_finite::<S>(workspace, shard))
    }

    fn not_finite<S: Kept>(&self, workspace: &mut Workspace, shard: &Shard<'_>) -> Option<(usize, usize)> {
        // A backward pass that reached the input would need every value, so that none is overwritten.
        let mut pass = self.pass::<S>(workspace, Some(shard.inputs), shard, &self.observing, &self.frozen)?;
        self.run_forward(&mut pass, None);
        self.description.layers.iter().enumerate().find_map(|(layer, description)| {
            let (numbers, lanes) = (pass.value(description.value), pass.lanes());
            let groups = numbers.chunks_exact(numbers.len() / pass.groups).enumerate();
            let first = groups.filter_map(|(group, numbers)| {
                let mut samples = 0..samples_in(group, pass.samples, lanes);
                let sample = samples
                    .find(|lane| !numbers.iter().skip(*lane).step_by(lanes).all(|n| n.get().is_finite()))?;
                Some(group * lanes + sample)
            });
            Some((layer, first.min()?))
        })
    }
}
