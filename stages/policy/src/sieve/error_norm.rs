//! `error-norm`: the samples with the smallest errors are out (EL2N, Paul et al., [arXiv
//! 2107.07075](https://arxiv.org/abs/2107.07075)).
//!
//! A sample's value is the L2 norm of softmax − one-hot at its latest training presentation; one that is out
//! keeps its own, also in the replay of a run that went on to train it. At every decision the
//! `sieve.fraction` of all samples with the lowest values is out. A sample without a value so far ranks last.
//! Ties break by a draw that is the same in the whole run. The paper averages over several networks and
//! removes once, after 10 to 20 epochs: `sieve.warmup=10 sieve.interval=1000` of one network.
//!
//! ```
//! use spfde_policy::sieve::{self, Cut, ErrorNorm, SieveContext};
//! let rule = ErrorNorm { warmup: 10, interval: 1000, ..ErrorNorm::default() };
//! let error_norm = sieve::policy(rule, &SieveContext { seed: 1, epochs: 90, samples: 200 })?;
//! assert_eq!((1..90).filter(|epoch| error_norm.decides(*epoch)).collect::<Vec<u32>>(), [10]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::rows::ScoreRow;

use super::SieveRule;
use super::shared::{shared, sieve_parameters};

sieve_parameters! {
    /// The samples with the smallest errors are out.
    pub struct ErrorNorm: fraction(0.15), interval(2, 1..), warmup(0), until(1.0) {}
}

spfde_data::state! {
    /// The norm of a sample's latest error.
    #[derive(Copy)]
    pub struct LatestError { error_norm: f32 = f32::INFINITY, }
}

impl SieveRule for ErrorNorm {
    const NAME: &'static str = "error-norm";
    const SUMMARY: &'static str = "the samples with the smallest errors are out (EL2N)";
    const READS_ERROR_NORMS: bool = true;
    const BY_KEY: bool = true;
    type State = LatestError;

    shared!();

    #[inline]
    fn observe(&self, state: &mut LatestError, score: &ScoreRow) {
        if score.trained {
            state.error_norm = score.error_norm;
        }
    }

    #[inline]
    fn key(&self, state: &LatestError) -> u32 {
        // Norms are not negative, so their bits are in their order.
        state.error_norm.abs().to_bits()
    }
}
