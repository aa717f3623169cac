//! `autofreeze`: the blocks in front freeze whose gradient changed less than that of others (AutoFreeze,
//! [arXiv 2102.01386](https://arxiv.org/abs/2102.01386), section 4).
//!
//! In each interval the gradient of every block is accumulated; its measure is the L1 norm of the sum. At the
//! end the change from the interval before, relative to that, is compared with a percentile of the changes of
//! all blocks that train. Blocks freeze in front of the first one whose change reaches it. The test is
//! relative: it freezes something in nearly every interval from the second on, converged or not. A percentile
//! of 0 freezes nothing here; the authors' program then begins anew from the front.
//!
//! The record has the norm of each epoch's sum (`layers.gradient_sum_l1`): with an interval of several epochs
//! their norms are added.
//!
//! ```
//! use spfde_policy::freeze::{self, AutoFreeze, FreezeContext};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let policy = freeze::policy(AutoFreeze { interval: 3, ..AutoFreeze::default() }, &context)?;
//! assert!(policy.reads_layers() && policy.may_freeze(3) && !policy.may_freeze(4));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::LayerRow;

use super::{Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// The blocks in front freeze whose gradient changed less than that of others.
    pub struct AutoFreeze in "freeze" {
        /// epochs over which a gradient is accumulated
        pub interval: u32 = 1, 1..;
        /// percentile of the changes of all blocks below which a change is small
        pub percentile: f64 = 50.0, 0.0..=100.0;
    }
}

spfde_data::state! {
    /// The gradient of a block.
    pub struct Accumulated {
        /// The norm in the interval before.
        previous: Option<f64> = None,
        /// The norm in this one, so far.
        norm: f64 = 0.0,
        /// Rows of layers in this one, so far.
        rows: u32 = 0,
    }
}

impl Accumulated {
    /// Ends an interval: the relative change; infinite if there is nothing to compare.
    fn close(&mut self) -> f64 {
        let now = (self.rows > 0).then_some(self.norm);
        let change = match (self.previous, now) {
            (Some(0.0), Some(0.0)) => 0.0,
            (Some(before), Some(now)) if now.is_finite() => (before - now).abs() / before,
            _ => f64::INFINITY,
        };
        *self = Self { previous: now, ..Self::default() };
        change
    }
}

/// The percentile of `values`, linear between neighbours.
fn percentile(values: &[f64], percentile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = percentile / 100.0 * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // An infinite one has no place between it and another.
    if low == high { low } else { low + (high - low) * place.fract() }
}

impl FreezeRule for AutoFreeze {
    const NAME: &'static str = "autofreeze";
    const SUMMARY: &'static str = "freezes blocks in front whose gradient changed less than that of others";
    type State = Accumulated;

    fn reads_layers(&self) -> bool {
        true
    }

    fn may_freeze(&self, _: &FreezeContext, epoch: u32) -> bool {
        epoch.is_multiple_of(self.interval)
    }

    fn observe_layer(&self, block: &mut Accumulated, row: &LayerRow) {
        block.norm += row.gradient_sum_l1;
        block.rows += 1;
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, Accumulated>, epoch: u32) -> Vec<Change> {
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let changes: Vec<f64> = judged.states.iter_mut().map(Accumulated::close).collect();
        let first = judged.prefix(epoch);
        let changes = &changes[first..];
        if changes.is_empty() {
            return Vec::new();
        }
        let threshold = percentile(changes, self.percentile);
        let (window, left) = (epoch / self.interval - 1, judged.budget_left(1.0));
        for (block, change) in (first..).zip(changes) {
            judged.judge(epoch, block, [*change, threshold], window, left);
        }
        // The greatest change reaches every percentile.
        let small = changes.iter().take_while(|change| **change < threshold);
        let freeze = |(block, change)| {
            let reason = format!("the gradient changed by {change:.4}, less than {threshold:.4}");
            Change { block, frozen: true, reason }
        };
        (first..).zip(small).map(freeze).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_lie_between_neighbours() {
        // As numpy.percentile has them.
        let values = [4.0, 1.0, 3.0, 2.0];
        for (at, expected) in [(0.0, 1.0), (25.0, 1.75), (50.0, 2.5), (90.0, 3.7), (100.0, 4.0)] {
            assert!((percentile(&values, at) - expected).abs() < 1e-15, "{at}");
        }
        assert_eq!(percentile(&[f64::INFINITY; 3], 50.0), f64::INFINITY);
        assert_eq!(percentile(&[2.0], 70.0), 2.0);
    }
}
