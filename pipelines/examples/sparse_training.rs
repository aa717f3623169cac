//! The ready pipeline, written out: training with masks, freezing and sieving as one cyclic graph.
//!
//! `cargo run --release --example sparse_training -- train mask.sparsity=0.95 train.epochs=2`
//!
//! It takes the same words as `spfde`. Start a pipeline of your own from a copy.

use spfde::prelude::*;

fn main() -> std::process::ExitCode {
    spfde::app().pipeline(wire).main()
}

fn wire<'s>(run: &Run<'s>) -> Trained<'s> {
    // Feedback edges: a decision at the end of an epoch takes effect at the first step of the next.
    let loops = run.loops();
    let policies = run.policies();

    // The active samples, dealt into batches; gradients, their sum, the update. Of a replay, the record.
    let trained = if run.replays() {
        replay(run, &loops)
    } else {
        let batches = load(run, loops.active.stream());
        train(run, batches, loops.frozen.stream(), loops.masked.stream())
    };

    // Three decisions: what freezes, which weights exist (it sees what freezes now), which samples train.
    let frozen_now = freeze(run, &trained.gradients, &trained.layers, &trained.similarity, &policies.freeze);
    let masks = mask(run, &trained.weights, &frozen_now, &policies.mask);
    let sieved = sieve(run, &trained.scores, loops.active.stream(), &policies.sieve);

    loops.masked.close(masks);
    loops.frozen.close(frozen_now);
    loops.active.close(sieved);

    // Every stream becomes a table.
    run.trace(&trained);
    trained
}
