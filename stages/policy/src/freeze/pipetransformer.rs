//! `pipetransformer`: the blocks in front of the one with the least gradient freeze, but at most a share of
//! those that train (PipeTransformer, [arXiv 2102.03161](https://arxiv.org/abs/2102.03161), section 3.1).
//!
//! With L blocks of which F are frozen, `min(F + α · (L − F), argmin ‖g‖)` are frozen next, from the second
//! epoch on. The first term, rounded down, bounds what freezes at a time; the second is the place, among the
//! blocks that train, of the least L2 norm of the gradient accumulated over the interval. The record has the
//! norm of each epoch's sum (`layers.gradient_sum_l2`): with an interval of several epochs their squares are
//! added.
//!
//! ```
//! use spfde_policy::freeze::{self, FreezeContext, PipeTransformer};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let policy = freeze::policy(PipeTransformer { share: 0.5, ..Default::default() }, &context)?;
//! assert!(policy.reads_layers() && policy.may_freeze(1));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::LayerRow;

use super::{Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// The blocks in front of the one with the least gradient freeze, at most a share at a time.
    pub struct PipeTransformer in "freeze" {
        /// epochs over which a gradient is accumulated
        pub interval: u32 = 1, 1..;
        /// share of the blocks that train which may freeze at a time, at most
        pub share: f64 = 1.0 / 3.0, 0.0..=1.0;
    }
}

spfde_data::state! {
    /// The gradient of a block in this interval, so far.
    pub struct Squares {
        /// Sum of squared norms.
        squares: f64 = 0.0,
        /// Rows of layers.
        rows: u32 = 0,
    }
}

impl Squares {
    /// Ends an interval: the norm; infinite if there is none.
    fn close(&mut self) -> f64 {
        let Self { squares, rows } = std::mem::take(self);
        if rows > 0 && !squares.is_nan() { squares.sqrt() } else { f64::INFINITY }
    }
}

impl FreezeRule for PipeTransformer {
    const NAME: &'static str = "pipetransformer";
    const SUMMARY: &'static str = "freezes what is in front of the least gradient, at most a share at a time";
    type State = Squares;

    fn reads_layers(&self) -> bool {
        true
    }

    fn may_freeze(&self, _: &FreezeContext, epoch: u32) -> bool {
        epoch.is_multiple_of(self.interval)
    }

    fn observe_layer(&self, block: &mut Squares, row: &LayerRow) {
        block.squares += row.gradient_sum_l2 * row.gradient_sum_l2;
        block.rows += 1;
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, Squares>, epoch: u32) -> Vec<Change> {
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let norms: Vec<f64> = judged.states.iter_mut().map(Squares::close).collect();
        let first = judged.prefix(epoch);
        let least = norms[first..].iter().copied().fold(f64::INFINITY, f64::min);
        if least == f64::INFINITY {
            return Vec::new();
        }
        let (window, left) = (epoch / self.interval - 1, judged.budget_left(1.0));
        for (block, norm) in norms.iter().enumerate().skip(first) {
            judged.judge(epoch, block, [*norm, least], window, left);
        }
        let bound = first + (self.share * (norms.len() - first) as f64) as usize;
        let before = (first..bound).take_while(|block| norms[*block] > least && norms[*block].is_finite());
        let freeze = |block| {
            let reason = format!("a block behind has the least gradient norm, {least:.4}");
            Change { block, frozen: true, reason }
        };
        before.map(freeze).collect()
    }
}
