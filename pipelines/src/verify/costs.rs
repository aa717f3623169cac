//! The counts and costs of every epoch: of a run those of `epochs`, of a replay those of `costs` and
//! `censored`, too. And what was asked for beyond training: the dense gradients of the steps before an
//! update, which the mask policy of the configuration says it needs, and the passes of the probe.

use std::sync::Arc;

use spfde_data::files::ReplayOf;
use spfde_data::{CensoredRow, CostRow, Densities, EpochRow, Row, counted};
use spfde_flow::Observe;
use spfde_policy::mask::extra;
use spfde_policy::{MaskPolicy, Needs, Spans};

use super::{Epoch, Findings, Layer, Samples, Trace};
use crate::Result;

/// Compares a row of `epochs` with a count of its own.
/// Of a `mask` policy that is not known, any absent weights may have trained.
pub(super) fn check_epoch(
    row: &EpochRow,
    samples: &Samples,
    layers: &[Layer],
    mask: Option<&dyn MaskPolicy>,
    epoch: &mut Epoch<'_>,
) {
    let found = u64::from(row.active_samples);
    let explored = |layer: usize, weights: u64| {
        mask.map_or(0, |mask| u64::from(mask.explored(layer, row.epoch, weights as u32)))
    };
    let [forward, mut backward, observed, dense] = recount(epoch.trace, layers, explored, found);
    if mask.is_none() {
        let shapes = &epoch.trace.architecture.layers;
        let absent = |layer: usize, weights: u64| shapes[layer].weights() as u64 - weights;
        let most = recount(epoch.trace, layers, absent, found)[1];
        backward = row.backward_flops.clamp(backward, most);
    }
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
    let first_training = first_training(epoch.trace, layers);
    let prefix = epoch.trace.architecture.layers.iter().zip(layers);
    let prefix = prefix.filter(|(shape, _)| shape.block < first_training);
    let prefix: u64 = prefix.map(|(shape, layer)| 2 * layer.nonzero.last() * shape.positions * found).sum();
    if let Some(cached) = row.cached_flops.filter(|cached| *cached > prefix) {
        let words = format_args!("cached_flops is {cached}, the frozen layers at the front have {prefix}");
        epoch.find(EpochRow::STREAM, words);
    }
}

/// Compares what columns of `epochs` have with what they should have, `by` which count.
fn compare(epoch: &mut Epoch<'_>, by: &str, columns: &[(&str, u64, u64)]) {
    for (column, found, expected) in columns.iter().filter(|(_, found, expected)| found != expected) {
        epoch.find(EpochRow::STREAM, format_args!("{column} is {found}, {by} {expected}"));
    }
}

/// The first block of which a layer trains.
fn first_training(trace: &Trace<'_>, layers: &[Layer]) -> usize {
    let training = trace.architecture.layers.iter().zip(layers).filter(|(_, layer)| !layer.frozen.last());
    training.map(|(shape, _)| shape.block).min().unwrap_or(usize::MAX)
}

