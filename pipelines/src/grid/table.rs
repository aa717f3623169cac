//! What a grid found as tables: a row for each record, member and epoch, and one for each record and member.

use std::collections::BTreeSet;

use spfde_data::Value;
use spfde_data::files::table_file::Values;
use spfde_flow::grid::MemberCosts;

use super::{JudgedRun, Member};

/// A number of a member in an epoch: its name, whether only recorded runs have it, and the number.
type Number = (&'static str, bool, fn(&MemberCosts) -> u64);

/// The numbers of a member in an epoch.
pub(crate) const NUMBERS: [Number; 15] = [
    ("epoch", false, |costs| costs.epoch.epoch.into()),
    ("active_samples", false, |costs| costs.epoch.active_samples.into()),
    ("entered", false, |costs| costs.entered.into()),
    ("left", false, |costs| costs.left.into()),
    ("nonzero", true, |costs| costs.epoch.nonzero),
    ("frozen_layers", true, |costs| costs.epoch.frozen_layers.into()),
    ("forward_flops", true, |costs| costs.epoch.forward_flops),
    ("backward_flops", true, |costs| costs.epoch.backward_flops),
    ("observed_flops", true, |costs| costs.epoch.observed_flops),
    ("dense_flops", true, |costs| costs.epoch.dense_flops),
    ("samples_as_recorded", true, |costs| costs.samples_as_recorded.into()),
    ("layers_as_recorded", true, |costs| costs.layers_as_recorded.into()),
    ("censored_samples", false, |costs| costs.censored.samples.into()),
    ("censored_layers", true, |costs| costs.censored.layers.into()),
    ("censored_norms", true, |costs| costs.censored.norms),
];

/// The columns of `grid.parquet`. What is as recorded is a share there.
pub(super) fn columns(runs: &[JudgedRun]) -> Vec<(String, Values)> {
    type Place<'a> = (&'a JudgedRun, &'a MemberCosts);
    let rows = runs.iter().flat_map(|run| run.found.costs.iter().map(move |costs| (run, costs)));
    let rows: Vec<Place<'_>> = rows.collect();
    let column = |name: &str, value: &dyn Fn(&Place<'_>) -> Option<Value>| {
        (name.to_owned(), narrowest(&rows.iter().map(value).collect::<Vec<_>>()))
    };
    let of_runs = runs.iter().any(JudgedRun::is_run);
    let mut columns = Vec::new();
    if of_runs {
        columns.push(column("run", &|(run, _)| Some(Value::Text(run.name.clone()))));
    }
    columns.push(column("member", &|(_, costs)| Some(Value::Integer(costs.member.into()))));
    for key in keys(runs.iter().flat_map(|run| &run.members)) {
        let of = |run: &JudgedRun, member: u32| run.members[member as usize].parameters.get(&key).cloned();
        columns.push(column(&key, &|(run, costs)| of(run, costs.member)));
    }
    for (name, _, number) in NUMBERS.iter().filter(|(_, only_of_runs, _)| of_runs || !only_of_runs) {
        columns.push(column(name, &|(run, costs)| {
            let number = number(costs);
            Some(match *name {
                "samples_as_recorded" => Value::Number(number as f64 / f64::from(run.samples)),
                "layers_as_recorded" => Value::Number(number as f64 / f64::from(run.layers)),
                _ => Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)),
            })
        }));
    }
    columns
}

/// The keys that any of some members uses.
pub(crate) fn keys<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<String> {
    let keys: BTreeSet<&String> = members.into_iter().flat_map(|member| member.parameters.keys()).collect();
    keys.into_iter().cloned().collect()
}

/// A column of the narrowest type that has all values.
pub(crate) fn narrowest(values: &[Option<Value>]) -> Values {
    fn all<T>(values: &[Option<Value>], of: impl Fn(&Value) -> T) -> Vec<Option<T>> {
        values.iter().map(|value| value.as_ref().map(&of)).collect()
    }
    let has = |kind: fn(&Value) -> bool| values.iter().flatten().any(kind);
    if has(|value| matches!(value, Value::Text(_))) {
        return Values::Text(all(values, text));
    }
    if has(|value| matches!(value, Value::Number(_))) {
        return Values::Number(all(values, |value| match value {
            Value::Integer(value) => *value as f64,
            Value::Number(value) => *value,
            Value::Text(_) => f64::NAN,
        }));
    }
    Values::Integer(all(values, |value| if let Value::Integer(value) = value { *value } else { 0 }))
}

