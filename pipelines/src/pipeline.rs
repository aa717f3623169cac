//! The ready pipeline: training with masks, freezing and sieving, as one cyclic graph.

use spfde_flow::{Run, freeze, load, mask, sieve, train};

/// Wires the ready pipeline. Which policies decide is the configuration's; a pipeline of your own starts from a copy
/// of these lines.
pub fn pipeline(run: &Run<'_>) {
    let loops = run.loops();
    let batches = load(run, loops.active.stream());
    let trained = train(run, batches, loops.frozen.stream(), loops.masked.stream());
    let frozen_now = freeze(run, &trained.gradients, loops.masked.stream());
    let masks = mask(run, &trained.weights, &frozen_now);
    let sieved = sieve(run, &trained.scores, loops.active.stream());
    loops.masked.close(masks);
    loops.frozen.close(frozen_now);
    loops.active.close(sieved);
    run.trace(&trained);
}
