//! The recorded streams that replays read.

use spfde_data::{ParameterError, Row, SimilarityRow};

use super::Record;
use super::record::Streams;
use crate::{Experiment, Result};

/// The streams of `record` that some replays read: `every` one, and what their freeze policies do beside.
///
/// # Errors
/// If a policy other than the run's own asks for a stream that the run did not record; as
/// [`Record::streams`].
pub(crate) fn streams(record: &Record, every: &[&str], experiments: &[&Experiment]) -> Result<Streams> {
    let mut streams = every.to_vec();
    let policies = experiments.iter().map(|experiment| &experiment.settings().policies.freeze);
    let reading: Vec<_> = policies.filter(|policy| policy.reads_similarity()).collect();
    if !reading.is_empty() {
        streams.push(SimilarityRow::STREAM);
    }
    let manifest = record.run().manifest();
    let lacks = manifest.epochs_reached > 0
        && !manifest.segments.iter().any(|segment| segment.stream == SimilarityRow::STREAM);
    // The run's own policy had it: then the manifest was changed, as opening the stream tells.
    let other = reading.iter().find(|policy| !record.is_under(policy.name()));
    if let Some(policy) = other.filter(|_| lacks) {
        let reason = format!(
            "`{}` judges by the stream `{}`, which the run did not record; choose another policy, or replay \
             a run with trace.observe = \"full\" or with a freeze policy that judges by it",
            policy.name(),
            SimilarityRow::STREAM
        );
        return Err(ParameterError::contradiction("freeze.policy", reason).into());
    }
    Ok(record.streams(&streams)?)
}