/// A value without quotes.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A member in one row, by one record; of bare scores the first numbers, the others are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Samples in the last active set.
    pub active_samples: f64,
    /// The same as a share of all samples.
    pub active_share: f64,
    /// Samples trained over all epochs that have scores.
    pub trained_samples: f64,
    /// Samples that entered or left over all decisions.
    pub changes: f64,
    /// Active samples without a score, over all epochs.
    pub censored_samples: f64,
    /// FLOPs of training, over all epochs.
    pub flops: f64,
    /// Those of dense training.
    pub dense_flops: f64,
    /// Layers frozen in the last epoch.
    pub frozen_layers: f64,
    /// Share of the samples that are in or out as they were recorded, over all epochs.
    pub samples_as_recorded: f64,
    /// Share of the layers that are frozen or not as they were recorded, over all epochs.
    pub layers_as_recorded: f64,
    /// Layers of which the record lacks something, over all epochs.
    pub censored_layers: f64,
    /// Norms that the record lacks, over all epochs.
    pub censored_norms: f64,
}

impl Summary {
    /// One for each member.
    pub fn of(run: &JudgedRun) -> Vec<Self> {
        let mut sums = vec![Self::default(); run.members.len()];
        for costs in &run.found.costs {
            let (sum, epoch) = (&mut sums[costs.member as usize], &costs.epoch);
            sum.active_samples = f64::from(epoch.active_samples);
            sum.active_share = sum.active_samples / f64::from(run.samples.max(1));
            if epoch.epoch < run.epochs {
                sum.trained_samples += f64::from(epoch.active_samples);
            }
            sum.changes += f64::from(costs.entered) + f64::from(costs.left);
            sum.censored_samples += f64::from(costs.censored.samples);
            sum.flops += (epoch.forward_flops + epoch.backward_flops) as f64;
            sum.dense_flops += epoch.dense_flops as f64;
            sum.frozen_layers = f64::from(epoch.frozen_layers);
            sum.samples_as_recorded += f64::from(costs.samples_as_recorded);
            sum.layers_as_recorded += f64::from(costs.layers_as_recorded);
            sum.censored_layers += f64::from(costs.censored.layers);
            sum.censored_norms += costs.censored.norms as f64;
        }
        let in_all = |count: u32| (f64::from(count) * f64::from(run.epochs)).max(1.0);
        for sum in &mut sums {
            sum.samples_as_recorded /= in_all(run.samples);
            sum.layers_as_recorded /= in_all(run.layers);
        }
        sums
    }

    /// For each member its number and what every run says of it, best first by the mean of a column; ties by
    /// member.
    pub fn sorted(runs: &[JudgedRun], by: Column) -> Vec<(usize, Vec<Self>)> {
        let by_run: Vec<Vec<Self>> = runs.iter().map(Self::of).collect();
        let members = by_run.first().map_or(0, Vec::len);
        let of_member = |member: usize| (member, by_run.iter().map(|run| run[member]).collect());
        let mut sorted: Vec<(usize, Vec<Self>)> = (0..members).map(of_member).collect();
        let worth = |all: &[Self]| all.iter().map(|one| by.worth(one)).sum::<f64>();
        sorted.sort_by(|(_, left), (_, right)| worth(left).total_cmp(&worth(right)));
        sorted
    }
}

/// A column to sort members by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Column {
    /// The order of the grid
    #[default]
    Member,
    /// FLOPs of the whole run, fewest first (of recorded runs)
    Flops,
    /// Samples in the last active set, fewest first
    ActiveSamples,
    /// Samples trained over all epochs, fewest first
    TrainedSamples,
    /// Layers frozen in the last epoch, most first (of recorded runs)
    FrozenLayers,
    /// Changes of the active set, fewest first
    Changes,
    /// Share of the samples that are in or out as they were recorded, largest first (of recorded runs)
    SamplesAsRecorded,
    /// Share of the layers that are frozen or not as they were recorded, largest first (of recorded runs)
    LayersAsRecorded,
    /// Active samples without a score, fewest first
    CensoredSamples,
    /// Layers that train of which the record lacks something, fewest first (of recorded runs)
    CensoredLayers,
    /// Norms that the record lacks of layers that train, fewest first (of recorded runs)
    CensoredNorms,
}

impl Column {
    /// Its name on the command line.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether only recorded runs have it.
    pub fn is_of_runs(self) -> bool {
        use Column::*;
        let of_layers = matches!(self, FrozenLayers | LayersAsRecorded | CensoredLayers | CensoredNorms);
        of_layers || matches!(self, Flops | SamplesAsRecorded)
    }

    /// What it sorts by: the lowest is best.
    fn worth(self, summary: &Summary) -> f64 {
        match self {
            Self::Member => 0.0,
            Self::Flops => summary.flops,
            Self::ActiveSamples => summary.active_samples,
            Self::TrainedSamples => summary.trained_samples,
            Self::FrozenLayers => -summary.frozen_layers,
            Self::Changes => summary.changes,
            Self::SamplesAsRecorded => -summary.samples_as_recorded,
            Self::LayersAsRecorded => -summary.layers_as_recorded,
            Self::CensoredSamples => summary.censored_samples,
            Self::CensoredLayers => summary.censored_layers,
            Self::CensoredNorms => summary.censored_norms,
        }
    }
}
