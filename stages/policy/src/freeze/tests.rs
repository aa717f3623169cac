//! `progressive` against a brute-force search with a cost function of its own; `gradient-norm` by hand; rules
//! that thaw.

mod gradient_norm;
mod progressive;
mod thawing;

use std::sync::Arc;

use spfde_data::parameter::Parameters;

use super::*;
use crate::{MaskContext, Registry, SieveContext, example, sieve};

fn plan<R: FreezeRule>(mask: &str, mask_interval: u32, rule: R) -> (Plan, Arc<dyn FreezePolicy>) {
    plan_of(mask, mask_interval, |context| policy(rule, context).unwrap())
}

/// The plan of twelve epochs of a perceptron with two blocks and three equal layers.
fn plan_of(
    mask: &str,
    mask_interval: u32,
    build: impl FnOnce(&FreezeContext) -> Arc<dyn FreezePolicy>,
) -> (Plan, Arc<dyn FreezePolicy>) {
    let (seed, epochs, samples) = (1, 12, 100);
    let architecture = example::perceptron(&[10, 10, 10, 10]);
    let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
    let masks = Registry::default().mask.build(mask, &Parameters::default(), &context).unwrap();
    let sieves = sieve::policy(sieve::All {}, &SieveContext { seed, epochs, samples }).unwrap();
    let context = FreezeContext {
        epochs,
        architecture: Arc::clone(&architecture),
        mask_interval,
        reduction_required: true,
    };
    let freezes = build(&context);
    (Plan::new(architecture, epochs, samples, &masks, &*freezes, &*sieves).unwrap(), freezes)
}
