//! Whether the other processes are there: one thread for each of them waits on a connection of its own.
//!
//! A process that has done its work says so by one byte, the goodbye. One whose connection ends before that
//! is lost. The system answers for a process that is stopped, so that one is waited for; a machine that has
//! vanished answers no more.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

/// How long a machine may be silent that ought to answer, before it counts as vanished.
pub(crate) const UNHEARD: Duration = Duration::from_secs(5);

/// When a silent machine is asked for a sign of life, and how often.
const ASK: Duration = Duration::from_secs(1);

/// How long this process may still be at work when another has done its own and is gone: all are about to
/// end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often a thread looks that waits for a goodbye.
const LOOK: Duration = Duration::from_millis(10);

/// A process that is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("process {process} at {address} was lost ({reason})")]
pub struct Lost {
    /// Which, from 0.
    pub process: usize,
    /// Its address.
    pub address: String,
    /// How it was noticed.
    pub reason: String,
}

/// Another process.
#[derive(Debug)]
pub(super) struct Peer {
    process: usize,
    address: String,
    control: TcpStream,
    /// Whether it has said goodbye.
    done: AtomicBool,
    /// The first process that was lost, whichever it is.
    first_lost: Arc<OnceLock<Lost>>,
}

impl Peer {
    /// Notes that the process is lost, unless another is already.
    fn lose(&self, reason: String) {
        let _ = self.first_lost.set(Lost { process: self.process, address: self.address.clone(), reason });
    }

    /// Waits for the goodbye, then for the end of the connection.
    fn watch(&self, mut control: TcpStream) {
        let mut byte = [0];
        let reason = match control.read_exact(&mut byte) {
            Ok(()) => {
                self.done.store(true, Ordering::Release);
                let _ = control.read(&mut byte);
                std::thread::sleep(FAREWELL);
                "it ended before this process".to_owned()
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "it closed the connection".to_owned()
            }
            Err(error) => error.to_string(),
        };
        self.lose(reason);
    }

    /// Whether the process has said goodbye; waits for that as long as it may take to arrive.
    pub(super) fn said_goodbye(&self) -> bool {
        let (start, done) = (Instant::now(), || self.done.load(Ordering::Acquire));
        while !done() && start.elapsed() < FAREWELL {
            std::thread::sleep(LOOK);
        }
        done()
    }

    /// Notes that the data connection is broken, which matters as long as the process has not done its work.
    pub(super) fn break_off(&self, reason: String) {
        if !self.done.load(Ordering::Acquire) {
            self.lose(reason);
        }
    }
}

/// Watches the other processes.
#[derive(Clone, Default)]
pub(crate) struct Liveness {
    peers: Vec<Arc<Peer>>,
    first_lost: Arc<OnceLock<Lost>>,
}

impl Liveness {
    /// Watches `process` at `address` from now on, by the connection `control`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn watch(
        &mut self,
        process: usize,
        address: String,
        control: TcpStream,
    ) -> io::Result<Arc<Peer>> {
        let (read, first_lost) = (control.try_clone()?, Arc::clone(&self.first_lost));
        let peer = Arc::new(Peer { process, address, control, done: AtomicBool::new(false), first_lost });
        let watched = Arc::clone(&peer);
        std::thread::Builder::new().name("spfde:liveness".to_owned()).spawn(move || watched.watch(read))?;
        self.peers.push(Arc::clone(&peer));
        Ok(peer)
    }

    /// The first process that was lost while this one is still at work.
    pub(crate) fn lost(&self) -> Option<&Lost> {
        self.first_lost.get()
    }

    /// Tells the others that this process has done its work.
    pub(crate) fn say_goodbye(&self) {
        self.peers.iter().for_each(|peer| drop((&peer.control).write_all(&[0])));
    }

    /// Ends the connections without a goodbye: this process is lost to the others.
    pub(crate) fn hang_up(&self) {
        self.peers.iter().for_each(|peer| drop(peer.control.shutdown(Shutdown::Both)));
    }
}

/// Makes the system notice a machine that has vanished.
pub(super) fn keep_alive(control: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(control);
    let retries = (UNHEARD.as_secs() / ASK.as_secs()) as u32 - 1;
    let keepalive = TcpKeepalive::new().with_time(ASK).with_interval(ASK).with_retries(retries);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(UNHEARD))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Two ends of a connection.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (connected, listener.accept().unwrap().0)
    }

    #[test]
    fn a_connection_that_ends_without_a_goodbye_is_a_loss_and_one_with_it_is_none() {
        let (near, mut far) = connection();
        let mut liveness = Liveness::default();
        let done = liveness.watch(1, "first".to_owned(), near).unwrap();
        far.write_all(&[0]).unwrap();
        assert!(done.said_goodbye());
        done.break_off("broken".to_owned());
        assert_eq!(liveness.lost(), None);
        let (near, far) = connection();
        liveness.watch(2, "second".to_owned(), near).unwrap();
        drop(far);
        let lost = loop {
            match liveness.lost() {
                Some(lost) => break lost.to_string(),
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(lost, "process 2 at second was lost (it closed the connection)");
    }
}
