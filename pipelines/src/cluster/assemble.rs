//! How all processes come together: every process joins process 0; when all have, every pair meets; when all
//! have met, process 0 lets all begin.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spfde_data::files::DataError;
use spfde_data::files::run_directory::{Member, read_key, remove_key, write_key};

use super::Cluster;
use super::arrivals::{Connections, POLL};
use super::handshake::random;
use super::link::{Broken, HANDSHAKE, Link, is_quiet};
use super::meeting::{Introduction, Line, Meeting};
use super::network::Network;
use super::secret::Secret;
use super::visit::PAUSE;
use crate::error::Error;

/// How long a new file of another machine may take to show up in a shared file system.
const APPEARS: Duration = Duration::from_secs(4);

/// What process 0 says of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// The run directory, as the process that reads this sees it.
    pub(crate) directory: PathBuf,
    /// The epoch at which the run begins or goes on.
    pub(crate) epoch: u32,
}

/// What the processes of one start have in common.
pub(super) struct Start {
    pub(super) meeting: Meeting,
    pub(super) invitation: Invitation,
    /// It lies in the run directory, and is never sent.
    pub(super) key: Secret,
    pub(super) interrupted: Arc<AtomicBool>,
}

impl Cluster {
    /// Waits, as process 0, for all others; they begin with what is in `directory`, at `epoch`.
    pub(crate) fn gather(
        self: &Arc<Self>,
        meeting: &Meeting,
        directory: &Path,
        epoch: u32,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Network, Error> {
        if self.listener.is_none() {
            return Ok(Network::alone(meeting.workers));
        }
        let key = random().map_err(Error::failed)?;
        write_key(directory, &key)?;
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| PathBuf::from(directory));
        let start = Arc::new(Start {
            meeting: meeting.clone(),
            invitation: Invitation { directory: absolute, epoch },
            key: Secret::of_key(key),
            interrupted: Arc::clone(interrupted),
        });
        let mut joined = Connections::new();
        let received = self.receive(&mut joined, &start, self.wait, None);
        // The processes that have come have seen the key.
        let removed = remove_key(directory);
        let agreed = received.and_then(|()| Ok(removed?)).and_then(|()| self.agree(&joined, interrupted));
        tell_all(&joined, interrupted, &agreed);
        agreed?;
        Ok(Network::new(self, meeting.workers, joined))
    }

