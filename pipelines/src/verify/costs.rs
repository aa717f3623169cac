//! The counts and costs of every epoch: of a run those of `epochs`, of a replay those of `costs` and `censored`, too.

use spfde_data::files::manifest::ReplayOf;
use spfde_data::rows::{CensoredRow, CostRow, EpochRow};
use spfde_data::segment::Densities;
use spfde_data::words::counted;
use spfde_flow::Observe;

use super::layers::Layer;
use super::samples::Samples;
use super::trace::{Epoch, Trace};
use crate::error::Error;

/// FLOPs of an epoch.
#[derive(Default)]
struct Flops {
    forward: u64,
    backward: u64,
    observed: u64,
    dense: u64,
}

/// Compares a row of `epochs` with a count of its own.
pub(super) fn check_epoch(row: &EpochRow, samples: &Samples, layers: &[Layer], epoch: &mut Epoch<'_>) {
    let (trace, findings) = (epoch.trace, &mut *epoch.findings);
    let (epoch, found, active) = (row.epoch, row.active_samples, samples.active);
    if found as usize != active {
        findings.push(format_args!(
            "epochs: epoch {epoch} has {found} active samples, the sieve deltas add up to {active}"
        ));
    }
    let flops = recount(trace, layers, u64::from(found));
    let frozen = layers.iter().filter(|layer| layer.frozen.last()).count() as u64;
    let pairs = [
        ("forward_flops", row.forward_flops, flops.forward),
        ("backward_flops", row.backward_flops, flops.backward),
        ("observed_flops", row.observed_flops, flops.observed),
        ("dense_flops", row.dense_flops, flops.dense),
        ("nonzero", row.nonzero, layers.iter().map(|layer| layer.nonzero.last()).sum()),
        ("frozen_layers", u64::from(row.frozen_layers), frozen),
    ];
    for (column, found, expected) in pairs.into_iter().filter(|(_, found, expected)| found != expected) {
        findings.push(format_args!("epochs: epoch {epoch}: {column} is {found}, counted again {expected}"));
    }
}

/// Counts weight by weight what a forward pass multiplies, and what a backward pass has to.
fn recount(trace: &Trace<'_>, layers: &[Layer], active: u64) -> Flops {
    let samples = trace.manifest.data_set.train_rows;
    let outside = samples.saturating_sub(active);
    let shapes = &trace.architecture.layers;
    let training = shapes.iter().zip(layers).filter(|(_, layer)| !layer.frozen.last());
    // Nothing before it trains, so what reads its input needs no gradient of it.
    let first_training = training.map(|(shape, _)| shape.block).min().unwrap_or(usize::MAX);
    let mut flops = Flops::default();
    for (shape, layer) in shapes.iter().zip(layers) {
        let of = |samples: u64| 2 * layer.nonzero.last() * shape.positions * samples;
        let behind_training =
            shape.block > first_training || (shape.block == first_training && !shape.reads_block_input);
        let reads_images = shape.block == 0 && shape.reads_block_input;
        flops.forward += of(active);
        flops.backward += if layer.frozen.last() { 0 } else { of(active) };
        flops.backward += if behind_training { of(active) } else { 0 };
        if trace.observe == Observe::Full {
            flops.observed += of(outside);
            // The backward pass of the active samples goes on to the weights of what is frozen, and to the inputs
            // that some layer has computed.
            flops.observed += if layer.frozen.last() { of(active) } else { 0 };
            flops.observed += if !reads_images && !behind_training { of(active) } else { 0 };
        }
        let passes = if reads_images { 2 } else { 3 };
        flops.dense += passes * 2 * shape.weights() as u64 * shape.positions * samples;
    }
    flops
}

/// Compares the rows of a replay's `costs` with the deltas and with `epochs`, and looks at its row of `censored`.
/// Where weights are those of a density schedule, no delta says how many they are: `layers` takes them from `costs`.
pub(super) fn check_replay(
    source: &ReplayOf,
    whole: Option<&EpochRow>,
    layers: &mut [Layer],
    epoch: &mut Epoch<'_>,
) -> Result<(), Error> {
    let Some(rows) = epoch.by_layer(|row: &CostRow| row.layer)? else { return Ok(()) };
    for ((row, layer), shape) in rows.iter().zip(&mut *layers).zip(&epoch.trace.architecture.layers) {
        let scheduled = source.densities == Densities::Scheduled && row.nonzero as usize <= shape.weights();
        if scheduled {
            layer.nonzero.set(0, u64::from(row.nonzero));
        }
        layer.check::<CostRow>(row.layer, (!scheduled).then_some(row.nonzero), row.frozen, epoch);
    }
    let Some(whole) = whole else { return Ok(()) };
    let (number, findings) = (epoch.number, &mut *epoch.findings);
    let parts = [
        ("forward_flops", whole.forward_flops, rows.iter().map(|row| row.forward_flops).sum::<u64>()),
        ("backward_flops", whole.backward_flops, rows.iter().map(|row| row.backward_flops).sum()),
    ];
    for (column, found, expected) in parts.into_iter().filter(|(_, found, expected)| found != expected) {
        findings.push(format_args!(
            "epochs: epoch {number}: {column} is {found}, the layers' add up to {expected}"
        ));
    }
    let reached = [whole.train_loss, whole.train_accuracy, whole.test_loss, whole.test_accuracy];
    if reached.iter().any(Option::is_some) {
        findings
            .push(format_args!("epochs: epoch {number} has a loss or an accuracy, which no replay knows"));
    }
    let Some(row) = epoch.row::<CensoredRow>()? else { return Ok(()) };
    let training = layers.iter().filter(|layer| !layer.frozen.last()).count();
    let fits = row.samples <= whole.active_samples
        && usize::from(row.layers) <= training
        && u64::from(row.layers) <= row.norms;
    if !fits {
        let (active, training) =
            (counted(whole.active_samples, "active sample"), counted(training, "unfrozen layer"));
        epoch.findings.push(format_args!("censored: epoch {number}: {row:?}, with {active} and {training}"));
    }
    Ok(())
}
