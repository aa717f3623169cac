//! Processes that work together: this test program again, which runs the test [`process`] only.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use spfde::cluster::{Cluster, Hosts, Secret};
use spfde::{Error, Options};
use spfde_data::files::manifest::Manifest;
use spfde_data::rows::ScoreRow;
use spfde_flow::{Observer, Run, per_epoch};

use crate::addresses::free_addresses;
use crate::faults;
use crate::support::{Bench, Recorded, pipeline_with};

/// What the process does, in environment variables: the run directory, the words, one a line, and so on.
const RUN: &str = "SPFDE_TEAM_RUN";
const SAMPLES: &str = "SPFDE_TEAM_SAMPLES";
const WORDS: &str = "SPFDE_TEAM_WORDS";
const WORKERS: &str = "SPFDE_TEAM_WORKERS";
const HOSTS: &str = "SPFDE_TEAM_HOSTS";
const PROCESS: &str = "SPFDE_TEAM_PROCESS";
/// Seconds to wait for the others at the start.
pub(crate) const WAIT: &str = "SPFDE_TEAM_WAIT";
/// Set if the processes are not on loopback.
const APART: &str = "SPFDE_TEAM_APART";
/// The updates after which a process waits to be interrupted, or killed.
pub(crate) const HOLDS: &str = "SPFDE_TEAM_HOLDS";
/// The worker that panics when the first epoch is over.
const PANICS: &str = "SPFDE_TEAM_PANICS";

/// Far more than anything here takes; only what hangs gets there.
const LONG: Duration = Duration::from_secs(120);

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn process() {
    let Ok(path) = std::env::var(RUN) else { return };
    faults::install();
    let variable = |name: &str| std::env::var(name).unwrap();
    let number = |name: &str| variable(name).parse::<usize>().unwrap();
    let bench = Bench::new(number(SAMPLES));
    let words = variable(WORDS);
    let words: Vec<&str> = words.lines().collect();
    let result = work(&bench, Path::new(&path), &words, number);
    match result {
        Ok(()) => eprintln!("operations: {}", faults::count()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(error.exit_code().into());
        }
    }
}

fn work(bench: &Bench, path: &Path, words: &[&str], number: impl Fn(&str) -> usize) -> Result<(), Error> {
    let hosts = Hosts::read(Path::new(&std::env::var(HOSTS).unwrap()))?;
    let seconds = if std::env::var(WAIT).is_ok() { number(WAIT) } else { 60 };
    let wait = Duration::from_secs(seconds as u64);
    let apart = std::env::var_os(APART).is_some();
    let secret = apart.then(|| Secret::new("the test", b"known to these processes")).transpose()?;
    let cluster = Cluster::new(hosts, number(PROCESS), secret, apart, wait, |_| ())?;
    let directory = cluster.is_first().then(|| path.to_owned());
    let cluster = Some(Arc::new(cluster));
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).unwrap();
    let after = std::env::var(HOLDS).map_or(u32::MAX, |_| number(HOLDS) as u32);
    let observer =
        Arc::new(Holding { after, updates: AtomicU32::new(0), interrupted: Arc::clone(&interrupted) });
    let options = Options { directory, workers: number(WORKERS), cluster, interrupted, observer };
    let panics = std::env::var(PANICS).is_ok().then(|| number(PANICS));
    let build = move |run: &Run<'_>| match panics {
        None => spfde::wire(run),
        Some(worker) => pipeline_with(run, move |run, trained| {
            let here = run.worker() == worker;
            per_epoch(
                run,
                "fails",
                &trained.scores,
                move |_| worker as u64,
                move |epoch, rows: Vec<ScoreRow>| {
                    assert!(!(here && epoch == 1), "the stage fails");
                    rows
                },
            );
        }),
    };
    if path.join("config.toml").exists() && words.is_empty() {
        return spfde::resume(path, |configuration| bench.prepare(configuration), options, build).map(|_| ());
    }
    spfde::run(&bench.experiment(words), options, build).map(|_| ())
}

/// Holds the work on after so many updates, until it is interrupted: a run does not come to its end before.
struct Holding {
    after: u32,
    updates: AtomicU32,
    interrupted: Arc<AtomicBool>,
}

