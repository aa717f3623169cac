//! `lottery`: iterative magnitude pruning with rewinding (the lottery ticket hypothesis,
//! [arXiv 1803.03635](https://arxiv.org/abs/1803.03635), section 2; rewinding to an early epoch,
//! [arXiv 1912.05671](https://arxiv.org/abs/1912.05671), section 3).
//!
//! A run has `mask.rounds` + 1 phases of equal length; the last one has the epochs that are left. The first
//! trains dense. Each of the others begins with an update: every layer drops its least weights down to the
//! density d^(p / rounds), p from 1. All that remains of the network goes back to what it was at the start of
//! epoch `mask.rewind`, without momentum; at the latest that is the last epoch of the first phase. So each
//! phase is a training of its own, whose learning
//! rate follows the run's schedule from that epoch on. The last has the target density d.
//!
//! The papers train each phase for as long as a whole run; `train.epochs` is that of all phases together. A
//! run of fewer epochs than phases has fewer rounds; one of a single epoch begins at the target. What is
//! frozen is not rewound. A layer is pruned to its target at its last update before it freezes; without one
//! it begins with a random mask of that density.
//!
//! ```
//! use spfde_policy::mask::{self, Lottery, MaskContext};
//! use spfde_policy::{Spans, example};
//! let context = MaskContext { seed: 1, epochs: 9, architecture: example::perceptron(&[100, 100, 10]) };
//! let policy = mask::policy(Lottery { rounds: 2, ..Lottery::default() }, &context)?;
//! let nonzero: Vec<u32> = [0, 2, 3, 5, 6, 8].map(|epoch| policy.nonzero(0, epoch, &Spans::never())).into();
//! assert_eq!(nonzero, [10_000, 10_000, 3_162, 3_162, 1_000, 1_000]);
//! // The third phase is a training from epoch 1 to 4: its second epoch is epoch 2 of that.
//! assert_eq!((policy.rewind(), policy.phase(7, 9)), (Some(1), (2, 4)));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::axes::{axes, mask_parameters};
use super::selection::{magnitudes, prune};
use super::{MaskDelta, MaskRule, MaskUpdate, Moment, Schedule};

mask_parameters! {
    /// Iterative magnitude pruning with rewinding.
    pub struct Lottery: layers {
        /// prunings, each after a phase of its own
        pub rounds: u32 = 5, 1..=1000;
        /// epoch of the first phase to whose start the network goes back; at most its last
        pub rewind: u32 = 1, ..;
    }
}

impl Lottery {
    /// How often a run of so many epochs is pruned, and the epochs between.
    fn rounds(&self, epochs: u32) -> (u32, u32) {
        let rounds = self.rounds.min(epochs.saturating_sub(1));
        (rounds, epochs / (rounds + 1))
    }
}

impl MaskRule for Lottery {
    const NAME: &'static str = "lottery";
    const SUMMARY: &'static str = "prunes in rounds, each time going back to an early epoch";
    type State = ();

    axes!(layers);

    fn schedule(&self, epochs: u32) -> Schedule {
        let (rounds, phase) = self.rounds(epochs);
        // Half an epoch after the last pruning the updates are over.
        let until = (f64::from(rounds * phase) + 0.5) / f64::from(epochs);
        let interval = if rounds == 0 { 0 } else { phase };
        Schedule { until: until.min(1.0), closed: true, ..Schedule::every(interval, epochs) }
    }

    fn rewind(&self, epochs: u32) -> Option<u32> {
        let (rounds, phase) = self.rounds(epochs);
        (rounds > 0).then(|| self.rewind.min(phase - 1))
    }

    fn count(&self, moment: &Moment) -> u32 {
        let (rounds, phase) = self.rounds(moment.epochs);
        if moment.last {
            return moment.target();
        }
        moment.at(moment.density.powf(f64::from(moment.epoch / phase) / f64::from(rounds)))
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        prune(update, magnitudes(update), self.count(&update.moment))
    }
}
