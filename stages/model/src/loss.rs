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
        // A network whose numbers have gone astray is right about nothing.
        let class = best.filter(|_| sum.is_finite());
        Score {
            loss: (sum.ln() - distance) as f32,
            correct: class == Some(label),
            class: class.map(|class| class as u16),
            error_norm: logits.iter().map(|error| error * error).sum::<f64>().sqrt() as f32,
        }
    }
}

/// Cross-entropy against smoothed labels (Szegedy et al. 2015, [arXiv
/// 1512.00567](https://arxiv.org/abs/1512.00567), section 7): 1 − `smoothing` for the class, plus `smoothing`
/// shared by all classes. It changes gradients only. Scores, and so sieves, the trace and evaluations, have
/// the cross-entropy against the class itself.
#[derive(Clone, Copy, Debug)]
pub struct SmoothedCrossEntropy {
    /// The share that all classes share, from 0 to below 1.
    pub smoothing: f64,
}

impl Loss for SmoothedCrossEntropy {
    fn judge(&self, logits: &mut [f64], label: usize) -> Score {
        let score = CrossEntropy.judge(logits, label);
        let shared = self.smoothing / logits.len() as f64;
        logits.iter_mut().for_each(|error| *error -= shared);
        logits[label] += self.smoothing;
        score
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
    fn smoothed_labels_change_the_gradient_to_that_of_their_own_loss() {
        let (logits, label, smoothing) = ([0.3, -1.2, 2.0, 0.7], 1, 0.1);
        let smoothed = |logits: &[f64; 4]| -> f64 {
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let own = |class: usize| sum.ln() - logits[class];
            let all: f64 = (0..4).map(own).sum();
            (1.0 - smoothing) * own(label) + smoothing / 4.0 * all
        };
        let mut gradient = logits;
        let score = SmoothedCrossEntropy { smoothing }.judge(&mut gradient, label);
        assert_eq!(score, CrossEntropy.judge(&mut { logits }, label));
        for class in 0..4 {
            let moved = |by: f64| {
                let mut moved = logits;
                moved[class] += by;
                smoothed(&moved)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((difference - gradient[class]).abs() < 1e-9, "{class}: {difference}");
        }
    }

    #[test]
    fn great_logits_stay_finite_and_nan_does_not() {
        let score = CrossEntropy.judge(&mut [1000.0, -1000.0], 1);
        assert_eq!((score.loss, score.correct), (2000.0, false));
        let score = CrossEntropy.judge(&mut [f64::NAN, 0.0], 1);
        assert!(score.loss.is_nan() && !score.correct);
    }
}
