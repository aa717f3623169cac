//! The end of the forward pass and the beginning of the backward pass: a loss for each sample.

use crate::kernel::{Channel, Stored};
use crate::operation::Pass;
use crate::shard::{Score, Shard};

/// Scores every sample of the shard, in order.
pub(crate) fn score<S: Stored>(pass: &Pass<'_, S>, labels: &[u16]) -> Vec<Score> {
    let mut logits = vec![0.0; pass.description.task().1];
    let judge = |(sample, label)| judge(pass, sample, label, &mut logits);
    labels.iter().copied().enumerate().map(judge).collect()
}

/// Scores every sample and writes the gradient of Σ weight · loss / batch samples with respect to the logits.
/// Lanes without a sample get 0.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, shard: &Shard<'_>) -> Vec<Score> {
    let (value, classes) = (pass.description.logits(), pass.description.task().1);
    let (mut gradient, _) = pass.take_gradient(value).expect("the classifier never freezes");
    let lanes = pass.lanes();
    gradient[..pass.groups * classes * lanes].fill(S::default());
    let mut scores = Vec::with_capacity(pass.samples);
    let mut errors = vec![0.0; classes];
    for (sample, (label, weight)) in shard.labels.iter().zip(shard.weights).enumerate() {
        scores.push(judge(pass, sample, *label, &mut errors));
        let weight = f64::from(*weight) / shard.batch_samples as f64;
        let own = &mut gradient[sample / lanes * classes * lanes..][..classes * lanes];
        for (lane, error) in own.chunks_exact_mut(lanes).zip(&errors) {
            lane[sample % lanes] = S::of((weight * error) as f32);
        }
    }
    pass.put_gradient(value, gradient);
    scores
}

/// The logits of every sample of the shard, sample by sample.
pub(crate) fn logits<S: Stored>(pass: &Pass<'_, S>) -> Vec<f64> {
    let classes = pass.description.task().1;
    let mut logits = vec![0.0; pass.samples * classes];
    let own = logits.chunks_exact_mut(classes).enumerate();
    own.for_each(|(sample, own)| logits_of(pass, sample, own));
    logits
}

/// Scores a sample; `errors` gets the gradient of its loss with respect to its logits.
fn judge<S: Stored>(pass: &Pass<'_, S>, sample: usize, label: u16, errors: &mut [f64]) -> Score {
    logits_of(pass, sample, errors);
    assert!(usize::from(label) < errors.len(), "label {label} of {} classes", errors.len());
    pass.loss.judge(errors, usize::from(label))
}

/// Writes the logits of a sample.
fn logits_of<S: Stored>(pass: &Pass<'_, S>, sample: usize, logits: &mut [f64]) {
    let lanes = pass.lanes();
    let row = pass.signal_row(pass.description.logits(), sample / lanes, 0);
    let channels = row.affine.expect("logits have a bias");
    let own = row.lanes.chunks_exact(lanes);
    for ((logit, lane), Channel { scale, shift, .. }) in logits.iter_mut().zip(own).zip(channels) {
        *logit = f64::from(lane[sample % lanes].get()) * f64::from(*scale) + f64::from(*shift);
    }
}
