//! Who is active in a replay, what its decisions cost, counted as training counts, and what the record lacks.

use std::sync::Arc;

use spfde_data::{EpochRow, GradientRow, LayerRow, ScoreRow, SieveRow, TimingRow};

use crate::account::{Layers, Norms};
use crate::freeze::needs_unfrozen;
use crate::sieve::{ActiveSet, Change, MemberRow, Scored, share};
use crate::{Cause, Fault, Flow, Loops, Run, Tick};

/// What a worker says of its samples in every epoch, at its close, and its clock.
pub(super) fn members<'s>(
    run: &Run<'s>,
    scores: &Flow<'s, ScoreRow>,
    active: Flow<'s, SieveRow>,
) -> (Flow<'s, MemberRow>, Flow<'s, TimingRow>) {
    let (share, worker, timings) = (share(run), run.worker(), run.timings().clone());
    let mut window = run.window("Members");
    let scores = window.exchanged(scores.clone(), move |row: &ScoreRow| u64::from(share.owner(row.sample)));
    let active = window.exchanged(active, move |row: &SieveRow| u64::from(share.owner(row.sample)));
    let (mut counts_out, counts) = window.output();
    let (mut timings_out, times) = window.output();
    let mut set = ActiveSet::new(vec![false; share.len() as usize], false);
    let mut scored = Scored::new(share.len());
    window.build_by_tick(move |moment| {
        while let Some((_, rows)) = scores.next(moment.epoch) {
            rows.iter().for_each(|row| scored.mark(share.index(row.sample)));
        }
        if moment.is_complete {
            let changes = Change::of_rows(active.through(moment.epoch), share);
            changes.iter().for_each(|change| set.apply(change, moment.epoch));
            counts_out.give(moment, [set.close((moment.epoch, 0), &scored, &[])]);
            scored.clear();
            timings_out.give(moment, timings.take(moment.epoch, worker));
        }
    });
    (counts, times)
}

/// Counts every epoch on worker 0, once all workers have counted their samples of it and all deltas that take
/// effect in it have come round the loops: a row for every epoch, and the tables `costs` and `censored`. An
/// epoch that could not be read whole has no rows.
pub(super) fn costs<'s>(
    run: &Run<'s>,
    counts: Flow<'s, MemberRow>,
    loops: &Loops<'s>,
    gradients: &Flow<'s, GradientRow>,
    layers: &Flow<'s, LayerRow>,
) -> Flow<'s, EpochRow> {
    let densities = run.recorded().expect("the run has a record").densities;
    let (worker, settings) = (run.worker(), Arc::clone(run.settings()));
    let mut window = run.window("Costs");
    let counts = window.on_first(counts);
    let frozen = window.on_first(loops.frozen.stream());
    let masked = window.on_first(loops.masked.stream());
    let gradients = window.on_first(gradients.clone());
    let needs_unfrozen = needs_unfrozen(&*settings.policies.freeze);
    let ends = needs_unfrozen.then(|| window.on_first(layers.clone()));
    let unread = window.on_first(run.storage_written());
    let (mut epochs_out, epochs) = window.output();
    let (mut costs_out, costs) = window.output();
    let (mut censored_out, censored) = window.output();
    let (mut faults_out, faults) = window.output();
    let mut layers = Layers::new(&settings.plan, densities);
    let mut failed = false;
    window.build(move |close| {
        let epoch = close.epoch;
        masked.through(epoch).iter().for_each(|row| layers.mask(row.layer, i64::from(row.diff)));
        frozen.through(epoch).iter().for_each(|row| layers.freeze(row));
        let mut count = MemberRow::default();
        counts.through(epoch).iter().for_each(|row| count.add(row));
        let ends = ends.as_ref().map_or_else(Vec::new, |ends| ends.through(epoch));
        let norms = Norms::of(&gradients.through(epoch), &ends);
        failed |= !unread.through(epoch).is_empty();
        if worker != 0 || failed {
            return;
        }
        match layers.account(epoch) {
            Ok(account) => {
                epochs_out.give(close, [account.epoch(&settings, count.active)]);
                costs_out.give(close, account.by_layer(count.active));
                censored_out.give(close, [account.censored(count.unscored, &norms, needs_unfrozen)]);
            }
            Err(reason) => {
                failed = true;
                let (tick, stage) = (Tick::close_of(epoch), "costs".to_owned());
                faults_out.give(close, [Fault { tick, worker: 0, stage, cause: Cause::Recording(reason) }]);
            }
        }
    });
    run.halt_on_storage(faults);
    run.table(costs);
    run.table(censored.clone());
    run.show_censored(censored);
    epochs
}
