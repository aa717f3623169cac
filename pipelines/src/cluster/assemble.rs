//! How all processes come together: every process joins process 0; when all have, every pair meets; when all
//! have met, process 0 lets all begin.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spfde_data::files::DataError;
use spfde_data::files::run_directory::{Member, read_key, remove_key, write_key};

use super::arrivals::{Connections, POLL};
use super::handshake::{PAUSE, random};
use super::{Broken, Cluster, HANDSHAKE, Line, Link, Meeting, Network, Secret, is_quiet};
use crate::{Error, Result};

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

/// How this process and the others come together.
pub(super) struct Start {
    pub(super) cluster: Arc<Cluster>,
    pub(super) meeting: Meeting,
    pub(super) interrupted: Arc<AtomicBool>,
    /// Where this process sees the run directory, if not where process 0 does.
    directory: Option<PathBuf>,
    /// What process 0 says, and the key in the run directory, which is never sent.
    invited: Mutex<Option<(Invitation, Secret)>>,
}

impl Cluster {
    fn start(self: &Arc<Self>, meeting: &Meeting, interrupted: &Arc<AtomicBool>) -> Start {
        let (meeting, interrupted) = (meeting.clone(), Arc::clone(interrupted));
        Start { cluster: Arc::clone(self), meeting, interrupted, directory: None, invited: Mutex::default() }
    }

    /// Waits, as process 0, for all others; they begin with what is in `directory`, at `epoch`.
    pub(crate) fn gather(
        self: &Arc<Self>,
        meeting: &Meeting,
        directory: &Path,
        epoch: u32,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Network> {
        let key = random().map_err(Error::failed)?;
        write_key(directory, &key)?;
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| PathBuf::from(directory));
        let invited = (Invitation { directory: absolute, epoch }, Secret(key));
        let invited = Mutex::new(Some(invited));
        let start = Arc::new(Start { invited, ..self.start(meeting, interrupted) });
        let mut joined = Connections::new();
        let received = start.receive(&mut joined, self.wait, None);
        // The processes that have come have seen the key.
        let removed = remove_key(directory);
        let agreed = received.and_then(|()| Ok(removed?)).and_then(|()| start.agree(&joined));
        start.tell_all(&joined, &agreed);
        agreed?;
        Ok(Network::new(self, meeting.workers, joined))
    }

    /// Joins, as another process than process 0. `prepare` gets ready for what process 0 says; if it cannot,
    /// no process begins. `directory` is where this process sees the run directory, if not where process 0
    /// does.
    pub(crate) fn join<T>(
        self: &Arc<Self>,
        meeting: &Meeting,
        directory: Option<&Path>,
        interrupted: &Arc<AtomicBool>,
        prepare: impl FnOnce(&Invitation, Member) -> Result<T>,
    ) -> Result<(Network, T)> {
        let directory = directory.map(PathBuf::from);
        let start = Arc::new(Start { directory, ..self.start(meeting, interrupted) });
        let first = start.visit(0, Line::Control, self.wait)?;
        let (invitation, _) = start.invited();
        let member = Member::join(&invitation.directory, self.process).map_err(Error::from);
        let met = member.and_then(|member| {
            let prepared = prepare(&invitation, member)?;
            Ok((prepared, start.meet(&first)?))
        });
        let mut control = start.link(&first, 3 * HANDSHAKE);
        let told = control.say(&met.as_ref().map(|_| ()).map_err(ToString::to_string));
        let (prepared, mut connections) = met?;
        told.and_then(|()| control.receive::<()>()).map_err(|broken| start.ended(0, broken))?;
        connections.insert((0, Line::Control), first);
        Ok((Network::new(self, meeting.workers, connections), prepared))
    }
}

impl Start {
    /// The connection `stream`, on which everything has to be said within `time`.
    pub(super) fn link<'a>(&'a self, stream: &'a TcpStream, time: Duration) -> Link<'a> {
        Link::new(stream, time, &self.interrupted)
    }

