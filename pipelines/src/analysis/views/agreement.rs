//! How far runs agree: what of weights, samples and layers so many of them have in common.

use differential_dataflow::operators::CountTotal;
use spfde_data::Value;

use super::View;

/// What runs decide about.
const THINGS: [&str; 3] = ["weights that exist", "samples held out", "layers frozen"];

/// Of what no run has there is no row: the share on which all agree is the number of all runs over the sum.
pub(super) const VIEW: View = View {
    name: "agreement",
    summary: "weights that exist, samples held out and layers frozen in so many of the runs",
    keys: &["what", "runs"],
    number: "count",
    compares: true,
    labelled: false,
    build: |streams, _| {
        let by_run = streams.runs().map(|run| {
            let weights = run.weights().map(|(layer, index)| (0, u32::from(layer), index));
            let samples = run.held_out().map(|sample| (1, 0, sample));
            weights.concat(samples).concat(run.frozen().map(|layer| (2, u32::from(layer), 0)))
        });
        let all = by_run.reduce(|all, run| all.concat(run)).expect("there is a run");
        let by_thing = all.count_total().map(|((what, ..), runs)| [what, runs as u32]);
        by_thing.count_total().map(|(key, count)| (key, count as u64))
    },
    shown: |_, place, key| match THINGS.get(key as usize).filter(|_| place == 0) {
        Some(thing) => Value::Text((*thing).to_owned()),
        None => Value::Integer(key.into()),
    },
};
