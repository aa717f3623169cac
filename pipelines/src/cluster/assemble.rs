//! How all processes come together: every process joins process 0; when all have, every pair meets; when all
//! have met, process 0 lets all begin.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use spfde_data::files::DataError;
use spfde_data::files::run_directory::{Member, read_key, remove_key, write_key};

use super::Cluster;
use super::arrivals::{Invitation, POLL, Pair, Start};
use super::error::ClusterError;
use super::greeting;
use super::link::{Broken, HANDSHAKE, Link, hear, is_quiet, tell};
use super::meeting::{Introduction, Line, Meeting};
use super::network::Network;
use super::visit::PAUSE;

/// How long a new file of another machine may take to show up in a shared file system.
const APPEARS: Duration = Duration::from_secs(4);

impl Cluster {
    /// Waits, as process 0, for all others; they begin with what is in `directory`, at `epoch`.
    pub(crate) fn gather(
        self: &Arc<Self>,
        meeting: &Meeting,
        directory: &Path,
        epoch: u32,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Network, ClusterError> {
        if self.listener.is_none() {
            return Ok(Network::alone(meeting.workers));
        }
        let key = greeting::random().map_err(|broken| self.ended(0, broken))?;
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| PathBuf::from(directory));
        write_key(directory, &key)?;
        let invitation = Invitation { directory: absolute, epoch };
        let (meeting, interrupted) = (meeting.clone(), Arc::clone(interrupted));
        let start = Arc::new(Start { meeting, invitation, key, interrupted });
        let joined = self.receive(&start, self.wait, None);
        // The processes that have come have seen the key.
        let removed = remove_key(directory);
        let joined = joined?;
        let agreed = removed.map_err(ClusterError::from).and_then(|()| self.agree(&joined, &start));
        tell_all(&joined, &start, &agreed.as_ref().copied().map_err(ToString::to_string));
        agreed?;
        Network::new(self, start.meeting.workers, joined.into_iter().collect())
    }

    /// Lets, as process 0, all that have joined meet each other, and waits until they have.
    fn agree(&self, joined: &BTreeMap<usize, Pair>, start: &Start) -> Result<(), ClusterError> {
        tell_all(joined, start, &Ok(()));
        let deadline = Instant::now() + 3 * HANDSHAKE;
        let mut waiting: Vec<(&usize, &Pair)> = joined.iter().collect();
        // The first that speaks is the first to be heard: it may give up, and others would name it for that.
        while let Some((late, _)) = waiting.first() {
            if Instant::now() >= deadline {
                return Err(
                    self.ended(**late, Broken::Link("it is not ready, and does not say why".to_owned()))
                );
            }
            if start.interrupted.load(Ordering::Relaxed) {
                return Err(ClusterError::Interrupted);
            }
            for (process, pair) in waiting.extract_if(.., |(_, pair)| !is_quiet(&pair.control)) {
                let said = hear(&pair.control, &start.interrupted);
                said.map_err(|broken| self.ended(*process, broken))?;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Joins, as another process than process 0. `prepare` gets ready for what process 0 says; if it cannot,
    /// no process begins. `directory` is where this process sees the run directory, if not where process 0
    /// does.
    pub(crate) fn join<T, E: From<ClusterError> + Display>(
        self: &Arc<Self>,
        meeting: &Meeting,
        directory: Option<&Path>,
        interrupted: &Arc<AtomicBool>,
        prepare: impl FnOnce(&Invitation, Member) -> Result<T, E>,
    ) -> Result<(Network, T), E> {
        let own = Introduction::new(meeting, self, 0, Line::Control);
        let mut found = None;
        let first = self.visit(&own, self.wait, interrupted, &mut |link| {
            let (invitation, key) = self.accept(link, directory)?;
            found = Some((invitation, key));
            Ok(key)
        })?;
        let (invitation, key) = found.expect("a process that has joined was invited");
        let (meeting, interrupted) = (meeting.clone(), Arc::clone(interrupted));
        let start = Arc::new(Start { meeting, invitation, key, interrupted });
        let mut control = Link::new(first, Instant::now() + self.wait + HANDSHAKE, &start.interrupted);
        let member =
            Member::join(&start.invitation.directory, self.process).map_err(|error| E::from(error.into()));
        let met = member.and_then(|member| {
            let prepared = prepare(&start.invitation, member)?;
            Ok((prepared, self.meet(&start, &mut control)?))
        });
        control.deadline = Instant::now() + 3 * HANDSHAKE;
        let told = met.as_ref().map(|_| ()).map_err(ToString::to_string);
        let told = control.send_verdict(told.as_ref().copied().map_err(String::as_str));
        let (prepared, (data, mut pairs)) = met?;
        let begun = told.and_then(|()| control.receive_verdict());
        begun.map_err(|broken| self.ended(0, broken))?;
        pairs.push((0, Pair { control: control.stream, data }));
        Ok((Network::new(self, start.meeting.workers, pairs)?, prepared))
    }

    /// Waits until all have joined process 0, and meets them: the data connection to process 0, and the
    /// others.
    fn meet(
        self: &Arc<Self>,
        start: &Arc<Start>,
        control: &mut Link<'_>,
    ) -> Result<(TcpStream, Vec<(usize, Pair)>), ClusterError> {
        let visit = |process, line| {
            let own = Introduction::new(&start.meeting, self, process, line);
            self.visit(&own, HANDSHAKE, &start.interrupted, &mut |_| Ok(start.key))
        };
        let data = visit(0, Line::Data)?;
        control.receive_verdict().map_err(|broken| self.ended(0, broken))?;
        let mut pairs = Vec::new();
        for process in 1..self.process {
            let (control, data) = (visit(process, Line::Control)?, visit(process, Line::Data)?);
            pairs.push((process, Pair { control, data }));
        }
        pairs.extend(self.receive(start, 2 * HANDSHAKE, Some(&control.stream))?);
        Ok((data, pairs))
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
            Err(error) => Err(link.refuse(format!(
                "process {} does not see the run directory, which has to lie in a file system that all \
                 processes share (--run-dir): {error}",
                self.process
            ))),
        }
    }

    /// That the connection to process `process` broke before the start.
    pub(super) fn ended(&self, process: usize, broken: Broken) -> ClusterError {
        if broken == Broken::Interrupted {
            return ClusterError::Interrupted;
        }
        let (name, why) = (self.name(process), broken.into_reason());
        ClusterError::Apart { reason: format!("{name} gave up before the start: {why}") }
    }

    /// Process `process` and its address, in words.
    pub(super) fn name(&self, process: usize) -> String {
        format!("process {process} at {}", self.hosts.get(process))
    }
}

/// Tells all that have joined process 0 whether it goes on. One that is gone now is lost to all that begin,
/// and they notice.
fn tell_all(joined: &BTreeMap<usize, Pair>, start: &Start, verdict: &Result<(), String>) {
    for pair in joined.values() {
        tell(&pair.control, &start.interrupted, verdict.as_ref().copied().map_err(String::as_str));
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
