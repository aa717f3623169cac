//! What processes have to agree on before they begin.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::Experiment;
use crate::start::WEIGHTS;

/// Terms in which two processes differ that are told one by one.
const TOLD: usize = 3;

/// The terms that are no settings, and follow from none.
const FIRST: [&str; 3] = ["the program", "the command", "--workers"];

/// What a process is about to do: names and values. All have to be about to do the same.
pub(super) type Terms = Vec<(String, String)>;

/// What a process is about to do.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    /// Workers of each process.
    pub(super) workers: usize,
    pub(super) terms: Terms,
    /// The keys among the terms that were set, rather than left to their defaults.
    pub(super) given: BTreeSet<String>,
}

impl Meeting {
    /// A process of so many workers that runs `command`, such as `spfde train`, for `experiment`.
    pub(crate) fn new(command: &str, workers: usize, experiment: &Experiment) -> Self {
        let (program, version) = (crate::error::program(), env!("CARGO_PKG_VERSION"));
        let revision = option_env!("SPFDE_REVISION").unwrap_or("unknown");
        let mut terms = vec![
            (FIRST[0].to_owned(), format!("{program} {version} (revision {revision})")),
            (FIRST[1].to_owned(), command.to_owned()),
            (FIRST[2].to_owned(), workers.to_string()),
        ];
        let configuration = experiment.configuration();
        // Each process may have the weights elsewhere; their hash is a term.
        let settings = configuration.values().iter().filter(|(key, _)| *key != WEIGHTS);
        terms.extend(settings.map(|(key, value)| (key.to_owned(), value.to_string())));
        let given = configuration.values().iter().map(|(key, _)| key.to_owned());
        let given = given.filter(|key| configuration.is_given(key)).collect();
        let data = &experiment.settings().data;
        terms.push(("the fingerprint of data.path".to_owned(), data.fingerprint.clone()));
        let normalization = serde_json::to_vec(&data.normalization).expect("numbers are plain data");
        let normalization = blake3::hash(&normalization).to_hex().to_string();
        terms.push(("the BLAKE3 of mean and deviation of data.path".to_owned(), normalization));
        if let Some(start) = &experiment.start {
            terms.push(("the BLAKE3 of model.weights".to_owned(), start.from.weights.clone()));
        }
        Self { workers, terms, given }
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
    pub(super) given: BTreeSet<String>,
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
        let given = self.given.union(&own.given).map(String::as_str).collect();
        let difference = difference((*from, &self.terms), (me, &own.terms), &given)?;
        Some(format!(
            "they differ: {difference}; give all processes the same program, words and settings (on unlike \
             machines also a train.kernel that all have; a run is resumed on machines that have its own); \
             --dry-run prints what settings resolve to"
        ))
    }
}

/// In what two processes differ: of the terms that differ, the first ones if others may follow from them.
/// Those are the program, the command and the keys that were `given`; without any, all.
fn difference(
    (from, theirs): (usize, &Terms),
    (me, mine): (usize, &Terms),
    given: &BTreeSet<&str>,
) -> Option<String> {
    let value = |terms: &Terms, name: &str| {
        let term = terms.iter().find(|(known, _)| known == name);
        term.map_or_else(|| "not set".to_owned(), |(_, value)| value.clone())
    };
    let mut seen = BTreeSet::new();
    let names = mine.iter().chain(theirs).map(|(name, _)| name).filter(|name| seen.insert(*name));
    let mut differing: Vec<&String> = names.filter(|name| value(theirs, name) != value(mine, name)).collect();
    let is_cause = |name: &str| FIRST.contains(&name) || given.contains(name);
    if differing.iter().any(|name| is_cause(name)) {
        differing.retain(|name| is_cause(name));
    }
    let told = differing.iter().take(TOLD).map(|name| {
        let (theirs, mine) = (value(theirs, name), value(mine, name));
        format!("{name} is {theirs} in process {from}, {mine} in process {me}")
    });
    let mut told: Vec<String> = told.collect();
    if differing.len() > TOLD {
        told.push(format!("and {} more differ", differing.len() - TOLD));
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
        let difference = |text: &str| difference((2, &terms(text)), (0, &own), &BTreeSet::from(["d", "f"]));
        assert_eq!(difference("d=4 c=3 b=2 a=1"), None);
        assert_eq!(difference("a=1 b=2 c=\x1b[3 d=4").unwrap(), "c is \x1b[3 in process 2, 3 in process 0");
        assert_eq!(
            difference("d=4 e=5").unwrap(),
            "a is not set in process 2, 1 in process 0; b is not set in process 2, 2 in process 0; \
             c is not set in process 2, 3 in process 0; and 1 more differ"
        );
        // What was set explains the rest.
        assert_eq!(difference("a=2 b=3 c=4 d=5").unwrap(), "d is 5 in process 2, 4 in process 0");
        let two =
            "the program is x in process 2, not set in process 0; f is 1 in process 2, not set in process 0";
        let theirs =
            [terms("d=4 a=7"), vec![("the program".to_owned(), "x".to_owned())], terms("f=1")].concat();
        let given = BTreeSet::from(["f"]);
        assert_eq!(super::difference((2, &theirs), (0, &own), &given).unwrap(), two);
    }
}
