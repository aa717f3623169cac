//! The end of the forward pass and the beginning of the backward pass: a loss for each sample.

use crate::kernel::Channel;
use crate::lane::{LANES, Lane};
use crate::operation::Pass;
use crate::shard::{Score, Shard};

/// Scores every sample of the shard, in order.
pub(crate) fn score(pass: &Pass<'_>, labels: &[u16]) -> Vec<Score> {
    let mut logits = vec![0.0; pass.description.task().1];
    let judge = |(sample, label)| judge(pass, sample, label, &mut logits);
    labels.iter().copied().enumerate().map(judge).collect()
}

/// Scores every sample and writes the gradient of Σ weight · loss / batch samples with respect to the logits.
/// Lanes without a sample get 0.
pub(crate) fn backward(pass: &mut Pass<'_>, shard: &Shard<'_>) -> Vec<Score> {
    let (value, classes) = (pass.description.logits(), pass.description.task().1);
    let (mut gradient, _) = pass.take_gradient(value).expect("the classifier never freezes");
    gradient[..pass.groups * classes].fill(Lane::ZERO);
    let mut scores = Vec::with_capacity(pass.samples);
    let mut errors = vec![0.0; classes];
    for (sample, (label, weight)) in shard.labels.iter().zip(shard.weights).enumerate() {
        scores.push(judge(pass, sample, *label, &mut errors));
        let weight = f64::from(*weight) / shard.batch_samples as f64;
        let lanes = &mut gradient[sample / LANES * classes..][..classes];
        for (lane, error) in lanes.iter_mut().zip(&errors) {
            lane.0[sample % LANES] = (weight * error) as f32;
        }
    }
    pass.put_gradient(value, gradient);
    scores
}

/// Scores a sample; `errors` gets the gradient of its loss with respect to its logits.
fn judge(pass: &Pass<'_>, sample: usize, label: u16, errors: &mut [f64]) -> Score {
    let row = pass.signal_row(pass.description.logits(), sample / LANES, 0);
    let channels = row.affine.expect("logits have a bias");
    for ((logit, lane), Channel { scale, shift, .. }) in errors.iter_mut().zip(row.lanes).zip(channels) {
        *logit = f64::from(lane.0[sample % LANES]) * f64::from(*scale) + f64::from(*shift);
    }
    assert!(usize::from(label) < errors.len(), "label {label} of {} classes", errors.len());
    pass.loss.judge(errors, usize::from(label))
}
