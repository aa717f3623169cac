//! Of which classes the samples are that the sieve holds out.

use std::sync::Arc;

use differential_dataflow::operators::CountTotal;
use spfde_data::Value;

use super::View;

/// Needs the data set of the first run: no table of a trace has labels.
pub(super) const VIEW: View = View {
    name: "class-mix",
    summary: "samples that the sieve holds out, class by class",
    keys: &["run", "class"],
    number: "samples",
    compares: true,
    labelled: true,
    build: |streams, labels| {
        let by_run = streams.runs().zip(0..).map(|(run, number)| {
            let labels = Arc::clone(labels);
            let class = move |sample| Some([number, u32::from(labels.of_sample(sample)?)]);
            run.held_out().flat_map(class)
        });
        let all = by_run.reduce(|all, run| all.concat(run)).expect("there is a run");
        all.count_total().map(|(class, samples)| (class, samples as u64))
    },
    shown: |names, place, key| match place {
        0 => names.run(key),
        _ => Value::Text(names.labels.name(u16::try_from(key).unwrap_or(u16::MAX))),
    },
};
