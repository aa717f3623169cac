//! What a sample loses, and how its logits would lose less.

use crate::shard::Score;

/// A loss: one virtual call per sample. The weight of a sample in the batch's mean is applied by the caller.
pub trait Loss: std::fmt::Debug + Send + Sync {
    /// Scores a sample of class `label` by its `logits`, of which there is one for each class, and replaces
    /// them by the gradient of its loss with respect to them.
    fn judge(&self, logits: &mut [f64], label: usize) -> Score;
}

/// Cross-entropy of the softmax, in nats.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn judge(&self, logits: &mut [f64], label: usize) -> Score {
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let best = logits.iter().position(|logit| *logit == greatest);
        let distance = logits[label] - greatest;
        logits.iter_mut().for_each(|logit| *logit = (*logit - greatest).exp());
        let sum: f64 = logits.iter().sum();
        logits.iter_mut().for_each(|error| *error /= sum);
        logits[label] -= 1.0;
        Score {
            loss: (sum.ln() - distance) as f32,
            // A network whose numbers have gone astray is right about nothing.
            correct: best.filter(|_| sum.is_finite()) == Some(label),
            error_norm: logits.iter().map(|error| error * error).sum::<f64>().sqrt() as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_lose_the_logarithm_of_their_number_and_the_first_wins() {
        let mut errors = [2.0; 4];
        let score = CrossEntropy.judge(&mut errors, 1);
        assert!((score.loss - 4f32.ln()).abs() < 1e-6);
        assert_eq!(errors, [0.25, -0.75, 0.25, 0.25]);
        assert!((score.error_norm - 0.75f32.sqrt()).abs() < 1e-6);
        assert!(!score.correct);
        assert!(CrossEntropy.judge(&mut [2.0; 4], 0).correct);
    }

    #[test]
    fn great_logits_stay_finite_and_nan_does_not() {
        let score = CrossEntropy.judge(&mut [1000.0, -1000.0], 1);
        assert_eq!((score.loss, score.correct), (2000.0, false));
        let score = CrossEntropy.judge(&mut [f64::NAN, 0.0], 1);
        assert!(score.loss.is_nan() && !score.correct);
    }
}
