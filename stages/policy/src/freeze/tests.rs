//! Schedules against brute-force searches with cost functions of their own; rules by gradients by hand and
//! against literal references, and those by similarity; rules that thaw.

mod grades;
mod gradient_norm;
mod guards;
mod norms;
mod progressive;
mod schedules;
mod similarity;
mod thawing;

use std::sync::Arc;

use spfde_data::parameter::Parameters;

use super::*;
use crate::{MaskContext, Registry, SieveContext, example, sieve};

/// The plan of twelve epochs of a perceptron with two blocks and three equal layers.
fn plan<R: FreezeRule>(mask: &str, mask_interval: u32, rule: R) -> (Plan, Arc<dyn FreezePolicy>) {
    plan_with(&[10, 10, 10, 10], mask, mask_interval, |context| policy(rule, context).unwrap())
}

/// The plan of twelve epochs of a perceptron of these sizes.
fn plan_with(
    sizes: &[usize],
    mask: &str,
    mask_interval: u32,
    build: impl FnOnce(&FreezeContext) -> Arc<dyn FreezePolicy>,
) -> (Plan, Arc<dyn FreezePolicy>) {
    plan_of(example::perceptron(sizes), mask, mask_interval, build)
}

/// The plan of twelve epochs of a network.
fn plan_of(
    architecture: Arc<Architecture>,
    mask: &str,
    mask_interval: u32,
    build: impl FnOnce(&FreezeContext) -> Arc<dyn FreezePolicy>,
) -> (Plan, Arc<dyn FreezePolicy>) {
    let (seed, epochs, samples) = (1, 12, 100);
    let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
    let masks = Registry::default().mask.build(mask, &Parameters::default(), &context).unwrap();
    let sieves = sieve::policy(sieve::All {}, &SieveContext { seed, epochs, samples }).unwrap();
    let context = FreezeContext {
        mask_interval,
        reduction_required: true,
        ..FreezeContext::new(epochs, Arc::clone(&architecture))
    };
    let freezes = build(&context);
    (Plan::new(architecture, epochs, samples, &masks, &*freezes, &*sieves).unwrap(), freezes)
}
