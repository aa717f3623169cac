//! Sweeps: a batch of experiments, each with several seeds, trained one after another or side by side.
//!
//! ```toml
//! name = "sparsity"
//! seeds = [0, 1, 2]
//!
//! [base]                       # keys as in a configuration, of all experiments
//! model.name = "lenet5"
//!
//! [grid]                       # all combinations
//! mask.policy = ["set", "mest-ems"]
//! mask.sparsity = [0.9, 0.95]
//!
//! [[list]]                     # an experiment more
//! mask.policy = "dense"
//! ```
//!
//! Each run is trained by a process of its own, so that one that fails harms no other. What is there on disk
//! says what is left to do: a sweep that ended anyhow goes on when it is started again.

mod children;
mod names;
mod table;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use spfde_data::Value;

use crate::grid::Axes;
use crate::{Configuration, Entry, Error, Experiment, Registry, Result, Source};

pub use children::{Progress, train};
pub use table::{Outcome, Row, TABLE_NAME, failures, summary, write};

/// What stands in a sweep's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    #[serde(default)]
    seeds: Vec<u32>,
    #[serde(default)]
    base: toml::Table,
    #[serde(default)]
    grid: toml::Table,
    #[serde(default)]
    list: Vec<toml::Table>,
}

/// A batch of experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Its name; by default its runs are in `runs/<name>`.
    pub name: String,
    /// The seeds with which every member is trained.
    pub seeds: Vec<u32>,
    /// The experiments.
    pub members: Vec<Member>,
    /// The keys in which they differ.
    pub keys: Vec<String>,
}

/// An experiment of a sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// Its name, from the keys in which members differ; that of the sweep if it is the only one.
    pub name: String,
    /// Its settings, without the seed.
    pub settings: BTreeMap<String, Value>,
}

/// A run of a sweep: a member with a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The member, by its place.
    pub member: usize,
    /// The seed.
    pub seed: u32,
    /// Its run directory: `<member>-<seed>` in that of the sweep.
    pub directory: PathBuf,
}

impl Sweep {
    /// Reads a sweep's file.
    ///
    /// # Errors
    /// If it cannot be read, has a field that no sweep has, or describes an experiment twice. Keys and values
    /// are not looked at: [`Sweep::check`] does.
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let refuse = |what: &dyn Display| Error::usage(format!("{place}: {what}"));
        let file: Result<File, toml::de::Error> = Source::read_table(path)?.try_into();
        let File { name, seeds, base, grid, list } = file.map_err(|error| refuse(&error.message()))?;
        let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.unwrap_or_else(stem);
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return Err(refuse(&format_args!("name = {name:?} is no name of a directory")));
        }
        if let Some(twice) = (1..seeds.len()).find(|at| seeds[..*at].contains(&seeds[*at])) {
            return Err(refuse(&format_args!("seeds has {} twice; write it once", seeds[twice])));
        }
        let seeds = if seeds.is_empty() { vec![0] } else { seeds };
        let mut experiments = match grid.is_empty() && !list.is_empty() {
            true => Vec::new(),
            false => axes(&place, grid)?.points(),
        };
        for experiment in list {
            experiments.push(Source::of_table(&place, experiment)?.entries().to_vec());
        }
        let base = Source::of_table(&place, base)?;
        let over = |own: Vec<Entry>| base.entries().iter().cloned().chain(own).collect::<BTreeMap<_, _>>();
        let settings: Vec<_> = experiments.into_iter().map(over).collect();
        if settings.iter().any(|settings| settings.contains_key("seed")) {
            return Err(refuse(&"`seed` is no key of a sweep; write seeds = [0, 1, 2]"));
        }
        if let Some(twice) = (1..settings.len()).find(|at| settings[..*at].contains(&settings[*at])) {
            return Err(refuse(&format_args!("experiment {} is the same as one before it", twice + 1)));
        }
        let (keys, names) = names::names(&name, &settings);
        let members = names.into_iter().zip(settings).map(|(name, settings)| Member { name, settings });
        Ok(Self { name, seeds, members: members.collect(), keys })
    }

    /// The runs, by member, then seed, in the directory `out` of the sweep.
    pub fn jobs(&self, out: &Path) -> Vec<Job> {
        let members = self.members.iter().enumerate();
        let job = |member: usize, name: &str, seed: u32| Job {
            member,
            seed,
            directory: out.join(format!("{name}-{seed}")),
        };
        members
            .flat_map(|(at, Member { name, .. })| self.seeds.iter().map(move |seed| job(at, name, *seed)))
            .collect()
    }

    /// Checks every experiment as far as that is possible before it trains, and that runs which are there
    /// already are those that this sweep would make. What is worth knowing of the experiments.
    ///
    /// # Errors
    /// What is wrong with the first experiment that cannot be trained, or which run is another.
    pub fn check(&self, registry: &Arc<Registry>, jobs: &[Job]) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (at, Member { name, settings }) in self.members.iter().enumerate() {
            let of_member =
                |error| Error::More { error: Box::new(error), more: format!(" (experiment {name})") };
            let mut entries: Vec<Entry> = settings.clone().into_iter().collect();
            entries.push(("seed".to_owned(), Value::Integer(self.seeds[0].into())));
            let configuration = Configuration::resolve_over(registry, &[], &entries)
                .map_err(|error| of_member(error.into()))?;
            let experiment = Experiment::new(configuration).map_err(of_member)?;
            let configuration = experiment.configuration();
            notes.extend(configuration.notes().iter().map(|note| format!("{name}: {note}")));
            for job in jobs.iter().filter(|job| job.member == at) {
                table::refuse_other(job, configuration)?;
            }
        }
        Ok(notes)
    }
}