/// Counts weight by weight what a forward pass multiplies, and what a backward pass has to: FLOPs of forward
/// and backward passes, of what is only observed, and of dense training.
fn recount(
    trace: &Trace<'_>,
    layers: &[Layer],
    explored: impl Fn(usize, u64) -> u64,
    active: u64,
) -> [u64; 4] {
    let samples = trace.manifest.data_set.train_rows;
    let outside = samples.saturating_sub(active);
    let shapes = &trace.architecture.layers;
    // Nothing before it trains, so what reads its input needs no gradient of it.
    let first_training = first_training(trace, layers);
    let [mut forward, mut backward, mut observed, mut dense] = [0; 4];
    for (number, (shape, layer)) in shapes.iter().zip(layers).enumerate() {
        let once = 2 * layer.nonzero.last() * shape.positions;
        let behind_training =
            shape.block > first_training || (shape.block == first_training && !shape.reads_block_input);
        let reads_images = shape.block == 0 && shape.reads_block_input;
        // The gradients of the weights, if they train, and of the inputs, if a block in front does. What is
        // missing of both, a backward pass that observes computes.
        let [weights, inputs] = [!layer.frozen.last(), behind_training].map(u64::from);
        let all = 1 + u64::from(!reads_images);
        forward += once * active;
        backward += once * active * (weights + inputs);
        backward += 2 * explored(number, layer.nonzero.last()) * shape.positions * active * weights;
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
    let validated = [whole.validation_loss, whole.validation_accuracy];
    if reached.iter().chain(&validated).any(Option::is_some) {
        let what = "has a loss or an accuracy, which no replay knows";
        epoch.findings.push(format_args!("epochs: epoch {} {what}", epoch.number + 1));
    }
    let Some(row) = epoch.row::<CensoredRow>()? else { return Ok(()) };
    let training = layers.iter().filter(|layer| !layer.frozen.last()).count();
    let fits = row.samples <= whole.active_samples
        && usize::from(row.layers) <= training
        && (row.layers > 0 || row.norms == 0);
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
    /// Epochs of the run.
    epochs: u32,
    /// Samples by which layers are compared at the end of every epoch, at least and at most.
    probe: [u64; 2],
    /// The epoch before, until it is known what freezes after it.
    before: Option<Before>,
}

/// What is known of an epoch at its end.
struct Before {
    epoch: u32,
    found: u64,
    /// FLOPs of the dense gradient of each layer in the last step, where it trains and is asked for.
    layers: Vec<Option<u64>>,
    /// FLOPs of all dense gradients of earlier steps, and of choosing the mask.
    within: u64,
    /// FLOPs of the probe, at least and at most.
    probed: [u64; 2],
}

impl Extra {
    /// The run's mask policy, if it is known.
    pub(super) fn mask(&self) -> Option<&dyn MaskPolicy> {
        self.mask.as_deref()
    }

    /// Before the first epoch.
    pub(super) fn new(
        mask: Option<Arc<dyn MaskPolicy>>,
        batch_size: u64,
        epochs: u32,
        probe: [u64; 2],
    ) -> Self {
        Self { mask, batch_size, epochs, probe, before: None }
    }

    /// Takes the row of an epoch, whose end `layers` are at.
    pub(super) fn add(&mut self, row: &EpochRow, layers: &[Layer], epoch: &Epoch<'_>) {
        let (active, next) = (u64::from(row.active_samples), row.epoch + 1);
        let steps = active.div_ceil(self.batch_size);
        let samples = |step: u64| active * (step + 1) / steps - active * step / steps;
        let shapes = &epoch.trace.architecture.layers;
        let never = Spans::never();
        let trains = |layer: &usize| !layers[*layer].frozen.last();
        let flops = |layer: usize, needs: Needs, samples: u64| {
            let weights = match (needs, &self.mask) {
                (Needs::Candidates, Some(mask)) => {
                    u64::from(mask.candidate_count(layer, layers[layer].nonzero.last() as u32))
                }
                _ => shapes[layer].weights() as u64,
            };
            (2 * weights * shapes[layer].positions).saturating_mul(samples)
        };
        let asked = |layer: usize, step: u64| match &self.mask {
            // Any step may have asked what a policy that is not known does.
            None => Needs::DenseGradient,
            Some(mask) => {
                let when = [row.epoch, step as u32, steps as u32];
                extra(&**mask, layer, &never, self.epochs, when)
            }
        };
        // Sums count with the step whose candidates they are for: both are asked for, or neither is.
        let sums = |layer: usize, step: u64| {
            let before = self.mask.as_ref().zip(step.checked_sub(1));
            let sums = |(mask, step): (&Arc<dyn MaskPolicy>, u64)| {
                let shape = &shapes[layer];
                (mask.sampling().sums(shape) * shape.flops_per_weight()).saturating_mul(samples(step))
            };
            before.map_or(0, sums)
        };
        let of_step = |layer: usize, step: u64| {
            let needs = if trains(&layer) { asked(layer, step) } else { Needs::Nothing };
            let sums = if needs == Needs::Candidates { sums(layer, step) } else { 0 };
            (needs >= Needs::Candidates).then(|| flops(layer, needs, samples(step)).saturating_add(sums))
        };
        let last = steps.checked_sub(1).filter(|_| next <= self.epochs);
        let all = |layer: usize| (0..last.unwrap_or(0)).filter_map(move |step| of_step(layer, step));
        let pass = shapes.iter().zip(layers).map(|(shape, of)| 2 * of.nonzero.last() * shape.positions);
        let pass = pass.sum::<u64>();
        let probed = self.probe.map(|samples| pass.saturating_mul(samples));
        let within = (0..shapes.len()).flat_map(all).fold(self.chosen(row, epoch), u64::saturating_add);
        let layers = (0..shapes.len()).map(|layer| last.and_then(|step| of_step(layer, step))).collect();
        self.before = Some(Before { epoch: row.epoch, found: row.extra_flops, layers, within, probed });
    }

    /// The FLOPs of choosing the mask, which count in epoch 0: gradients of all weights.
    fn chosen(&self, row: &EpochRow, epoch: &Epoch<'_>) -> u64 {
        let (active, all) = (u64::from(row.active_samples), epoch.trace.manifest.data_set.train_rows.max(1));
        let steps = active.div_ceil(self.batch_size);
        let batches = (0..steps).map(|step| (active * (step + 1) / steps - active * step / steps) as u32);
        let samples = self.mask.as_ref().filter(|_| row.epoch == 0);
        let samples = samples.map_or(0, |mask| mask.samples_to_choose(&batches.collect::<Vec<u32>>()));
        (row.dense_flops / all).saturating_mul(samples)
    }

    /// Compares the epoch before with what it may have: all that was asked for; but a layer that freezes
    /// right after it may be asked for or not, depending on whether that was planned. `layers` are those of
    /// the next epoch, if there is one.
    pub(super) fn check(&mut self, layers: Option<&[Layer]>, findings: &mut Findings) {
        let Some(Before { epoch: number, found, layers: asked, within, probed }) = self.before.take() else {
            return;
        };
        // What a policy that is not known chose its mask by is not known either.
        let chosen = if self.mask.is_none() && number == 0 { u64::MAX } else { 0 };
        let most = asked.iter().flatten().fold(within, |sum, flops| sum.saturating_add(*flops));
        let most = most.saturating_add(chosen).saturating_add(probed[1]);
        let sure = layers.filter(|_| self.mask.is_some()).unwrap_or_default();
        let sure = asked.iter().zip(sure).filter(|(_, layer)| !layer.frozen.last());
        // A momentum is gathered no longer than until the last update that freezing leaves.
        let mask = self.mask.as_ref().filter(|mask| mask.momentum_steps().is_none());
        let sure = sure.filter(|_| mask.is_some());
        let least = mask.map_or(0, |_| within) + sure.filter_map(|(flops, _)| *flops).sum::<u64>();
        let least = least.saturating_add(probed[0]);
        if !(least..=most).contains(&found) {
            let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
            findings.push(format_args!(
                "epochs: epoch {}: extra_flops is {found}, the mask policy and the probe ask for {expected}",
                number + 1
            ));
        }
    }
}
