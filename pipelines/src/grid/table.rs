//! The results of a grid as a table: one row for each member and epoch, and one for each member.

use std::collections::BTreeSet;

use spfde_data::files::table_file::Values;
use spfde_data::parameter::Value;
use spfde_flow::grid::{Found, MemberRow};

use super::{Column, Member};

/// The columns of `grid.parquet` of bare scores: the member, its parameters, then what it did in each epoch.
pub(super) fn of_scores(members: &[Member], found: &Found) -> Vec<(String, Values)> {
    let rows = &found.rows;
    let of = |row: &MemberRow| &members[row.member as usize];
    let mut columns = vec![("member".to_owned(), integers(rows, |row| i64::from(row.member)))];
    for key in keys(members) {
        let values: Vec<Option<&Value>> = rows.iter().map(|row| of(row).parameters.get(&key)).collect();
        columns.push((key, column(&values)));
    }
    columns.push(("epoch".to_owned(), integers(rows, |row| i64::from(row.epoch))));
    columns.push(("active_samples".to_owned(), integers(rows, |row| i64::from(row.active))));
    columns.push(("entered".to_owned(), integers(rows, |row| i64::from(row.entered))));
    columns.push(("left".to_owned(), integers(rows, |row| i64::from(row.left))));
    columns.push(("censored_samples".to_owned(), integers(rows, |row| i64::from(row.unscored))));
    columns
}

fn integers(rows: &[MemberRow], value: impl Fn(&MemberRow) -> i64) -> Values {
    Values::Integer(rows.iter().map(|row| Some(value(row))).collect())
}

/// The keys that any of some members uses.
pub(crate) fn keys<'a>(members: impl IntoIterator<Item = &'a Member>) -> Vec<String> {
    let keys: BTreeSet<&String> = members.into_iter().flat_map(|member| member.parameters.keys()).collect();
    keys.into_iter().cloned().collect()
}

/// A column of the narrowest type that has all values.
pub(super) fn column(values: &[Option<&Value>]) -> Values {
    let is_text = values.iter().flatten().any(|value| matches!(value, Value::Text(_)));
    let is_number = values.iter().flatten().any(|value| matches!(value, Value::Number(_)));
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    let number = |value: &Value| match value {
        Value::Integer(value) => *value as f64,
        Value::Number(value) => *value,
        Value::Text(_) => f64::NAN,
    };
    let integer = |value: &Value| if let Value::Integer(value) = value { *value } else { 0 };
    match (is_text, is_number) {
        (true, _) => Values::Text(values.iter().map(|value| value.map(text)).collect()),
        (false, true) => Values::Number(values.iter().map(|value| value.map(number)).collect()),
        (false, false) => Values::Integer(values.iter().map(|value| value.map(integer)).collect()),
    }
}

/// A member in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The member.
    pub member: u32,
    /// Samples in its last active set.
    pub active_samples: u32,
    /// Samples trained over all epochs that have scores.
    pub trained_samples: u64,
    /// Samples that entered or left over all decisions.
    pub changes: u64,
    /// Active samples without a score, over all epochs.
    pub censored_samples: u64,
}

impl Summary {
    /// One row for each member of a grid over `epochs` epochs, best first by a column; ties by member, as are
    /// columns that only recorded runs have.
    pub fn of(found: &Found, members: usize, epochs: u32, by: Column) -> Vec<Self> {
        let mut summaries: Vec<Self> = (0..members as u32)
            .map(|member| Self {
                member,
                active_samples: 0,
                trained_samples: 0,
                changes: 0,
                censored_samples: 0,
            })
            .collect();
        for row in &found.rows {
            let summary = &mut summaries[row.member as usize];
            summary.active_samples = row.active;
            if row.epoch < epochs {
                summary.trained_samples += u64::from(row.active);
            }
            summary.changes += u64::from(row.entered) + u64::from(row.left);
            summary.censored_samples += u64::from(row.unscored);
        }
        let worth = |summary: &Self| match by {
            Column::Member
            | Column::Flops
            | Column::FrozenLayers
            | Column::SamplesAsRecorded
            | Column::LayersAsRecorded
            | Column::CensoredNorms => 0,
            Column::ActiveSamples => u64::from(summary.active_samples),
            Column::TrainedSamples => summary.trained_samples,
            Column::Changes => summary.changes,
            Column::CensoredSamples => summary.censored_samples,
        };
        summaries.sort_by_key(|summary| (worth(summary), summary.member));
        summaries
    }
}
