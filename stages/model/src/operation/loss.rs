//! Softmax cross-entropy.

use crate::lane::{LANES, Lane};
use crate::operation::Pass;
use crate::shard::{Score, Shard};

/// Scores every sample of the shard, in order.
pub(crate) fn score(pass: &Pass<'_>, labels: &[u16], mut each: impl FnMut(Score)) {
    let mut logits = vec![0.0; pass.description.classes];
    for (sample, label) in labels.iter().enumerate() {
        read_logits(pass, sample, &mut logits);
        each(judge(&logits, usize::from(*label)).score);
    }
}

/// Scores every sample and writes the gradient of Σ weight · loss / batch samples with respect to the logits. Lanes
/// without a sample get 0.
pub(crate) fn backward(pass: &mut Pass<'_>, shard: &Shard<'_>, mut each: impl FnMut(Score)) {
    let value = pass.description.logits.value;
    let classes = pass.description.classes;
    let (mut gradient, begun) = pass.take_gradient(value);
    assert!(!begun, "logits have no other reader");
    gradient[..pass.groups * classes].fill(Lane::ZERO);
    let mut logits = vec![0.0; classes];
    for (sample, (label, weight)) in shard.labels.iter().zip(shard.weights).enumerate() {
        read_logits(pass, sample, &mut logits);
        let Judgement { score, errors } = judge(&logits, usize::from(*label));
        each(score);
        let weight = f64::from(*weight) / shard.batch_samples as f64;
        let lanes = &mut gradient[sample / LANES * classes..][..classes];
        for (lane, error) in lanes.iter_mut().zip(errors) {
            lane.0[sample % LANES] = (weight * error) as f32;
        }
    }
    pass.put_gradient(value, gradient);
}

fn read_logits(pass: &Pass<'_>, sample: usize, logits: &mut [f64]) {
    let signal = pass.description.logits;
    let row = pass.signal_row(signal, sample / LANES, 0);
    let coefficients = row.affine.expect("logits have a bias");
    for (class, logit) in logits.iter_mut().enumerate() {
        let value = row.lanes[class].0[sample % LANES];
        *logit =
            f64::from(value) * f64::from(coefficients.scale[class]) + f64::from(coefficients.shift[class]);
    }
}

/// A score, and softmax − one-hot.
struct Judgement {
    score: Score,
    errors: Vec<f64>,
}

fn judge(logits: &[f64], label: usize) -> Judgement {
    assert!(label < logits.len(), "label {label} of {} classes", logits.len());
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut errors: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let sum: f64 = errors.iter().sum();
    errors.iter_mut().for_each(|error| *error /= sum);
    errors[label] -= 1.0;
    // A network whose numbers have gone astray is right about nothing.
    let best = logits.iter().position(|logit| *logit == greatest).filter(|_| sum.is_finite());
    let score = Score {
        loss: (sum.ln() - (logits[label] - greatest)) as f32,
        correct: best == Some(label),
        error_norm: errors.iter().map(|error| error * error).sum::<f64>().sqrt() as f32,
    };
    Judgement { score, errors }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_lose_the_logarithm_of_their_number_and_the_first_wins() {
        let Judgement { score, errors } = judge(&[2.0; 4], 1);
        assert!((score.loss - 4f32.ln()).abs() < 1e-6);
        assert_eq!(errors, [0.25, -0.75, 0.25, 0.25]);
        assert!((score.error_norm - 0.75f32.sqrt()).abs() < 1e-6);
        assert!(!score.correct);
        assert!(judge(&[2.0; 4], 0).score.correct);
    }

    #[test]
    fn great_logits_stay_finite_and_nan_does_not() {
        let score = judge(&[1000.0, -1000.0], 1).score;
        assert_eq!((score.loss, score.correct), (2000.0, false));
        let score = judge(&[f64::NAN, 0.0], 1).score;
        assert!(score.loss.is_nan() && !score.correct);
    }
}
