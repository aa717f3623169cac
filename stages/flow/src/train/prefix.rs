//! Training behind the frozen prefix: what the cache has of a shard's samples is not computed again.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_model::{Entries, Network, Packing, Shard, Storage, Workspace};

use crate::prefix_cache::Entry;
use crate::{Drawn, Settings, Tick};

use super::presented::{Lists, Presented, Read, shown_as};

impl Presented {
    /// Whether outputs of the frozen prefix are kept, if it has any.
    pub(super) fn is_kept(&self, network: &Network) -> bool {
        self.cache.is_some() && network.front() > 0
    }

    /// As [`Presented::show`], behind the front of the network: does `work` on what it puts out for the
    /// samples, and computes that only for those of which the cache has none. From a shorter front it is
    /// carried on. Also the FLOPs that were not computed.
    ///
    /// # Errors
    /// If images or entries cannot be read, or entries not be written.
    ///
    /// # Panics
    /// If outputs of the prefix are not [kept](Self::is_kept).
    pub(super) fn show_behind<T>(
        &mut self,
        network: &Network,
        settings: &Settings,
        tick: Tick,
        batch_samples: usize,
        samples: &[Drawn],
        work: impl FnOnce(&Network, &mut Workspace, &Shard<'_>, &Entries<'_>) -> T,
    ) -> Read<(T, u64)> {
        let cache = Arc::clone(self.cache.as_ref().expect("outputs of the prefix are kept"));
        let (epoch, front, packing) = (tick.epoch, network.front(), settings.prefix_cache.packing);
        let key = |sample: u32| match settings.is_augmented() {
            true => (sample, shown_as(network, settings, epoch, sample)),
            false => (sample, 0),
        };
        let found = samples.iter().map(|(sample, _)| cache.get(key(*sample), epoch));
        let mut found: Vec<Option<Entry>> = found.collect::<Read<_>>()?;
        if packing == Packing::F16 && settings.storage == Storage::F32 {
            // Carried on from rounded numbers an entry would depend on what the cache happened to hold.
            found.iter_mut().for_each(|entry| *entry = entry.take().filter(|(end, _)| *end == front));
        }
        let ends = |entry: &Option<Entry>| entry.as_ref().map_or(0, |(front, _)| *front);
        let skipped = found.iter().map(|entry| flops(network, ends(entry))).sum();
        let mut shorter = BTreeMap::<usize, Vec<usize>>::new();
        for (position, end) in found.iter().map(ends).enumerate().filter(|(_, end)| *end != front) {
            shorter.entry(end).or_default().push(position);
        }
        for (end, positions) in shorter {
            let made = if end == 0 {
                let ids: Vec<u32> = positions.iter().map(|position| samples[*position].0).collect();
                self.gather(network, settings, epoch, &ids)?;
                network.enter(&mut self.workspace, &self.inputs, ids.len(), packing)
            } else {
                let entries: Vec<&[u8]> = positions.iter().map(|at| slice(&found[*at])).collect();
                let entries = Entries { front: end, packing, entries: &entries };
                network.extend(&mut self.workspace, &entries)
            };
            for (position, made) in positions.into_iter().zip(made) {
                let entry = (front, Arc::from(made));
                cache.put(key(samples[position].0), epoch, &entry)?;
                found[position] = Some(entry);
            }
        }
        let entries: Vec<&[u8]> = found.iter().map(slice).collect();
        let entries = Entries { front, packing, entries: &entries };
        let lists = Lists::new(settings, tick, samples, self.draws);
        let shard = lists.shard(&self.inputs, batch_samples);
        Ok((work(network, &mut self.workspace, &shard, &entries), skipped))
    }
}

fn slice(entry: &Option<Entry>) -> &[u8] {
    &entry.as_ref().expect("it has been found or made").1
}

/// The FLOPs of a sample on its way through a front.
fn flops(network: &Network, front: usize) -> u64 {
    let layers = network.architecture().layers[..network.description().front_layers(front)].iter();
    layers.enumerate().map(|(number, layer)| network.nonzero(number) as u64 * layer.flops_per_weight()).sum()
}
