//! The seams of a training step, from the keys of `train`.

use std::sync::Arc;

use spfde_flow::{Clip, GradientTransform, Seams};
use spfde_model::{AdamW, Loss, MomentumSgd, Optimiser, SmoothedCrossEntropy};
use spfde_policy::WarmUp;

use crate::configuration::keys::{Optimizer, Train};

/// What a configuration says of a training step.
pub(crate) fn seams(train: &Train) -> Seams {
    let clip = (train.clip > 0.0).then(|| Arc::new(Clip { norm: train.clip }) as Arc<dyn GradientTransform>);
    let (momentum, weight_decay) = (train.momentum as f32, train.weight_decay as f32);
    let optimiser: Arc<dyn Optimiser> = match train.optimizer {
        Optimizer::AdamW => Arc::new(AdamW { momentum, squares: 0.999, epsilon: 1e-8, weight_decay }),
        Optimizer::Momentum => Arc::new(MomentumSgd { momentum, weight_decay, nesterov: false }),
        Optimizer::Nesterov => Arc::new(MomentumSgd { momentum, weight_decay, nesterov: true }),
    };
    let smoothing = train.label_smoothing;
    let loss = (smoothing > 0.0).then(|| Arc::new(SmoothedCrossEntropy { smoothing }) as Arc<dyn Loss>);
    Seams {
        learning_rate: Arc::new(WarmUp { rule: train.schedule.rule(), epochs: train.warmup }),
        gradient: clip,
        loss,
        optimiser,
        ..Seams::new(momentum, weight_decay)
    }
}
