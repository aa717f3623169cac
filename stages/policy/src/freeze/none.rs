//! `none`: every block trains to the end.
//!
//! ```
//! use spfde_policy::freeze::{self, FreezeContext, Never};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! assert_eq!(freeze::policy(Never {}, &context)?.name(), "none");
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use super::{Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// Every block trains to the end.
    pub struct Never in "freeze" {}
}

impl FreezeRule for Never {
    const NAME: &'static str = "none";
    const SUMMARY: &'static str = "every block trains to the end";
    type State = ();

    fn may_freeze(&self, _: &FreezeContext, _: u32) -> bool {
        false
    }

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, _: u32) -> Vec<Change> {
        Vec::new()
    }
}
