//! What processes have to agree on before they begin.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::experiment::Experiment;

/// Terms in which two processes differ that are told one by one.
const TOLD: usize = 3;

/// What a process is about to do: names and values. All have to be about to do the same.
pub(super) type Terms = Vec<(String, String)>;

/// What a process is about to do.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    /// Workers of each process.
    pub(super) workers: usize,
    pub(super) terms: Terms,
}

impl Meeting {
    /// A process of so many workers that runs `command`, such as `spfde train`, for `experiment`.
    pub(crate) fn new(command: &str, workers: usize, experiment: &Experiment) -> Self {
        let (program, version) = (crate::program::program(), env!("CARGO_PKG_VERSION"));
        let revision = option_env!("SPFDE_REVISION").unwrap_or("unknown");
        let mut terms = vec![
            ("the program".to_owned(), format!("{program} {version} (revision {revision})")),
            ("the command".to_owned(), command.to_owned()),
            ("--workers".to_owned(), workers.to_string()),
        ];
        let settings = experiment.configuration().values().iter();
        terms.extend(settings.map(|(key, value)| (key.to_owned(), value.to_string())));
        let fingerprint = experiment.settings().data.fingerprint.clone();
        terms.push(("the fingerprint of data.path".to_owned(), fingerprint));
        Self { workers, terms }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Line {
    /// The agreement to begin, and afterwards the signs of life.
    Control,
    /// The messages of the dataflow.
    Data,
}

/// What the process that connects says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Introduction {
    pub(super) processes: usize,
    pub(super) terms: Terms,
    /// Who speaks.
    pub(super) from: usize,
    /// To whom.
    pub(super) to: usize,
    pub(super) line: Line,
}

impl Introduction {
    /// Why the process that says this cannot begin together with this process of `cluster`, which is about to
    /// do `own`.
    pub(super) fn misfit(&self, own: &Meeting, cluster: &Cluster) -> Option<String> {
        let (Self { from, to, .. }, me, processes) = (self, cluster.process, cluster.processes());
        if self.processes != processes || *to != me || *from <= me || *from >= processes {
            return Some(format!(
                "process {from} of {} looks for process {to} where process {me} of {processes} is; give all \
                 processes the same hosts file, and each its own number",
                self.processes
            ));
        }
        let difference = difference((*from, &self.terms), (me, &own.terms))?;
        Some(format!(
            "they differ: {difference}; give all processes the same program, words and settings (on unlike \
             machines also train.kernel=portable); --dry-run prints what settings resolve to"
        ))
    }
}

/// In what two processes differ.
fn difference((from, theirs): (usize, &Terms), (me, mine): (usize, &Terms)) -> Option<String> {
    let value = |terms: &Terms, name: &str| {
        let term = terms.iter().find(|(known, _)| known == name);
        term.map_or_else(|| "not set".to_owned(), |(_, value)| value.clone())
    };
    let mut seen = BTreeSet::new();
    let names = mine.iter().chain(theirs).map(|(name, _)| name).filter(|name| seen.insert(*name));
    let differing = names.filter_map(|name| {
        let (theirs, mine) = (value(theirs, name), value(mine, name));
        (theirs != mine).then(|| format!("{name} is {theirs} in process {from}, {mine} in process {me}"))
    });
    let mut told: Vec<String> = differing.collect();
    if told.len() > TOLD {
        let more = told.split_off(TOLD).len();
        told.push(format!("and {more} more differ"));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_name_and_no_more_than_some() {
        let terms = |text: &str| {
            let pairs = text.split(' ').filter_map(|word| word.split_once('='));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Terms>()
        };
        let own = terms("a=1 b=2 c=3 d=4");
        let difference = |text: &str| difference((2, &terms(text)), (0, &own));
        assert_eq!(difference("d=4 c=3 b=2 a=1"), None);
        assert_eq!(difference("a=1 b=2 c=\x1b[3 d=4").unwrap(), "c is \x1b[3 in process 2, 3 in process 0");
        assert_eq!(
            difference("e=5").unwrap(),
            "a is not set in process 2, 1 in process 0; b is not set in process 2, 2 in process 0; \
             c is not set in process 2, 3 in process 0; and 2 more differ"
        );
    }
}
