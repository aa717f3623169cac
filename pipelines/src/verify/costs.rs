//! The counts and costs of every epoch: of a run those of `epochs`, of a replay those of `costs` and
//! `censored`, too. And what policies asked for beyond training: the dense gradients of the steps before an
//! update, which the mask policy of the configuration says it needs.

use std::sync::Arc;

use spfde_data::files::ReplayOf;
use spfde_data::{CensoredRow, CostRow, Densities, EpochRow, Row, counted};
use spfde_flow::Observe;
use spfde_policy::{MaskPolicy, Needs, Spans};

use super::{Epoch, Findings, Layer, Samples, Trace};
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

/// By what the extra FLOPs of an epoch are judged.
pub(super) struct Extra {
    /// The run's mask policy; `None` of one that no registry knows: it may have asked for any layer.
    mask: Option<Arc<dyn MaskPolicy>>,
    /// Samples of a batch, at most.
    batch_size: u64,
    /// The epoch before, until it is known what freezes after it.
    before: Option<Before>,
}

/// What is known of an epoch at its end.
struct Before {
    epoch: u32,
    found: u64,
    /// FLOPs of the dense gradient of each layer in the last step, where it trains and is asked for.
    layers: Vec<Option<u64>>,
    /// FLOPs of all dense gradients of earlier steps.
    within: u64,
}

impl Extra {
    /// Before the first epoch.
    pub(super) fn new(mask: Option<Arc<dyn MaskPolicy>>, batch_size: u64) -> Self {
        Self { mask, batch_size, before: None }
    }

    /// Takes the row of an epoch, whose end `layers` are at.
    pub(super) fn add(&mut self, row: &EpochRow, layers: &[Layer], epoch: &Epoch<'_>) {
        let active = u64::from(row.active_samples);
        let steps = active.div_ceil(self.batch_size);
        let until = |step: u64| active * step / steps;
        // Any step may have asked what a policy that is not known does.
        let earlier = if self.mask.is_some() && steps > 0 { until(steps - 1) } else { 0 };
        let samples = active - earlier;
        let window = self.mask.as_ref().and_then(|mask| mask.steps());
        let updates = window.map(|window| (u64::from(window.get())..steps).step_by(window.get() as usize));
        let samples_within: u64 =
            updates.into_iter().flatten().map(|step| until(step) - until(step - 1)).sum();
        let shapes = &epoch.trace.architecture.layers;
        let next = row.epoch + 1;
        let (mask, never) = (self.mask.as_ref(), Spans::never());
        let is_asked =
            |layer: usize| mask.is_none_or(|mask| mask.needs(layer, next, &never) == Needs::DenseGradient);
        let is_asked_within = |layer: &usize| {
            mask.is_some_and(|mask| mask.needs_within(*layer, row.epoch, &never) == Needs::DenseGradient)
        };
        let trains = |layer: &usize| !layers[*layer].frozen.last();
        let flops = |layer: usize, samples: u64| {
            (2 * shapes[layer].weights() as u64 * shapes[layer].positions).saturating_mul(samples)
        };
        let asked = |layer: usize| (trains(&layer) && is_asked(layer)).then(|| flops(layer, samples));
        let within = (0..shapes.len()).filter(trains).filter(is_asked_within);
        let within = within.map(|layer| flops(layer, samples_within)).fold(0, u64::saturating_add);
        let layers = (0..shapes.len()).map(asked).collect();
        self.before = Some(Before { epoch: row.epoch, found: row.extra_flops, layers, within });
    }

    /// Compares the epoch before with what it may have: all that was asked for; but a layer that freezes
    /// right after it may be asked for or not, depending on whether that was planned. `layers` are those of
    /// the next epoch, if there is one.
    pub(super) fn check(&mut self, layers: Option<&[Layer]>, findings: &mut Findings) {
        let Some(Before { epoch: number, found, layers: asked, within }) = self.before.take() else { return };
        let most = asked.iter().flatten().fold(within, |sum, flops| sum.saturating_add(*flops));
        let sure = layers.filter(|_| self.mask.is_some()).unwrap_or_default();
        let sure = asked.iter().zip(sure).filter(|(_, layer)| !layer.frozen.last());
        let least =
            self.mask.as_ref().map_or(0, |_| within) + sure.filter_map(|(flops, _)| *flops).sum::<u64>();
        if !(least..=most).contains(&found) {
            let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
            findings.push(format_args!(
                "epochs: epoch {}: extra_flops is {found}, the mask policy asks for {expected}",
                number + 1
            ));
        }
    }
}
