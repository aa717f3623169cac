//! How all processes come together: everyone joins process 0, then every pair meets, then process 0 says that it begins.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spfde_data::files::run_directory::{Member, read_key, remove_key, write_key};

use super::Cluster;
use super::arrivals::{Arrivals, POLL, Place, State};
use super::error::ClusterError;
use super::greeting;
use super::link::{Broken, HANDSHAKE, Link, Word, heard};
use super::meeting::{Introduction, Meeting};
use super::network::Network;
use super::visit::PAUSE;
use crate::error::Error;

/// How long a new file of another machine may take to show up in a shared file system.
const APPEARS: Duration = Duration::from_secs(4);

/// What process 0 says to one that joins.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    /// The directory for what is written as this process sees it, if there is one.
    pub(crate) directory: Option<PathBuf>,
    /// The epoch at which the run begins or goes on.
    pub(crate) epoch: u32,
}

impl Invitation {
    /// Joins the run in the directory.
    ///
    /// # Errors
    /// If there is none, or a process of the same number works there already.
    pub(crate) fn member(&self, cluster: &Cluster) -> Result<Member, Error> {
        match &self.directory {
            Some(path) => Ok(Member::join(path, cluster.process)?),
            None => Err(ClusterError::Unable { reason: "process 0 has no run directory".to_owned() }.into()),
        }
    }
}