    /// What process 0 says, and the key in the run directory.
    pub(super) fn invited(&self) -> (Invitation, Secret) {
        let invited = self.invited.lock().unwrap_or_else(PoisonError::into_inner);
        invited.clone().expect("a process that joins has been invited")
    }

    /// Takes the invitation of process 0, if this process sees the run directory: by the key in it.
    pub(super) fn accept(&self, mut invitation: Invitation) -> Result<(), String> {
        if let Some(directory) = &self.directory {
            invitation.directory.clone_from(directory);
        }
        let key = wait_for_key(&invitation.directory).map_err(|error| {
            format!(
                "process {} does not see the run directory, which has to lie in a file system that all \
                 processes share (train --run-dir, resume RUN): {error}",
                self.cluster.process
            )
        })?;
        *self.invited.lock().unwrap_or_else(PoisonError::into_inner) = Some((invitation, key));
        Ok(())
    }

    /// Lets, as process 0, all that have joined meet each other, and waits until they have.
    fn agree(&self, joined: &Connections) -> Result<()> {
        self.tell_all(joined, &Ok(()));
        let deadline = Instant::now() + 3 * HANDSHAKE;
        let mut waiting: Vec<(usize, &TcpStream)> = controls(joined).collect();
        // The first that speaks is the first to be heard: it may give up, and others would name it for that.
        while let Some((late, _)) = waiting.first() {
            if Instant::now() >= deadline {
                let why = "it is not ready, and does not say why".to_owned();
                return Err(self.ended(*late, Broken::Link(why)));
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            for (process, control) in waiting.extract_if(.., |(_, control)| !is_quiet(control)) {
                self.hear(process, control, HANDSHAKE)?;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until all have joined process 0, and meets them: the connections to all others, but for the one
    /// to process 0 that is there already.
    fn meet(self: &Arc<Self>, first: &TcpStream) -> Result<Connections> {
        let (mut met, mut joined) = (Connections::new(), Connections::new());
        let mut visit = |process, line| {
            met.insert((process, line), self.visit(process, line, HANDSHAKE)?);
            Ok::<_, Error>(())
        };
        visit(0, Line::Data)?;
        self.hear(0, first, self.cluster.wait + HANDSHAKE)?;
        for process in 1..self.cluster.process {
            visit(process, Line::Control)?;
            visit(process, Line::Data)?;
        }
        self.receive(&mut joined, 2 * HANDSHAKE, Some(first))?;
        met.append(&mut joined);
        Ok(met)
    }

    /// Hears from process `process`, within `time`, that it goes on.
    pub(super) fn hear(&self, process: usize, control: &TcpStream, time: Duration) -> Result<()> {
        self.link(control, time).receive().map_err(|broken| self.ended(process, broken))
    }

    /// Tells all that have joined process 0 whether it goes on. One that is gone now is lost to all that
    /// begin, and they notice.
    fn tell_all(&self, joined: &Connections, verdict: &Result<()>) {
        let verdict = verdict.as_ref().copied().map_err(ToString::to_string);
        controls(joined).for_each(|(_, control)| drop(self.link(control, HANDSHAKE).say(&verdict)));
    }

    /// That the connection to process `process` broke before the start.
    fn ended(&self, process: usize, broken: Broken) -> Error {
        if broken == Broken::Interrupted {
            return Error::interrupted();
        }
        Error::failed(format!("{} gave up before the start: {broken}", self.cluster.name(process)))
    }
}

/// The connections for control.
fn controls(joined: &Connections) -> impl Iterator<Item = (usize, &TcpStream)> {
    let controls = joined.iter().filter(|((_, line), _)| *line == Line::Control);
    controls.map(|((process, _), control)| (*process, control))
}

/// The key in the run directory at `path`.
fn wait_for_key(path: &Path) -> Result<Secret, DataError> {
    let deadline = Instant::now() + APPEARS;
    loop {
        match read_key(path) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            read => return read.map(Secret),
        }
    }
}
