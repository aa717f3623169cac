//! The row of an epoch: what it cost, from what existed, was frozen and was active. Training and replay count alike.

use spfde_data::rows::EpochRow;
use spfde_policy::{cost, count};

use crate::loader::share;
use crate::settings::{Observe, Settings};

/// The costs of `epoch`; its accuracies and losses are null.
pub(crate) fn epoch_row(
    settings: &Settings,
    epoch: u32,
    nonzero: &[u32],
    frozen_blocks: usize,
    active: u32,
) -> EpochRow {
    let plan = &settings.plan;
    let architecture = &plan.architecture;
    let spent = count(architecture, nonzero, frozen_blocks, active);
    let observed_flops = match settings.observe {
        Observe::Active => 0,
        Observe::Full => {
            cost::observed(architecture, nonzero, frozen_blocks, active, plan.samples.saturating_sub(active))
        }
    };
    EpochRow {
        epoch,
        train_loss: None,
        train_accuracy: None,
        test_loss: None,
        test_accuracy: None,
        learning_rate: settings.learning_rate_rule.rate(settings.learning_rate, epoch, 0, 1, settings.epochs),
        active_samples: active,
        nonzero: nonzero.iter().map(|count| u64::from(*count)).sum(),
        frozen_layers: architecture.layers.iter().filter(|layer| layer.block < frozen_blocks).count() as u16,
        forward_flops: spent.forward,
        backward_flops: spent.backward,
        observed_flops,
        dense_flops: plan.dense_cost.forward + plan.dense_cost.backward,
        activation_bytes: architecture.activation_bytes[frozen_blocks] * settings.batch_size as u64,
        extra_flops: plan.extra_flops(epoch, frozen_blocks, last_batch(settings, active)),
    }
}

/// The samples of an epoch's last step, of `active` in all.
fn last_batch(settings: &Settings, active: u32) -> u32 {
    let (active, steps) = (active as usize, (active as usize).div_ceil(settings.batch_size));
    steps.checked_sub(1).map_or(0, |last| share(active, last, steps).len() as u32)
}
