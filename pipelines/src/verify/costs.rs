//! The counts and costs of every epoch: of a run those of `epochs`, of a replay those of `costs` and
//! `censored`, too.

use spfde_data::files::ReplayOf;
use spfde_data::{CensoredRow, CostRow, Densities, EpochRow, Row, counted};
use spfde_flow::Observe;

use super::{Epoch, Layer, Samples, Trace};
use crate::Result;

/// Compares a row of `epochs` with a count of its own.
pub(super) fn check_epoch(row: &EpochRow, samples: &Samples, layers: &[Layer], epoch: &mut Epoch<'_>) {
    let found = u64::from(row.active_samples);
    let [forward, backward, observed, dense] = recount(epoch.trace, layers, found);
    let frozen = layers.iter().filter(|layer| layer.frozen.last()).count() as u64;
    compare(epoch, "the sieve deltas add up to", &[("active samples", found, samples.active as u64)]);
    let columns = [
        ("forward_flops", row.forward_flops, forward),
        ("backward_flops", row.backward_flops, backward),
        ("observed_flops", row.observed_flops, observed),
        ("dense_flops", row.dense_flops, dense),
        ("nonzero", row.nonzero, layers.iter().map(|layer| layer.nonzero.last()).sum()),
        ("frozen_layers", u64::from(row.frozen_layers), frozen),
    ];
    compare(epoch, "counted again", &columns);
}

/// Compares what columns of `epochs` have with what they should have, `by` which count.
fn compare(epoch: &mut Epoch<'_>, by: &str, columns: &[(&str, u64, u64)]) {
    for (column, found, expected) in columns.iter().filter(|(_, found, expected)| found != expected) {
        epoch.find(EpochRow::STREAM, format_args!("{column} is {found}, {by} {expected}"));
    }
}

/// Counts weight by weight what a forward pass multiplies, and what a backward pass has to: FLOPs of forward
/// and backward passes, of what is only observed, and of dense training.
fn recount(trace: &Trace<'_>, layers: &[Layer], active: u64) -> [u64; 4] {
    let samples = trace.manifest.data_set.train_rows;
    let outside = samples.saturating_sub(active);
    let shapes = &trace.architecture.layers;
    let training = shapes.iter().zip(layers).filter(|(_, layer)| !layer.frozen.last());
    // Nothing before it trains, so what reads its input needs no gradient of it.
    let first_training = training.map(|(shape, _)| shape.block).min().unwrap_or(usize::MAX);
    let [mut forward, mut backward, mut observed, mut dense] = [0; 4];
    for (shape, layer) in shapes.iter().zip(layers) {
        let once = 2 * layer.nonzero.last() * shape.positions;
        let behind_training =
            shape.block > first_training || (shape.block == first_training && !shape.reads_block_input);
        let reads_images = shape.block == 0 && shape.reads_block_input;
        // The gradients of the weights, and of the inputs that some layer has computed: those of layers that
        // are frozen, and before all that train, take a backward pass that goes on for them.
        let [weights, inputs] = [!layer.frozen.last(), behind_training].map(u64::from);
        let all = 1 + u64::from(!reads_images);
        forward += once * active;
        backward += once * active * (weights + inputs);
        if trace.observe == Observe::Full {
            observed += once * (outside + active * (all - weights - inputs));
        }
        dense += (1 + all) * 2 * shape.weights() as u64 * shape.positions * samples;
    }
    [forward, backward, observed, dense]
}

/// Compares the rows of a replay's `costs` with the deltas and with `epochs`, and looks at its row of
/// `censored`. Where weights are those of a density schedule, no delta says how many they are: `layers` takes
/// them from `costs`.
pub(super) fn check_replay(
    source: &ReplayOf,
    whole: Option<&EpochRow>,
    layers: &mut [Layer],
    epoch: &mut Epoch<'_>,
) -> Result<()> {
    let Some(rows) = epoch.by_layer(|row: &CostRow| row.layer)? else { return Ok(()) };
    for ((row, layer), shape) in rows.iter().zip(&mut *layers).zip(&epoch.trace.architecture.layers) {
        let scheduled = source.densities == Densities::Scheduled && row.nonzero as usize <= shape.weights();
        if scheduled {
            layer.nonzero.set(0, u64::from(row.nonzero));
        }
        layer.check::<CostRow>(row.layer, (!scheduled).then_some(row.nonzero), row.frozen, epoch);
    }
    let Some(whole) = whole else { return Ok(()) };
    let columns = [
        ("forward_flops", whole.forward_flops, rows.iter().map(|row| row.forward_flops).sum()),
        ("backward_flops", whole.backward_flops, rows.iter().map(|row| row.backward_flops).sum()),
    ];
    compare(epoch, "the layers' add up to", &columns);
    let reached = [whole.train_loss, whole.train_accuracy, whole.test_loss, whole.test_accuracy];
    if reached.iter().any(Option::is_some) {
        let what = "has a loss or an accuracy, which no replay knows";
        epoch.findings.push(format_args!("epochs: epoch {} {what}", epoch.number + 1));
    }
    let Some(row) = epoch.row::<CensoredRow>()? else { return Ok(()) };
    let training = layers.iter().filter(|layer| !layer.frozen.last()).count();
    let fits = row.samples <= whole.active_samples
        && usize::from(row.layers) <= training
        && u64::from(row.layers) <= row.norms;
    if !fits {
        let active = counted(whole.active_samples, "active sample");
        let training = counted(training, "unfrozen layer");
        epoch.find(CensoredRow::STREAM, format_args!("{row:?}, with {active} and {training}"));
    }
    Ok(())
}
