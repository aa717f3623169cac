//! What is wrong with a shard whose numbers are not finite, in words. Only a step that is refused pays for
//! it.

use spfde_data::counted;
use spfde_model::{Network, NonFinite, Score, Shard, Workspace};

use super::replica::Replica;
use crate::{Batch, Drawn, Tick};

/// What to try: the step will come out the same whenever the run is resumed.
const REMEDY: &str = "nothing of this step has reached the weights, and resuming would only lead to it \
                      again: start another run with a lower train.learning_rate, or a smaller \
                      train.weight_decay";

/// Why the numbers of a shard, that were computed for step `tick`, cannot be used; `None` if they are finite.
pub(super) fn not_finite(
    replica: &mut Replica,
    tick: Tick,
    batch: &Batch,
    samples: &[Drawn],
    numbers: &[f32],
    scores: &[Score],
) -> Option<String> {
    let lost = samples.iter().zip(scores).find(|(_, score)| !score.loss.is_finite());
    let gradient = replica.network.check(&numbers[..replica.network.part_len()]).err();
    if lost.is_none() && gradient.is_none() {
        return None;
    }
    let names = replica.network.architecture().layers.iter().map(|layer| layer.name.clone());
    let names: Vec<String> = names.collect();
    let mut what = Vec::new();
    if let Some(((sample, _), score)) = lost {
        what.push(format!("the loss of sample {sample} is {}", score.loss));
    }
    match (replica.first_not_finite(tick, batch, samples), gradient) {
        (Some((layer, position)), _) => {
            let (layer, sample) = (&names[layer], samples[position].0);
            what.push(format!(
                "the output of layer `{layer}` is the first that is not finite, of sample {sample}"
            ));
        }
        (None, Some(NonFinite { layer, what: part, .. })) => {
            // Statistics are those of all samples, whichever of them count in the loss.
            let is_gradient = part.ends_with("gradient");
            let first = match is_gradient {
                true => replica.first_without_gradient(tick, batch, samples),
                false => replica.first_without_statistics(tick, batch, samples),
            };
            let of = match first.map(|position| samples[position].0) {
                Some(sample) if is_gradient => format!("from sample {sample}"),
                Some(sample) => format!("from the first samples of the shard up to sample {sample} on"),
                None => format!("of {} together", counted(samples.len(), "sample")),
            };
            what.push(format!("all outputs are finite, the {part} of layer `{layer}` is not, {of}"));
        }
        (None, None) => what.push("all outputs of layers are finite".to_owned()),
    }
    Some(format!("{}; {REMEDY}", what.join("; ")))
}

impl Replica {
    /// The first layer whose output is not finite, and the position of the first sample that has such an
    /// output.
    fn first_not_finite(&mut self, tick: Tick, batch: &Batch, samples: &[Drawn]) -> Option<(usize, usize)> {
        let look = |network: &Network, workspace: &mut Workspace, shard: &Shard<'_>| {
            network.first_not_finite(workspace, shard)
        };
        self.with_shard(tick, batch.samples, samples, look).ok().flatten()
    }

    /// The position of the first sample with which the statistics of batch norms are not finite any more,
    /// when it and those before it are the whole shard.
    fn first_without_statistics(&mut self, tick: Tick, batch: &Batch, samples: &[Drawn]) -> Option<usize> {
        // Without weight in the loss there is no gradient that could be at fault.
        let silent: Vec<Drawn> = samples.iter().map(|(sample, _)| (*sample, 0.0)).collect();
        (0..samples.len()).find(|position| self.is_not_finite(tick, batch, &silent[..=*position]))
    }

    /// The position of the first sample whose share in the gradient is not finite, when it alone counts in
    /// the loss.
    fn first_without_gradient(&mut self, tick: Tick, batch: &Batch, samples: &[Drawn]) -> Option<usize> {
        (0..samples.len()).find(|position| {
            let alone = |(other, (sample, weight)): (usize, &Drawn)| {
                (*sample, if other == *position { *weight } else { 0.0 })
            };
            let alone: Vec<Drawn> = samples.iter().enumerate().map(alone).collect();
            self.is_not_finite(tick, batch, &alone)
        })
    }

    /// Whether the numbers of a shard of these samples are not finite; no, if their images cannot be read.
    fn is_not_finite(&mut self, tick: Tick, batch: &Batch, samples: &[Drawn]) -> bool {
        let train = |network: &Network, workspace: &mut Workspace, shard: &Shard<'_>| {
            let mut part = vec![0.0; network.part_len()];
            network.train_shard(workspace, shard, &mut part);
            network.check(&part).is_err()
        };
        self.with_shard(tick, batch.samples, samples, train).unwrap_or(false)
    }
}
