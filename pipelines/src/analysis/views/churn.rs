//! How much masks change: weights that begin or cease to exist, layer by layer.

use differential_dataflow::operators::CountTotal;
use spfde_data::{MaskRow, Value};

use super::View;

/// The weights with which a run begins are no change.
pub(super) const VIEW: View = View {
    name: "churn",
    summary: "weights that began or ceased to exist since the run began, layer by layer",
    keys: &["run", "layer"],
    number: "changes",
    compares: false,
    labelled: false,
    build: |streams, _| {
        let by_run = streams.runs().zip(0..).map(|(run, number)| {
            run.deltas(move |row: MaskRow| {
                ((row.epoch, row.step) != (0, 0)).then_some(([number, u32::from(row.layer)], 1))
            })
        });
        let all = by_run.reduce(|all, run| all.concat(run)).expect("there is a run");
        all.count_total().map(|(layer, changes)| (layer, changes as u64))
    },
    shown: |names, place, key| if place == 0 { names.run(key) } else { Value::Integer(key.into()) },
};
