//! The probe: some training samples that layers are shown at the end of every epoch, to see how much they
//! still change.
//!
//! A layer is compared with itself at the end of the latest window that ended before; a window is as long as
//! the interval between mask updates. What it put out then is kept as the products of each two samples, by
//! its owner.

use std::collections::BTreeMap;

use spfde_data::{Purpose, SimilarityRow, draw};
use spfde_model::Network;

use super::presented::{Presented, Read};
use super::similarity::Products;
use crate::{ProbeSettings, ProductRow, Settings, Snapshot};

/// Samples that pass the network at a time.
const CHUNK: usize = 64;

/// Bytes of what layers put out that are there at a time, if more than one layer is looked at.
const HELD: usize = 64 << 20;

/// One worker's part of the comparisons: that of its layers.
pub(super) struct Probe {
    settings: ProbeSettings,
    samples: Vec<u32>,
    /// The products of each layer at the end of the latest window, and the epoch that ended it.
    reference: Option<(u32, BTreeMap<usize, Products>)>,
}

/// The probe: those of least draw.
fn drawn(settings: &Settings, count: u32) -> Vec<u32> {
    let draw = |sample: &u32| (draw(settings.seed, Purpose::Probe, 0, u64::from(*sample)), *sample);
    let mut samples: Vec<u32> = (0..settings.data.train.len() as u32).collect();
    samples.sort_by_cached_key(draw);
    samples.truncate(count as usize);
    samples.sort_unstable();
    samples
}

impl Probe {
    /// The probe, if the settings ask for one; it goes on with what a checkpoint has of `layers`.
    pub(super) fn new(settings: &Settings, layers: &[usize], resumed: Option<&Snapshot>) -> Option<Self> {
        let probe = settings.probe?;
        let samples = drawn(settings, probe.samples);
        let mut saved = resumed.map(|snapshot| snapshot.rows::<ProductRow>()).unwrap_or_default();
        saved.sort_by_key(|row| (row.layer, row.pair));
        let reference = saved.first().map(|row| row.reference);
        let mut products = BTreeMap::<usize, Vec<f32>>::new();
        for row in saved.into_iter().filter(|row| layers.contains(&(row.layer as usize))) {
            products.entry(row.layer as usize).or_default().push(row.product);
        }
        let products = products.into_iter();
        let products = products.map(|(layer, of)| (layer, Products::restored(samples.len(), of)));
        let reference = reference.map(|epoch| (epoch, products.collect()));
        Some(Self { settings: probe, samples, reference })
    }

    /// Looks at `layers` at the end of `epoch`.
    ///
    /// # Errors
    /// If images cannot be read.
    pub(super) fn look(
        &mut self,
        epoch: u32,
        network: &Network,
        presented: &mut Presented,
        settings: &Settings,
        layers: &[usize],
    ) -> Read<Vec<SimilarityRow>> {
        let mut now = BTreeMap::new();
        let shapes: Vec<usize> = network.description().layer_numbers().collect();
        for layers in held(layers, |layer| 4 * shapes[layer] * self.samples.len()) {
            let mut outputs = vec![Vec::new(); layers.len()];
            for samples in self.samples.chunks(CHUNK) {
                let some = presented.outputs(network, settings, samples, layers)?;
                outputs.iter_mut().zip(some).for_each(|(all, some)| all.extend(some));
            }
            now.extend(layers.iter().copied().zip(outputs.iter().map(|outputs| Products::of(outputs))));
        }
        let mut rows = Vec::new();
        if let Some((reference_epoch, before)) = &self.reference {
            let row = |(layer, now): (&usize, &Products)| {
                let before = before.get(layer)?;
                let (layer, measure, plasticity) = (*layer as u16, now.cka(before), now.plasticity(before));
                let reference_epoch = *reference_epoch;
                Some(SimilarityRow { epoch, layer, measure, reference_epoch, plasticity })
            };
            rows.extend(now.iter().filter_map(row));
        }
        if (epoch + 1).is_multiple_of(self.settings.interval) {
            self.reference = Some((epoch, now));
        }
        Ok(rows)
    }

    /// What there is to save at the start of `epoch`.
    pub(super) fn save(&self, epoch: u32) -> Vec<ProductRow> {
        let mut rows = Vec::new();
        if let Some((reference, products)) = &self.reference {
            for (layer, products) in products {
                let of = products.triangle.iter().zip(0..);
                let row = |(product, pair): (&f32, u32)| {
                    let (reference, layer) = (*reference, *layer as u32);
                    ProductRow { epoch, layer, pair, product: *product, reference }
                };
                rows.extend(of.map(row));
            }
        }
        rows
    }
}

/// Runs of layers that are looked at together: as many as are held, or a single one.
fn held(layers: &[usize], bytes: impl Fn(usize) -> usize) -> Vec<&[usize]> {
    let (mut runs, mut first, mut sum) = (Vec::new(), 0, 0);
    for (place, layer) in layers.iter().enumerate() {
        let own = bytes(*layer);
        if sum + own > HELD && place > first {
            runs.push(&layers[first..place]);
            (first, sum) = (place, 0);
        }
        sum += own;
    }
    runs.push(&layers[first..]);
    runs
}
