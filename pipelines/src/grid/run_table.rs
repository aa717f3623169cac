//! The results of a grid over runs as a table: one row for each run, member and epoch, and one for each
//! member.

use spfde_data::files::table_file::Values;
use spfde_flow::grid::MemberCosts;

use super::table::{column, keys};
use super::{Column, JudgedRun};

/// A row: its run, and what a member did in an epoch.
type Place<'a> = (&'a JudgedRun, &'a MemberCosts);

/// The columns of `grid.parquet` of runs.
pub(super) fn columns(runs: &[JudgedRun]) -> Vec<(String, Values)> {
    let rows: Vec<Place<'_>> =
        runs.iter().flat_map(|run| run.found.costs.iter().map(move |costs| (run, costs))).collect();
    let integers = |name: &str, value: fn(&MemberCosts) -> u64| {
        let value = |(_, costs): &Place<'_>| Some(i64::try_from(value(costs)).unwrap_or(i64::MAX));
        (name.to_owned(), Values::Integer(rows.iter().map(value).collect()))
    };
    let shares = |name: &str, value: fn(&Place<'_>) -> f64| {
        (name.to_owned(), Values::Number(rows.iter().map(|place| Some(value(place))).collect()))
    };
    let names = rows.iter().map(|(run, _)| Some(run.name.clone())).collect();
    let mut columns =
        vec![("run".to_owned(), Values::Text(names)), integers("member", |costs| u64::from(costs.member))];
    for key in keys(runs.iter().flat_map(|run| &run.members)) {
        let values = rows.iter().map(|(run, costs)| run.members[costs.member as usize].parameters.get(&key));
        columns.push((key.clone(), column(&values.collect::<Vec<_>>())));
    }
    columns.extend([
        integers("epoch", |costs| u64::from(costs.epoch.epoch)),
        integers("active_samples", |costs| u64::from(costs.epoch.active_samples)),
        integers("entered", |costs| u64::from(costs.entered)),
        integers("left", |costs| u64::from(costs.left)),
        integers("nonzero", |costs| costs.epoch.nonzero),
        integers("frozen_layers", |costs| u64::from(costs.epoch.frozen_layers)),
        integers("forward_flops", |costs| costs.epoch.forward_flops),
        integers("backward_flops", |costs| costs.epoch.backward_flops),
        integers("observed_flops", |costs| costs.epoch.observed_flops),
        integers("dense_flops", |costs| costs.epoch.dense_flops),
        shares("samples_as_recorded", samples_as_recorded),
        shares("layers_as_recorded", layers_as_recorded),
        integers("censored_samples", |costs| u64::from(costs.censored.samples)),
        integers("censored_layers", |costs| u64::from(costs.censored.layers)),
        integers("censored_norms", |costs| costs.censored.norms),
    ]);
    columns
}

fn samples_as_recorded((run, costs): &Place<'_>) -> f64 {
    f64::from(costs.samples_as_recorded) / f64::from(run.samples)
}

fn layers_as_recorded((run, costs): &Place<'_>) -> f64 {
    f64::from(costs.layers_as_recorded) / f64::from(run.layers)
}

/// A member in one row, by one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunSummary {
    /// FLOPs of training, over all epochs.
    pub flops: f64,
    /// The same as a share of dense training.
    pub of_dense: f64,
    /// Samples in the last active set.
    pub active_samples: f64,
    /// Samples trained over all epochs.
    pub trained_samples: f64,
    /// Layers frozen in the last epoch.
    pub frozen_layers: f64,
    /// Share of the samples that are in or out as they were recorded, over all epochs.
    pub samples_as_recorded: f64,
    /// Share of the layers that are frozen or not as they were recorded, over all epochs.
    pub layers_as_recorded: f64,
    /// Samples that entered or left over all decisions.
    pub changes: f64,
    /// Active samples without a score, over all epochs.
    pub censored_samples: f64,
    /// Norms that the record lacks, over all epochs.
    pub censored_norms: f64,
}

impl RunSummary {
    /// One for each member of a grid over `run`.
    pub fn of(run: &JudgedRun) -> Vec<Self> {
        let mut sums = vec![(Self::default(), 0.0, 0.0); run.members.len()];
        for costs in &run.found.costs {
            let (sum, dense, epochs) = &mut sums[costs.member as usize];
            let epoch = &costs.epoch;
            sum.flops += (epoch.forward_flops + epoch.backward_flops) as f64;
            *dense += epoch.dense_flops as f64;
            *epochs += 1.0;
            sum.active_samples = f64::from(epoch.active_samples);
            sum.trained_samples += f64::from(epoch.active_samples);
            sum.frozen_layers = f64::from(epoch.frozen_layers);
            sum.samples_as_recorded += samples_as_recorded(&(run, costs));
            sum.layers_as_recorded += layers_as_recorded(&(run, costs));
            sum.changes += f64::from(costs.entered) + f64::from(costs.left);
            sum.censored_samples += f64::from(costs.censored.samples);
            sum.censored_norms += costs.censored.norms as f64;
        }
        let finish = |(sum, dense, epochs): (Self, f64, f64)| Self {
            of_dense: if dense > 0.0 { sum.flops / dense } else { 0.0 },
            samples_as_recorded: sum.samples_as_recorded / epochs.max(1.0),
            layers_as_recorded: sum.layers_as_recorded / epochs.max(1.0),
            ..sum
        };
        sums.into_iter().map(finish).collect()
    }

    /// What a column sorts by: the lowest is best.
    fn worth(&self, by: Column) -> f64 {
        match by {
            Column::Member => 0.0,
            Column::Flops => self.flops,
            Column::ActiveSamples => self.active_samples,
            Column::TrainedSamples => self.trained_samples,
            Column::FrozenLayers => -self.frozen_layers,
            Column::Changes => self.changes,
            Column::SamplesAsRecorded => -self.samples_as_recorded,
            Column::LayersAsRecorded => -self.layers_as_recorded,
            Column::CensoredSamples => self.censored_samples,
            Column::CensoredNorms => self.censored_norms,
        }
    }

    /// For each member its number and what every run says of it, best first by the mean of a column; ties by
    /// member.
    pub fn sorted(runs: &[JudgedRun], by: Column) -> Vec<(usize, Vec<Self>)> {
        let by_run: Vec<Vec<Self>> = runs.iter().map(Self::of).collect();
        let members = by_run.first().map_or(0, Vec::len);
        let of_member = |member: usize| (member, by_run.iter().map(|run| run[member]).collect());
        let mut sorted: Vec<(usize, Vec<Self>)> = (0..members).map(of_member).collect();
        let worth = |all: &[Self]| all.iter().map(|one| one.worth(by)).sum::<f64>();
        sorted
            .sort_by(|(one, left), (other, right)| worth(left).total_cmp(&worth(right)).then(one.cmp(other)));
        sorted
    }
}
