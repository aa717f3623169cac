//! The cost of every epoch, counted again from the deltas.

use spfde_data::architecture::Architecture;
use spfde_flow::Observe;

use super::masks::Sums;
use super::{Findings, Trace};
use crate::error::Error;

/// Compares FLOPs, weights and frozen layers of `epochs` with a count of its own: weight by weight what a forward
/// pass multiplies, and what a backward pass has to.
pub(super) fn check(
    trace: &Trace<'_>,
    architecture: &Architecture,
    observe: Observe,
    sums: &[Sums],
    findings: &mut Findings,
) -> Result<(), Error> {
    let samples = trace.manifest.data_set.train_rows;
    for (epoch, sums) in trace.epochs().zip(sums) {
        let Some(row) = trace.epoch(epoch, findings)? else { continue };
        let active = u64::from(row.active_samples);
        let outside = samples.saturating_sub(active);
        let (mut forward, mut backward, mut observed, mut dense) = (0, 0, 0, 0);
        // Blocks freeze from the front; what reads the input of the first that trains needs no gradient of it.
        let first_active = architecture
            .layers
            .iter()
            .zip(&sums.frozen)
            .filter(|(_, frozen)| !**frozen)
            .map(|(layer, _)| layer.block)
            .min();
        for ((layer, nonzero), frozen) in architecture.layers.iter().zip(&sums.nonzero).zip(&sums.frozen) {
            let once = 2 * nonzero * layer.positions * active;
            forward += once;
            let input_gradient = !(layer.reads_block_input && Some(layer.block) == first_active);
            if !frozen {
                backward += once + if input_gradient { once } else { 0 };
            }
            let whole = 2 * layer.weights() as u64 * layer.positions * samples;
            let from_input = layer.block == 0 && layer.reads_block_input;
            if observe == Observe::Full {
                observed += 2 * nonzero * layer.positions * outside;
                // What the backward pass of the active samples goes on to: the weights of the prefix, and the inputs
                // that something of it has computed.
                observed += if *frozen { once } else { 0 };
                observed += if !from_input && (*frozen || !input_gradient) { once } else { 0 };
            }
            dense += if from_input { 2 * whole } else { 3 * whole };
        }
        let nonzero: u64 = sums.nonzero.iter().sum();
        let frozen = sums.frozen.iter().filter(|frozen| **frozen).count() as u64;
        let pairs = [
            ("forward_flops", row.forward_flops, forward),
            ("backward_flops", row.backward_flops, backward),
            ("observed_flops", row.observed_flops, observed),
            ("dense_flops", row.dense_flops, dense),
            ("nonzero", row.nonzero, nonzero),
            ("frozen_layers", u64::from(row.frozen_layers), frozen),
        ];
        for (column, found, expected) in pairs.into_iter().filter(|(_, found, expected)| found != expected) {
            findings.push(|| format!("epochs: epoch {epoch}: {column} is {found}, counted again {expected}"));
        }
    }
    Ok(())
}