impl Cluster {
    /// Waits, as process 0, for all others; they begin with what is in `directory`, at `epoch`.
    pub(crate) fn gather(
        &self,
        meeting: &Meeting,
        directory: Option<&Path>,
        epoch: u32,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Network, Error> {
        let round = self.next_round();
        let Some(listeners) = &self.listeners else { return Ok(Network::alone(meeting.workers)) };
        let mut key = [0; 32];
        greeting::random(&mut key).map_err(|broken| unable(&broken))?;
        let path = directory.map(std::path::absolute);
        let path = path.transpose().map_err(|error| ClusterError::Unable { reason: error.to_string() })?;
        if let Some(directory) = directory {
            write_key(directory, &key)?;
        }
        let place = Place { directory: path, epoch, key };
        let arrivals = self.arrivals(meeting, round, place, interrupted);
        let deadline = Instant::now() + self.wait;
        let joined = arrivals.wait(listeners, &self.hosts, (self.wait, deadline), &|| Ok(()));
        let (mut links, ready) = match joined {
            Err(error) => (Vec::new(), Err(error)),
            Ok(joined) => {
                let link = |(process, stream): (usize, TcpStream)| {
                    (process, Link::new(stream, later(), interrupted))
                };
                let mut links: Vec<(usize, Link<'_>)> = joined.into_iter().map(link).collect();
                let ready = self.all_ready(&mut links, interrupted, deadline.max(later()));
                (links, ready)
            }
        };
        // Whoever has come has seen the key.
        let removed = directory.map_or(Ok(()), remove_key);
        let verdict = match (ready, removed) {
            (Ok(()), removed) => removed.map_err(Error::from),
            (Err(error), removed) => {
                if let Err(error) = removed {
                    crate::command::remark(format_args!("the key of this start stays: {error}"));
                }
                Err(error.into())
            }
        };
        let told = verdict.as_ref().copied().map_err(ToString::to_string);
        for (_, link) in &mut links {
            link.deadline = later();
            // Whoever is gone now is lost to all that have been told to begin, and they will notice.
            let _ = link.send_verdict(&told);
        }
        verdict?;
        let streams = links.into_iter().map(|(process, link)| (process, link.stream)).collect();
        Ok(Network::new(self, meeting, streams, interrupted)?)
    }

    /// Waits, as process 0, until all that have joined have said that they are ready. It ends with the first that gives up, or
    /// is gone, whichever of them that is: the others wait for it, and would name another.
    fn all_ready(
        &self,
        links: &mut [(usize, Link<'_>)],
        interrupted: &AtomicBool,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        let mut ready = vec![false; links.len()];
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Err(ClusterError::Interrupted);
            }
            for ((process, link), ready) in links.iter_mut().zip(&mut ready) {
                if heard(&link.stream) != Word::Nothing {
                    link.deadline = later();
                    link.receive_verdict().map_err(|broken| self.ended(*process, broken))?;
                    *ready = true;
                }
            }
            let Some(waiting) = ready.iter().position(|ready| !ready) else { return Ok(()) };
            if Instant::now() >= deadline {
                let reason = "it is not ready, and does not say why".to_owned();
                return Err(self.ended(links[waiting].0, Broken::Link(reason)));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Joins, as another process than process 0. `prepare` gets ready for what process 0 says; if it cannot, nobody begins.
    /// `directory` is where this process sees the run directory, if not where process 0 does.
    pub(crate) fn join<T>(
        &self,
        meeting: &Meeting,
        directory: Option<&Path>,
        interrupted: &Arc<AtomicBool>,
        prepare: impl FnOnce(&Invitation) -> Result<T, Error>,
    ) -> Result<(Network, T), Error> {
        let round = self.next_round();
        let listeners = self.listeners.as_ref().expect("a process that is not the first has others");
        let own = |to: usize| Introduction::new(meeting, round, self.processes(), self.process, to);
        let found: Mutex<Option<Place>> = Mutex::default();
        let see = |link: &mut Link<'_>| {
            let mut place = Place::receive(link)?;
            if let Some(path) = place.directory.as_mut() {
                if let Some(directory) = directory {
                    *path = directory.to_owned();
                }
                place.key = match wait_for_key(path) {
                    Ok(key) => key,
                    Err(error) => {
                        let reason = format!(
                            "process {} does not see the run directory, which has to lie in a file system that all \
                             processes share, where each is told that the run directory is (of a replay its --out): {error}",
                            self.process
                        );
                        link.send_verdict(&Err(reason.clone()))?;
                        return Err(Broken::Refused(reason));
                    }
                };
            }
            link.send_verdict(&Ok(()))?;
            let key = place.key;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
            Ok(key)
        };
        let first = self.visit(0, &own(0), &see, interrupted, &|| Ok(()))?;
        let place = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let place = place.expect("whoever has joined knows the place");
        let invitation = Invitation { directory: place.directory.clone(), epoch: place.epoch };
        let give_up = |error: &dyn std::fmt::Display| {
            if let Ok(stream) = first.try_clone() {
                let _ = Link::new(stream, later(), interrupted).send_verdict(&Err(error.to_string()));
            }
        };
        let prepared = prepare(&invitation).inspect_err(|error| give_up(error))?;
        let watch = || match heard(&first) {
            Word::Nothing => Ok(()),
            _ => {
                Err(self.first_says(&first, interrupted, later()).err().unwrap_or(ClusterError::Interrupted))
            }
        };
        let meet = || {
            let mut streams = Vec::new();
            for process in 1..self.process {
                let key = |_: &mut Link<'_>| Ok(place.key);
                let stream = self.visit(process, &own(process), &key, interrupted, &watch)?;
                streams.push((process, stream));
            }
            let arrivals = self.arrivals(meeting, round, place.clone(), interrupted);
            let until = (self.wait, Instant::now() + self.wait);
            streams.extend(arrivals.wait(listeners, &self.hosts, until, &watch)?);
            Ok(streams)
        };
        let mut streams = meet().inspect_err(|error: &ClusterError| give_up(error))?;
        let ready = first.try_clone().map_err(|error| Broken::Link(error.to_string()));
        let ready = ready.and_then(|stream| Link::new(stream, later(), interrupted).send_verdict(&Ok(())));
        ready.map_err(|broken| self.ended(0, broken))?;
        // Process 0 has its own time limit, and tells when it is over.
        self.first_says(&first, interrupted, later() + self.wait)?;
        streams.push((0, first));
        Ok((Network::new(self, meeting, streams, interrupted)?, prepared))
    }

    fn next_round(&self) -> u32 {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        *rounds += 1;
        *rounds
    }

    fn arrivals(
        &self,
        meeting: &Meeting,
        round: u32,
        place: Place,
        interrupted: &Arc<AtomicBool>,
    ) -> Arc<Arrivals> {
        Arc::new(Arrivals {
            secret: self.secret.clone(),
            own: Introduction::new(meeting, round, self.processes(), self.process, self.process),
            differs: meeting.subject.differs,
            me: self.process,
            place,
            interrupted: Arc::clone(interrupted),
            state: Mutex::new(State::default()),
        })
    }

    /// Waits until process 0 says that it begins.
    fn first_says(
        &self,
        first: &TcpStream,
        interrupted: &AtomicBool,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        let stream = first.try_clone().map_err(|error| self.ended(0, Broken::Link(error.to_string())))?;
        let said = Link::new(stream, deadline, interrupted).receive_verdict();
        said.map_err(|broken| self.ended(0, broken))
    }

    fn ended(&self, process: usize, broken: Broken) -> ClusterError {
        match broken {
            Broken::Interrupted => ClusterError::Interrupted,
            Broken::Link(reason) | Broken::Doubtful(reason) | Broken::Refused(reason) => {
                ClusterError::Ended { process, address: self.hosts.get(process).to_string(), reason }
            }
        }
    }
}

/// By when whoever is asked now has to have answered.
pub(super) fn later() -> Instant {
    Instant::now() + HANDSHAKE
}

fn unable(broken: &Broken) -> ClusterError {
    match broken {
        Broken::Interrupted => ClusterError::Interrupted,
        Broken::Link(reason) | Broken::Doubtful(reason) | Broken::Refused(reason) => {
            ClusterError::Unable { reason: reason.clone() }
        }
    }
}

/// The key in the run directory at `path`.
fn wait_for_key(path: &Path) -> Result<[u8; 32], spfde_data::files::DataError> {
    let deadline = Instant::now() + APPEARS;
    loop {
        match read_key(path) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            read => return read,
        }
    }
}