impl Observer for Holding {
    fn worked(&self, _: usize, stage: &'static str, _: f64) {
        if stage == "update" && self.updates.fetch_add(1, Ordering::Relaxed) >= self.after {
            while !self.interrupted.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// Processes that do the same work.
pub(crate) struct Team<'a> {
    pub(crate) bench: &'a Bench,
    /// Settings of a new run; without any a run goes on.
    pub(crate) words: &'a [&'a str],
    pub(crate) processes: usize,
    pub(crate) workers: usize,
    /// Variables of single processes.
    pub(crate) variables: Vec<(usize, &'static str, String)>,
    /// The network namespace of each process and its address there; none if all are on loopback.
    pub(crate) apart: Vec<(String, String)>,
}

impl<'a> Team<'a> {
    pub(crate) fn new(bench: &'a Bench, words: &'a [&'a str], processes: usize, workers: usize) -> Self {
        Self { bench, words, processes, workers, variables: Vec::new(), apart: Vec::new() }
    }

    /// Gives all of them a variable more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        self.variables.extend((0..self.processes).map(|process| (process, name, value.clone())));
        self
    }

    /// Lets `process` stay at work until it is interrupted, or killed; by then two epochs are committed for
    /// sure.
    pub(crate) fn holding(mut self, process: usize) -> Self {
        self.variables.push((process, HOLDS, "50".to_owned()));
        self
    }

    /// Lets the worker `worker` panic.
    pub(crate) fn panicking(self, worker: usize) -> Self {
        self.with(PANICS, worker.to_string())
    }

    /// Starts all of them in the directory `path`.
    pub(crate) fn start(&self, path: &Path) -> Vec<Child> {
        let hosts = path.with_extension("hosts");
        let addresses = match self.apart.is_empty() {
            true => free_addresses(self.processes),
            false => self.apart.iter().map(|(_, address)| address.clone()).collect(),
        };
        std::fs::write(&hosts, addresses.join("\n")).unwrap();
        (0..self.processes).map(|process| self.command(path, &hosts, process).spawn().unwrap()).collect()
    }

    fn command(&self, path: &Path, hosts: &Path, process: usize) -> Command {
        let program = std::env::current_exe().unwrap();
        let mut command = match self.apart.get(process) {
            None => Command::new(program),
            Some((namespace, _)) => {
                // It becomes the program: the child is the process itself.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program).env(APART, "");
                command
            }
        };
        command.args([
            "--exact",
            "together::team::process",
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command.env(RUN, path).env(HOSTS, hosts).env(PROCESS, process.to_string());
        command.env(SAMPLES, self.bench.samples().to_string()).env(WORDS, self.words.join("\n"));
        command.env(WORKERS, self.workers.to_string());
        let own = self.variables.iter().filter(|(of, ..)| *of == process);
        command.envs(own.map(|(_, name, value)| (*name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs all of them in the directory `path` to their end; again, if another program took one of the
    /// ports.
    pub(crate) fn run(&self, path: &Path) -> Vec<Ended> {
        for _ in 0..5 {
            let ended = wait(self.start(path));
            if !ended.iter().any(|ended| ended.said.contains("cannot listen at")) {
                return ended;
            }
        }
        panic!("no ports are free")
    }

    /// As [`Team::run`], for what comes to its end.
    pub(crate) fn finish(&self, path: &Path) -> Recorded {
        for ended in self.run(path) {
            assert_eq!(ended.code, Some(0), "{}", ended.said);
        }
        Recorded::open(path)
    }
}

/// Waits until the run in `path` has committed so many epochs.
pub(crate) fn reach(path: &Path, epochs: u32) {
    let deadline = Instant::now() + LONG;
    while Manifest::read(path).map_or(0, |manifest| manifest.epochs_reached) < epochs {
        assert!(Instant::now() < deadline, "it trains");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the end of all processes. If one cannot listen, the others need not wait for it: they are
/// killed.
pub(crate) fn wait(children: Vec<Child>) -> Vec<Ended> {
    let deadline = Instant::now() + LONG;
    let mut running: Vec<(usize, Child)> = children.into_iter().enumerate().collect();
    let mut ended: Vec<(usize, Ended)> = Vec::new();
    while !running.is_empty() {
        let over = running.extract_if(.., |(_, child)| child.try_wait().unwrap().is_some());
        for (process, child) in over.collect::<Vec<_>>() {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ended.push((process, Ended { code: output.status.code(), said }));
        }
        let clash = ended.iter().any(|(_, ended)| ended.said.contains("cannot listen at"));
        if clash || Instant::now() > deadline {
            running.iter_mut().for_each(|(_, child)| child.kill().unwrap());
        }
        assert!(Instant::now() < deadline + LONG, "processes that were killed end");
        std::thread::sleep(Duration::from_millis(5));
    }
    ended.sort_by_key(|(process, _)| *process);
    let ended: Vec<Ended> = ended.into_iter().map(|(_, ended)| ended).collect();
    assert!(Instant::now() < deadline, "a process hangs: {ended:?}");
    ended
}
