//! The runs of a sweep, each in a process of its own.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use spfde_data::Value;
use spfde_data::files::run_directory::is_held;
use spfde_data::files::{CONFIG_NAME, Manifest};

use super::{Job, Sweep};
use crate::{Error, Result};

/// How often processes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long processes have to end by themselves once the sweep is asked to end: Ctrl-C in a terminal reaches
/// them, too. Then they are killed, which loses nothing that is committed.
const GRACE: Duration = Duration::from_secs(5);

/// Is shown how a sweep goes, by several threads at once.
pub trait Progress: Sync {
    /// A run begins, or goes on: that at this place.
    ///
    /// # Errors
    /// If something cannot be written: then the sweep ends, after the runs in flight.
    fn begun(&self, job: usize) -> Result<()>;
    /// A run came to its end, or failed for a reason.
    ///
    /// # Errors
    /// If something cannot be written: then the sweep ends, after the runs in flight.
    fn ended(&self, job: usize, failed: Option<&str>) -> Result<()>;
}

/// Trains what is left to do of the `jobs`, so many side by side, each with so many `workers`. Runs that are
/// finished are left alone; those that another process trains are waited for.
///
/// # Errors
/// If the sweep was asked to end; if a program could not be started, or `progress` failed.
pub fn train(
    sweep: &Sweep,
    jobs: &[Job],
    parallel: usize,
    workers: usize,
    interrupted: &AtomicBool,
    progress: &impl Progress,
) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || -> Result<()> {
        while !interrupted.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return Ok(()) };
            let ended = run(sweep, job, workers, interrupted, || progress.begun(at));
            let told = ended.and_then(|ended| match ended {
                Some(ended) => progress.ended(at, ended.err().as_deref()),
                None => Ok(()),
            });
            told.inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no thread of it panics"));
        ended.collect::<Vec<_>>().into_iter().collect::<Result<()>>()
    })?;
    if interrupted.load(Ordering::Relaxed) {
        let reason = "interrupted; the same command goes on with it".to_owned();
        return Err(Error::Failed { reason, code: 130 });
    }
    Ok(())
}

/// Trains one run, unless it is finished; why it failed, if it did. `None` if the sweep was asked to end
/// before.
fn run(
    sweep: &Sweep,
    job: &Job,
    workers: usize,
    interrupted: &AtomicBool,
    begun: impl FnOnce() -> Result<()>,
) -> Result<Option<Result<(), String>>> {
    let directory = &job.directory;
    // A sweep that was killed leaves its processes behind.
    while is_held(directory).unwrap_or(false) {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    if Manifest::read(directory).is_ok_and(|manifest| manifest.finished) {
        return Ok(Some(Ok(())));
    }
    begun()?;
    let cannot = |error| Error::failed(format!("{}: cannot train it: {error}", directory.display()));
    let mut command = program().map_err(cannot)?;
    match directory.join(CONFIG_NAME).is_file() {
        true => command.arg("resume").arg(directory),
        false => command.arg("train").args(words(sweep, job)).arg("--run-dir").arg(directory),
    };
    command.args(["--quiet", "--workers", &workers.to_string()]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let (status, said) = wait(child.map_err(cannot)?, interrupted).map_err(cannot)?;
    if status.success() {
        return Ok(Some(Ok(())));
    }
    if interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let said = said.lines().rev().find(|line| !line.trim().is_empty());
    let name = format!("{}: ", crate::error::program());
    let reason = said.map(|line| line.strip_prefix(&name).unwrap_or(line).to_owned());
    Ok(Some(Err(reason.unwrap_or_else(|| format!("ended with {status}")))))
}

/// This program, once more.
fn program() -> std::io::Result<Command> {
    let path = std::env::current_exe()?;
    // Also if its file has been replaced since it was started: all runs of a sweep are of one version.
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let running = Path::new("/proc/self/exe");
        if running.exists() {
            let mut command = Command::new(running);
            command.arg0(path);
            return Ok(command);
        }
    }
    Ok(Command::new(path))
}

/// The settings of a run as words of the command line.
fn words(sweep: &Sweep, job: &Job) -> Vec<String> {
    let settings = sweep.members[job.member].settings.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => toml::Value::String(text.clone()).to_string(),
            number => number.to_string(),
        };
        format!("{key}={value}")
    });
    settings.chain([format!("seed={}", job.seed)]).collect()
}

/// Waits for a process; how it ended, and what it said on standard error.
fn wait(mut child: Child, interrupted: &AtomicBool) -> std::io::Result<(ExitStatus, String)> {
    let said = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut kept = Vec::new();
        // What was read before an error is worth having.
        said.map(|mut said| said.read_to_end(&mut kept));
        kept
    });
    let mut asked = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if interrupted.load(Ordering::Relaxed) && asked.get_or_insert_with(Instant::now).elapsed() > GRACE {
            child.kill()?;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let said = reader.join().unwrap_or_default();
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}
