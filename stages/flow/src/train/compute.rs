//! What a worker computes of a shard's samples.

use spfde_model::{Entries, Network, Score, Shard, Wanted, Workspace};

use super::presented::Read;
use super::replica::Replica;
use crate::{Batch, Drawn, Tick};

/// The numbers of a shard, its scores, and the FLOPs that were not computed.
pub(super) type Computed = (Vec<f32>, Vec<Score>, u64);

impl Replica {
    /// The numbers and the scores of some samples: a part, the observed gradients of frozen layers, the
    /// gradients of other weights that masks grow by; no numbers of samples that do not train. Last, FLOPs
    /// that a cache has saved.
    pub(super) fn compute(&mut self, tick: Tick, samples: &[Drawn], batch: &Batch) -> Read<Computed> {
        let (observed, trains) = (self.observed_len(), batch.trains(tick.step));
        let extra = std::mem::take(&mut self.extra.asked);
        let transform = self.settings.seams.gradient.clone();
        let train = |network: &Network,
                     workspace: &mut Workspace,
                     shard: &Shard<'_>,
                     entries: Option<&Entries<'_>>| {
            let mut numbers = vec![0.0; network.part_len() + observed + network.extra_len(&extra)];
            let (part, rest) = numbers.split_at_mut(network.part_len());
            let (observed, extra_gradients) = rest.split_at_mut(observed);
            let wanted = Wanted { part, observed, extra: &extra, extra_gradients };
            let scores = match entries {
                None => network.train_shard_for(workspace, shard, wanted),
                Some(entries) => network.train_shard_behind(workspace, shard, entries, wanted),
            };
            if let Some(transform) = &transform {
                transform.shard(tick, network, &mut numbers[..network.part_len()]);
            }
            (numbers, scores)
        };
        let Self { presented, network, settings, .. } = &mut *self;
        let work = if trains && observed == 0 && presented.is_kept(network) {
            presented.show_behind(network, settings, tick, batch.samples, samples, |n, w, shard, entries| {
                train(n, w, shard, Some(entries))
            })
        } else {
            let work = |network: &Network, workspace: &mut Workspace, shard: &Shard<'_>| match trains {
                true => train(network, workspace, shard, None),
                false => (Vec::new(), network.observe_shard(workspace, shard)),
            };
            self.with_shard(tick, batch.samples, samples, work).map(|work| (work, 0))
        };
        self.extra.asked = extra;
        work.map(|((numbers, scores), cached)| (numbers, scores, cached))
    }

    /// Gathers the images of some samples as step `tick` sees them, perturbed if something is plugged in that
    /// does it, and does `work` on that shard.
    pub(super) fn with_shard<T>(
        &mut self,
        tick: Tick,
        batch_samples: usize,
        samples: &[Drawn],
        work: impl FnOnce(&Network, &mut Workspace, &Shard<'_>) -> T,
    ) -> Read<T> {
        self.presented.show(&self.network, &self.settings, tick, batch_samples, samples, work)
    }
}