/// The lists of a grid.
fn axes(place: &str, table: toml::Table) -> Result<Axes> {
    let mut lists = Vec::new();
    let tables = table.into_iter().flat_map(|(name, value)| match value {
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect()
        }
        value => vec![(name, value)],
    });
    for (key, value) in tables {
        let toml::Value::Array(values) = value else {
            let what = format!("{place}: grid: `{key}` is no list; write it in [base] if it has one value");
            return Err(Error::usage(what));
        };
        let values = values.into_iter().map(|value| Source::value(place, &key, value));
        lists.push((key.clone(), values.collect::<Result<Vec<_>>>()?));
    }
    Axes::of(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sweep> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s.toml");
        std::fs::write(&path, text).unwrap();
        Sweep::read(&path)
    }

    #[test]
    fn a_grid_and_a_list_lie_over_the_base() {
        let sweep = read(
            "seeds = [3, 1]\nbase.mask.sparsity = 0.9\nbase.train.epochs = 2\n\
             [grid]\nmask.policy = ['set', 'mest-ems']\nmask.interval = [1, 2]\n\
             [[list]]\nmask.policy = 'dense'\ntrain.epochs = 3\n",
        )
        .unwrap();
        assert_eq!(
            (&*sweep.name, &sweep.keys[..]),
            ("s", &["mask.interval", "mask.policy", "train.epochs"].map(String::from)[..])
        );
        let names: Vec<&str> = sweep.members.iter().map(|member| &*member.name).collect();
        let expected = [
            "interval-1-set-epochs-2",
            "interval-1-mest-ems-epochs-2",
            "interval-2-set-epochs-2",
            "interval-2-mest-ems-epochs-2",
            "dense-epochs-3",
        ];
        assert_eq!(names, expected);
        let dense = &sweep.members[4].settings;
        assert_eq!(dense["mask.sparsity"], Value::Number(0.9));
        assert_eq!((dense.len(), &dense["train.epochs"]), (3, &Value::Integer(3)));
        let jobs = sweep.jobs(Path::new("out"));
        assert_eq!(jobs.len(), 10);
        assert_eq!(jobs[9], Job { member: 4, seed: 1, directory: "out/dense-epochs-3-1".into() });
    }

    #[test]
    fn what_is_no_sweep_is_refused() {
        for (text, message) in [
            ("sedes = [1]", "s.toml: unknown field `sedes`, expected one of `name`, `seeds`"),
            ("seeds = [1, -1]", "s.toml: invalid value: integer `-1`, expected u32"),
            ("seeds = [1, 1]", "seeds has 1 twice; write it once"),
            ("name = '../x'", "name = \"../x\" is no name of a directory"),
            ("base = 3", "s.toml: invalid type: integer `3`, expected a map"),
            ("list = 3", "s.toml: invalid type: integer `3`, expected a sequence"),
            ("[base]\nseed = 1", "`seed` is no key of a sweep; write seeds = [0, 1, 2]"),
            ("[[list]]\n[[list]]", "experiment 2 is the same as one before it"),
            (
                "[grid]\nmask.sparsity = 0.9",
                "grid: `mask.sparsity` is no list; write it in [base] if it has one value",
            ),
            ("[grid]\nmask.sparsity = [[0.9]]", "`mask.sparsity` is a list; it takes"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = read("[grid]\nmask.sparsity = [0.9, 0.9]").unwrap_err().to_string();
        assert!(error.contains("`mask.sparsity`: the list has the value 0.9 twice"), "{error}");
    }
}
