//! What processes have to agree on before they begin.

use super::link::{Broken, Link, cut, printable};
use super::settings::SettingWords;
use crate::experiment::Experiment;

/// Bytes of a name: of the program, of its version.
const NAME: usize = 32;

/// Bytes of everything that is said.
const BYTES: usize = 2 * NAME + 6 * 4 + 2 * 32;

/// What the processes are going to do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Purpose {
    /// A new run.
    Train = 1,
    /// A run that goes on.
    Resume = 2,
    /// A replay of a run.
    Replay = 3,
    /// A grid of policies over records.
    Grid = 5,
}

impl Purpose {
    fn name(code: u32) -> &'static str {
        match code {
            1 => "spfde train",
            2 => "spfde resume",
            3 => "spfde replay",
            5 => "spfde replay of a grid or of scores",
            _ => "something unknown",
        }
    }
}

/// What a process is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// What for.
    pub(crate) purpose: Purpose,
    /// Workers of this process.
    pub(crate) workers: usize,
    /// BLAKE3 of the resolved configuration.
    pub(crate) configuration: [u8; 32],
    /// Its settings in words, where it has such.
    pub(crate) settings: SettingWords,
    /// What else they have to have in common.
    pub(crate) subject: Subject,
}

/// What processes work on, beside the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// BLAKE3 of what names it.
    pub(crate) blake3: [u8; 32],
    /// What to say if it is another, and what to do.
    pub(crate) differs: &'static str,
}

impl Subject {
    /// What `name` names.
    pub(crate) fn new(name: &str, differs: &'static str) -> Self {
        Self { blake3: hash(name), differs }
    }
}

fn hash(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

impl Meeting {
    /// Something that is asked in the words `configuration`, of `subject`, for a process of so many workers.
    pub(crate) fn new(purpose: Purpose, workers: usize, configuration: &str, subject: Subject) -> Self {
        Self {
            purpose,
            workers,
            configuration: hash(configuration),
            settings: SettingWords::default(),
            subject,
        }
    }

    /// What `experiment` is, on its data set, for a process of so many workers.
    pub(crate) fn of(purpose: Purpose, experiment: &Experiment, workers: usize) -> Self {
        let configuration = experiment.configuration().to_toml();
        let differs = "their data sets differ; give all processes the same data.path";
        let subject = Subject::new(&experiment.settings().data.fingerprint, differs);
        let settings = SettingWords::of(experiment.configuration());
        Self { settings, ..Self::new(purpose, workers, &configuration, subject) }
    }
}

/// What the one that connects says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Introduction {
    program: String,
    version: String,
    purpose: u32,
    round: u32,
    processes: u32,
    workers: u32,
    /// Who speaks.
    pub(super) from: u32,
    /// To whom.
    to: u32,
    configuration: [u8; 32],
    subject: [u8; 32],
    settings: SettingWords,
}

impl Introduction {
    /// Process `from` of `processes` to process `to`; for the last two whoever compares knows better.
    pub(super) fn new(meeting: &Meeting, round: u32, processes: usize, from: usize, to: usize) -> Self {
        Self {
            program: crate::error::program().to_owned(),
            version: match option_env!("SPFDE_REVISION") {
                None => env!("CARGO_PKG_VERSION").to_owned(),
                Some(revision) => format!("{} ({revision})", env!("CARGO_PKG_VERSION")),
            },
            purpose: meeting.purpose as u32,
            round,
            processes: processes as u32,
            workers: meeting.workers as u32,
            from: from as u32,
            to: to as u32,
            configuration: meeting.configuration,
            subject: meeting.subject.blake3,
            settings: meeting.settings.clone(),
        }
    }

    pub(super) fn send(&self, link: &mut Link<'_>) -> Result<(), Broken> {
        let mut bytes = Vec::with_capacity(BYTES);
        for name in [&self.program, &self.version] {
            let mut field = [0; NAME];
            let name = cut(name, NAME);
            field[..name.len()].copy_from_slice(name.as_bytes());
            bytes.extend(field);
        }
        let Self { purpose, round, processes, workers, from, to, .. } = *self;
        [purpose, round, processes, workers, from, to]
            .iter()
            .for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(self.configuration);
        bytes.extend(self.subject);
        link.send(&bytes)?;
        self.settings.send(link)
    }

    pub(super) fn receive(link: &mut Link<'_>) -> Result<Self, Broken> {
        let bytes = link.receive::<BYTES>()?;
        let name = |field: usize| {
            let bytes = &bytes[field * NAME..(field + 1) * NAME];
            printable(&bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(NAME)])
        };
        let number = |field: usize| {
            let start = 2 * NAME + 4 * field;
            u32::from_le_bytes(bytes[start..start + 4].try_into().expect("four bytes"))
        };
        let hash = |field: usize| {
            let start = 2 * NAME + 6 * 4 + 32 * field;
            bytes[start..start + 32].try_into().expect("32 bytes")
        };
        Ok(Self {
            program: name(0),
            version: name(1),
            purpose: number(0),
            round: number(1),
            processes: number(2),
            workers: number(3),
            from: number(4),
            to: number(5),
            configuration: hash(0),
            subject: hash(1),
            settings: SettingWords::receive(link)?,
        })
    }

    /// Why the process that says `self` cannot begin together with process `me`, which says `own`, and `differs` if they
    /// work on different things.
    pub(super) fn misfit(&self, own: &Self, me: usize, differs: &str) -> Option<String> {
        let differ = |what: &str, theirs: &dyn std::fmt::Display, mine: &dyn std::fmt::Display| {
            Some(format!("process {} {what} {theirs}, process {me} {mine}", self.from))
        };
        if (&self.program, &self.version) != (&own.program, &own.version) {
            let name = |one: &Self| format!("{} {}", one.program, one.version);
            return differ("is", &name(self), &name(own));
        }
        if self.processes != own.processes {
            return differ("has a hosts file with this many processes:", &self.processes, &own.processes);
        }
        if self.to != me as u32 || self.from <= me as u32 || self.from >= self.processes {
            let Self { from, to, .. } = self;
            return Some(format!(
                "process {from} looks for process {to} where process {me} is; give all processes the same hosts file, and \
                 each its own number"
            ));
        }
        if self.purpose != own.purpose {
            let why = differ("runs", &Purpose::name(self.purpose), &Purpose::name(own.purpose))?;
            return Some(format!("{why}; start all processes with the same words"));
        }
        if self.workers != own.workers {
            let why = differ("has this many workers:", &self.workers, &own.workers)?;
            return Some(format!("{why}; give all processes the same --workers"));
        }
        if self.configuration != own.configuration {
            return Some(match own.purpose {
                purpose if purpose == Purpose::Grid as u32 || purpose == Purpose::Replay as u32 => {
                    "they ask for different things; give all processes the same runs or scores, settings, --grid, --follow \
                     and --decisions"
                        .to_owned()
                }
                _ => {
                    let difference = self.settings.difference(self.from, &own.settings, me);
                    format!(
                        "their configurations differ: {}; give all processes the same settings (on unlike machines also \
                         train.kernel=portable); --dry-run prints what they resolve to",
                        difference.as_deref().unwrap_or("how, cannot be told")
                    )
                }
            });
        }
        if self.subject != own.subject {
            return Some(differs.to_owned());
        }
        if self.round != own.round {
            return differ("is at this part of its work:", &self.round, &own.round);
        }
        None
    }
}
