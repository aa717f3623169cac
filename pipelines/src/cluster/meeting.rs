//! What processes have to agree on before they begin.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Cluster;

/// Settings in which two processes differ that are told one by one.
const TOLD: usize = 3;

/// What a process is about to do; all have to be about to do the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meeting {
    program: String,
    /// The command, such as `spfde train`.
    command: String,
    /// Workers of each process.
    pub(super) workers: usize,
    settings: BTreeMap<String, String>,
    data_set: String,
}

impl Meeting {
    /// A process of so many workers, with its resolved settings, by key, and the fingerprint of its data set.
    pub(crate) fn new(
        command: &str,
        workers: usize,
        settings: BTreeMap<String, String>,
        data_set: String,
    ) -> Self {
        let (program, version) = (crate::program::program(), env!("CARGO_PKG_VERSION"));
        let program = match option_env!("SPFDE_REVISION") {
            None => format!("{program} {version}"),
            Some(revision) => format!("{program} {version} ({revision})"),
        };
        Self { program, command: command.to_owned(), workers, settings, data_set }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Introduction {
    meeting: Meeting,
    processes: usize,
    /// Who speaks.
    pub(super) from: usize,
    /// To whom.
    pub(super) to: usize,
    pub(super) line: Line,
}

impl Introduction {
    /// What this process of `cluster` says to process `to`.
    pub(super) fn new(meeting: &Meeting, cluster: &Cluster, to: usize, line: Line) -> Self {
        let (processes, from) = (cluster.processes(), cluster.process());
        Self { meeting: meeting.clone(), processes, from, to, line }
    }

    /// Why the process that says this cannot begin together with process `me` of `processes`, which is about
    /// to do `own`.
    pub(super) fn misfit(&self, own: &Meeting, processes: usize, me: usize) -> Option<String> {
        let Self { meeting, from, to, .. } = self;
        let compared = [
            ("is", meeting.program.clone(), own.program.clone(), ""),
            (
                "has a hosts file with this many processes:",
                self.processes.to_string(),
                processes.to_string(),
                "",
            ),
            (
                "runs",
                meeting.command.clone(),
                own.command.clone(),
                "; start all processes with the same words",
            ),
            (
                "has this many workers:",
                meeting.workers.to_string(),
                own.workers.to_string(),
                "; give all processes the same --workers",
            ),
        ];
        if let Some((what, theirs, mine, remedy)) =
            compared.iter().find(|(_, theirs, mine, _)| theirs != mine)
        {
            return Some(format!("process {from} {what} {theirs}, process {me} {mine}{remedy}"));
        }
        if *to != me || *from <= me || *from >= processes {
            return Some(format!(
                "process {from} looks for process {to} where process {me} is; give all processes the same \
                 hosts file, and each its own number"
            ));
        }
        if let Some(difference) = difference((*from, &meeting.settings), (me, &own.settings)) {
            return Some(format!(
                "their configurations differ: {difference}; give all processes the same settings (on unlike \
                 machines also train.kernel=portable); --dry-run prints what they resolve to"
            ));
        }
        (meeting.data_set != own.data_set)
            .then(|| "their data sets differ; give all processes the same data.path".to_owned())
    }
}

/// In what the settings of two processes differ.
fn difference(
    (from, theirs): (usize, &BTreeMap<String, String>),
    (me, mine): (usize, &BTreeMap<String, String>),
) -> Option<String> {
    let keys: BTreeSet<&String> = theirs.keys().chain(mine.keys()).collect();
    let differing: Vec<&String> = keys.into_iter().filter(|key| theirs.get(*key) != mine.get(*key)).collect();
    let told = differing.iter().take(TOLD).map(|key| {
        let [theirs, mine] =
            [theirs, mine].map(|settings| settings.get(*key).map_or("not set", String::as_str));
        format!("{key} is {theirs} in process {from}, {mine} in process {me}")
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
    fn differences_are_told_by_key_and_no_more_than_some() {
        let settings = |text: &str| {
            let pairs = text.split(' ').filter_map(|word| word.split_once('='));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
        };
        let own = settings("a=1 b=2 c=3 d=4");
        let difference = |text: &str| difference((2, &settings(text)), (0, &own));
        assert_eq!(difference("d=4 c=3 b=2 a=1"), None);
        assert_eq!(difference("a=1 b=2 c=\x1b[3 d=4").unwrap(), "c is \x1b[3 in process 2, 3 in process 0");
        assert_eq!(
            difference("e=5").unwrap(),
            "a is not set in process 2, 1 in process 0; b is not set in process 2, 2 in process 0; \
             c is not set in process 2, 3 in process 0; and 2 more differ"
        );
    }
}
