//! The ready pipeline: training, or its record, with masks, freezing and sieving, as one cyclic graph.

use spfde_flow::{Run, Trained, freeze, load, mask, replay, sieve, train};

/// What wires a graph, once on each worker.
pub trait Build: Fn(&Run<'_>) + Send + Sync + 'static {}

impl<F: Fn(&Run<'_>) + Send + Sync + 'static> Build for F {}

/// Wires the ready pipeline, and answers what training produces, or its record in a replay. The configuration
/// chooses the policies. A stage more takes these streams; another wiring starts from a copy of these lines.
pub fn pipeline<'s>(run: &Run<'s>) -> Trained<'s> {
    let loops = run.loops();
    let trained = if run.replays() {
        replay(run, &loops)
    } else {
        let batches = load(run, loops.active.stream());
        train(run, batches, loops.frozen.stream(), loops.masked.stream())
    };
    let policies = run.policies();
    let frozen_now = freeze(run, &trained.gradients, &trained.layers, &trained.similarity, &policies.freeze);
    let masks = mask(run, &trained.weights, &frozen_now, &policies.mask);
    let sieved = sieve(run, &trained.scores, loops.active.stream(), &policies.sieve);
    loops.masked.close(masks);
    loops.frozen.close(frozen_now);
    loops.active.close(sieved);
    run.trace(&trained);
    let patience = run.settings().patience;
    if patience > 0 && !run.replays() {
        run.end_on(spfde_flow::patience(run, trained.epochs.clone(), patience));
    }
    trained
}

/// Wires the ready [`pipeline`], and nothing more.
pub fn wire(run: &Run<'_>) {
    pipeline(run);
}
