//! How all processes come together: every process joins process 0, then every pair meets, then process 0 lets all begin.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spfde_data::files::DataError;
use spfde_data::files::run_directory::{Member, read_key, remove_key, write_key};

use super::Cluster;
use super::arrivals::{Arrivals, Invitation, Pair, broken_by};
use super::error::ClusterError;
use super::greeting;
use super::link::{Broken, HANDSHAKE, Link, Word, heard};
use super::meeting::{Introduction, Line, Meeting};
use super::network::Network;
use super::visit::PAUSE;
use crate::error::Error;

/// How long a new file of another machine may take to show up in a shared file system.
const APPEARS: Duration = Duration::from_secs(4);

impl Cluster {
    /// Waits, as process 0, for all others; they begin with what is in `directory`, at `epoch`.
    pub(crate) fn gather(
        &self,
        meeting: &Meeting,
        directory: &Path,
        epoch: u32,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Network, Error> {
        let Some(listeners) = &self.listeners else { return Ok(Network::alone(meeting.workers)) };
        let key = greeting::random().map_err(unable)?;
        let absolute = std::path::absolute(directory).map_err(|error| unable(error.into()))?;
        write_key(directory, &key)?;
        let arrivals = self.arrivals(meeting, (Invitation { directory: absolute, epoch }, key), interrupted);
        let joined = arrivals.wait(listeners, self.wait, &|| Ok(()));
        // The processes that have come have seen the key.
        let removed = remove_key(directory);
        let joined = joined?;
        let told = removed.as_ref().map_err(ToString::to_string).copied();
        for pair in joined.values() {
            // A process that is gone now is lost to all that have been told to begin, and they will notice.
            let link = pair.control.try_clone().map(|stream| Link::new(stream, later(), interrupted));
            let _ = link.map(|mut link| link.send_verdict(told.as_ref().copied().map_err(String::as_str)));
        }
        removed?;
        Ok(Network::new(self, meeting.workers, joined.into_iter().collect())?)
    }

    /// Joins, as another process than process 0. `prepare` gets ready for what process 0 says; if it cannot, no process begins.
    /// `directory` is where this process sees the run directory, if not where process 0 does.
    pub(crate) fn join<T>(
        &self,
        meeting: &Meeting,
        directory: Option<&Path>,
        interrupted: &Arc<AtomicBool>,
        prepare: impl FnOnce(&Invitation, Member) -> Result<T, Error>,
    ) -> Result<(Network, T), Error> {
        let listeners = self.listeners.as_ref().expect("a process that is not the first has others");
        let own = |to, line| Introduction::new(meeting, self.processes(), self.process, to, line);
        let found = Mutex::new(None);
        let see = |link: &mut Link<'_>| {
            let (invitation, key) = self.accept(link, directory)?;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some((invitation, key));
            Ok(key)
        };
        let first = self.visit(&own(0, Line::Control), &see, interrupted, &|| Ok(()))?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (invitation, key) = found.expect("a process that has joined was invited");
        let speak = |verdict: Result<(), &str>| {
            let stream = first.try_clone().map_err(Broken::from)?;
            Link::new(stream, later(), interrupted).send_verdict(verdict)
        };
        let listen = |deadline: Instant| {
            let stream = first.try_clone().map_err(Broken::from);
            let said = stream.and_then(|stream| Link::new(stream, deadline, interrupted).receive_verdict());
            said.map_err(|broken| broken_by(&self.hosts, 0, broken))
        };
        // Process 0 says nothing before all are ready, unless it gives up.
        let watch = || match heard(&first) {
            Word::Nothing => Ok(()),
            _ => listen(later()).and(Err(ClusterError::Interrupted)),
        };
        let meet = || {
            let know = |_: &mut Link<'_>| Ok(key);
            let visit = |of, line| self.visit(&own(of, line), &know, interrupted, &watch);
            let mut pairs: Vec<(usize, Pair)> = Vec::new();
            let data = visit(0, Line::Data)?;
            for process in 1..self.process {
                let (control, data) = (visit(process, Line::Control)?, visit(process, Line::Data)?);
                pairs.push((process, Pair { control, data }));
            }
            let arrivals = self.arrivals(meeting, (invitation.clone(), key), interrupted);
            pairs.extend(arrivals.wait(listeners, self.wait, &watch)?);
            Ok::<_, ClusterError>((data, pairs))
        };
        let joined = Member::join(&invitation.directory, self.process).map_err(Error::from);
        let ready = joined.and_then(|member| {
            let prepared = prepare(&invitation, member)?;
            Ok((prepared, meet()?))
        });
        let (prepared, (data, mut pairs)) = ready.inspect_err(|error| {
            let _ = speak(Err(&error.to_string()));
        })?;
        speak(Ok(())).map_err(|broken| broken_by(&self.hosts, 0, broken))?;
        // Process 0 has its own time limit, and tells when it is over.
        listen(later() + self.wait)?;
        pairs.push((0, Pair { control: first, data }));
        Ok((Network::new(self, meeting.workers, pairs)?, prepared))
    }

    /// Takes the invitation of process 0, if this process sees the run directory: by the key in it.
    fn accept(
        &self,
        link: &mut Link<'_>,
        directory: Option<&Path>,
    ) -> Result<(Invitation, [u8; 32]), Broken> {
        let mut invitation: Invitation = link.receive()?;
        if let Some(directory) = directory {
            invitation.directory = PathBuf::from(directory);
        }
        match wait_for_key(&invitation.directory) {
            Ok(key) => {
                link.send_verdict(Ok(()))?;
                Ok((invitation, key))
            }
            Err(error) => {
                let reason = format!(
                    "process {} does not see the run directory, which has to lie in a file system that all processes share \
                     (--run-dir): {error}",
                    self.process
                );
                link.send_verdict(Err(&reason))?;
                Err(Broken::Refused(reason))
            }
        }
    }

    fn arrivals(
        &self,
        meeting: &Meeting,
        (invitation, key): (Invitation, [u8; 32]),
        interrupted: &Arc<AtomicBool>,
    ) -> Arc<Arrivals> {
        Arc::new(Arrivals {
            secret: self.secret.clone(),
            own: meeting.clone(),
            hosts: self.hosts.clone(),
            me: self.process,
            invitation,
            key,
            interrupted: Arc::clone(interrupted),
            notes: self.notes.clone(),
            state: Mutex::default(),
        })
    }
}

/// By when a process that is asked now has to have answered.
pub(super) fn later() -> Instant {
    Instant::now() + HANDSHAKE
}

fn unable(broken: Broken) -> ClusterError {
    match broken {
        Broken::Interrupted => ClusterError::Interrupted,
        Broken::Link(reason) | Broken::Doubtful(reason) | Broken::Refused(reason) => {
            ClusterError::Apart { reason: format!("this process cannot take part: {reason}") }
        }
    }
}

/// The key in the run directory at `path`.
fn wait_for_key(path: &Path) -> Result<[u8; 32], DataError> {
    let deadline = Instant::now() + APPEARS;
    loop {
        match read_key(path) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            read => return read,
        }
    }
}