    /// Lets, as process 0, all that have joined meet each other, and waits until they have.
    fn agree(&self, joined: &Connections, interrupted: &AtomicBool) -> Result<(), Error> {
        tell_all(joined, interrupted, &Ok(()));
        let deadline = Instant::now() + 3 * HANDSHAKE;
        let mut waiting: Vec<(usize, &TcpStream)> = controls(joined).collect();
        // The first that speaks is the first to be heard: it may give up, and others would name it for that.
        while let Some((late, _)) = waiting.first() {
            if Instant::now() >= deadline {
                return Err(
                    self.ended(*late, Broken::Link("it is not ready, and does not say why".to_owned()))
                );
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            for (process, control) in waiting.extract_if(.., |(_, control)| !is_quiet(control)) {
                self.hear(process, control, interrupted)?;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Joins, as another process than process 0. `prepare` gets ready for what process 0 says; if it cannot,
    /// no process begins. `directory` is where this process sees the run directory, if not where process 0
    /// does.
    pub(crate) fn join<T>(
        self: &Arc<Self>,
        meeting: &Meeting,
        directory: Option<&Path>,
        interrupted: &Arc<AtomicBool>,
        prepare: impl FnOnce(&Invitation, Member) -> Result<T, Error>,
    ) -> Result<(Network, T), Error> {
        let own = Introduction::new(meeting, self, 0, Line::Control);
        let mut found = None;
        let first = self.visit(&own, self.wait, interrupted, &mut |mut invitation| {
            if let Some(directory) = directory {
                invitation.directory = PathBuf::from(directory);
            }
            let key = wait_for_key(&invitation.directory).map_err(|error| {
                format!(
                    "process {} does not see the run directory, which has to lie in a file system that all \
                     processes share (--run-dir): {error}",
                    self.process
                )
            })?;
            found = Some((invitation, key.clone()));
            Ok(key)
        })?;
        let (invitation, key) = found.expect("a process that has joined was invited");
        let (meeting, interrupted) = (meeting.clone(), Arc::clone(interrupted));
        let start = Arc::new(Start { meeting, invitation, key, interrupted });
        let member = Member::join(&start.invitation.directory, self.process).map_err(Error::from);
        let met = member.and_then(|member| {
            let prepared = prepare(&start.invitation, member)?;
            Ok((prepared, self.meet(&start, &first)?))
        });
        let mut control = Link::new(&first, 3 * HANDSHAKE, &start.interrupted);
        let told = control.say(&met.as_ref().map(|_| ()).map_err(ToString::to_string));
        let (prepared, mut connections) = met?;
        told.and_then(|()| control.receive::<()>()).map_err(|broken| self.ended(0, broken))?;
        connections.insert((0, Line::Control), first);
        Ok((Network::new(self, start.meeting.workers, connections), prepared))
    }

    /// Waits until all have joined process 0, and meets them: the connections to all others, but for the one
    /// to process 0 that is there already.
    fn meet(self: &Arc<Self>, start: &Arc<Start>, first: &TcpStream) -> Result<Connections, Error> {
        let mut met = Connections::new();
        let mut visit = |process, line| {
            let own = Introduction::new(&start.meeting, self, process, line);
            let stream = self.visit(&own, HANDSHAKE, &start.interrupted, &mut |_| Ok(start.key.clone()))?;
            met.insert((process, line), stream);
            Ok::<_, Error>(())
        };
        visit(0, Line::Data)?;
        let mut control = Link::new(first, self.wait + HANDSHAKE, &start.interrupted);
        control.receive::<()>().map_err(|broken| self.ended(0, broken))?;
        for process in 1..self.process {
            visit(process, Line::Control)?;
            visit(process, Line::Data)?;
        }
        let mut joined = Connections::new();
        self.receive(&mut joined, start, 2 * HANDSHAKE, Some(first))?;
        met.append(&mut joined);
        Ok(met)
    }

    /// Hears from process `process` that it goes on.
    pub(super) fn hear(
        &self,
        process: usize,
        control: &TcpStream,
        interrupted: &AtomicBool,
    ) -> Result<(), Error> {
        Link::new(control, HANDSHAKE, interrupted).receive().map_err(|broken| self.ended(process, broken))
    }

    /// That the connection to process `process` broke before the start.
    fn ended(&self, process: usize, broken: Broken) -> Error {
        if broken == Broken::Interrupted {
            return Error::interrupted();
        }
        let (name, why) = (self.name(process), broken.into_reason());
        Error::failed(format!("{name} gave up before the start: {why}"))
    }
}

/// The connections for control.
fn controls(joined: &Connections) -> impl Iterator<Item = (usize, &TcpStream)> {
    let controls = joined.iter().filter(|((_, line), _)| *line == Line::Control);
    controls.map(|((process, _), control)| (*process, control))
}

/// Tells all that have joined process 0 whether it goes on. One that is gone now is lost to all that begin,
/// and they notice.
fn tell_all(joined: &Connections, interrupted: &AtomicBool, verdict: &Result<(), Error>) {
    let verdict = verdict.as_ref().copied().map_err(ToString::to_string);
    for (_, control) in controls(joined) {
        let _ = Link::new(control, HANDSHAKE, interrupted).say(&verdict);
    }
}

/// The key in the run directory at `path`.
fn wait_for_key(path: &Path) -> Result<Secret, DataError> {
    let deadline = Instant::now() + APPEARS;
    loop {
        match read_key(path) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            read => return read.map(Secret::of_key),
        }
    }
}
