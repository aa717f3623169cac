//! `cka`: a block freezes once what its layers put out stays alike from window to window.
//!
//! The measure of a layer is linear CKA ([Kornblith et al. 2019](https://arxiv.org/abs/1905.00414)) between
//! what it puts out for a fixed probe now and at the end of the window before. Windows are as long as the
//! interval between mask updates, so that all are compared at equal phases. SimFreeze ([arXiv
//! 2401.16694](https://arxiv.org/abs/2401.16694)) freezes by CKA, too: there with the model before
//! fine-tuning, and by how little that changes. A run that trains from scratch has no such model.
//!
//! A block is as far as the least alike of its layers: the last one alone may be a shortcut, which sees none
//! of the others. Blocks freeze front to back.
//!
//! ```
//! use spfde_policy::freeze::{self, Cka, FreezeContext};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let policy = freeze::policy(Cka { patience: 3, ..Cka::default() }, &context)?;
//! assert!(policy.reads_similarity() && policy.may_freeze(4) && !policy.may_freeze(5));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{SimilarityRow, counted};

use super::{Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// A block freezes once what its layers put out stays alike.
    pub struct Cka in "freeze" {
        /// CKA with the window before from which on a layer counts as alike
        pub similarity: f64 = 0.99, 0.0..=1.0;
        /// windows in a row in which all its layers are alike before a block freezes
        pub patience: u32 = 2, 1..=1_000_000;
    }
}

spfde_data::state! {
    /// How alike a block is.
    pub struct Alike {
        /// The least CKA of its layers in this epoch, so far.
        least: Option<f64> = None,
        /// How many windows in a row it has been alike.
        settled: u32 = 0,
    }
}

impl FreezeRule for Cka {
    const NAME: &'static str = "cka";
    const SUMMARY: &'static str = "freezes a block once what its layers put out stays alike";
    type State = Alike;

    fn may_freeze(&self, run: &FreezeContext, epoch: u32) -> bool {
        run.begins_window(epoch)
    }

    /// The first window is compared with none.
    fn earliest(&self, run: &FreezeContext) -> u32 {
        self.patience.saturating_add(1).saturating_mul(run.mask_interval)
    }

    fn reads_similarity(&self) -> bool {
        true
    }

    fn observe_similarity(&self, block: &mut Alike, row: &SimilarityRow) {
        // Outputs that cannot be compared are like nothing.
        let measure = if row.measure.is_finite() { row.measure } else { 0.0 };
        block.least = Some(block.least.map_or(measure, |least| least.min(measure)));
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, Alike>, epoch: u32) -> Vec<Change> {
        // What was seen within a window counts for nothing.
        let seen: Vec<Option<f64>> = judged.states.iter_mut().map(|block| block.least.take()).collect();
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let (first, window) = (judged.prefix(epoch), epoch / run.mask_interval - 1);
        let left = judged.budget_left(1.0);
        for (block, least) in seen.iter().enumerate().skip(first) {
            let settled = &mut judged.states[block].settled;
            let is_alike = least.is_some_and(|least| least >= self.similarity);
            *settled = if is_alike { settled.saturating_add(1) } else { 0 };
            if let Some(least) = least {
                judged.judge(epoch, block, [*least, self.similarity], window, left);
            }
        }
        let has_settled = |block: &usize| judged.states[*block].settled >= self.patience;
        let freeze = |block: usize| {
            let (count, least) = (judged.states[block].settled, seen[block].unwrap_or(1.0));
            let reason = format!(
                "all layers alike in {} in a row, last CKA {least:.4}, at least {}",
                counted(count, "window"),
                self.similarity
            );
            Change { block, frozen: true, reason }
        };
        (first..seen.len()).take_while(has_settled).map(freeze).collect()
    }
}
