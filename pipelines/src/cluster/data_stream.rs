//! The connection that carries the dataflow's messages, as timely's threads use it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use timely::communication::allocator::zero_copy::stream::Stream;

use super::liveness::Peer;

/// A plain connection to a process. Timely's threads panic when it breaks, which poisons what the workers
/// share with them: so the thread that meets the break notes it and stays where it is, until this process
/// ends.
pub(super) struct DataStream {
    pub(super) stream: TcpStream,
    pub(super) peer: Arc<Peer>,
}

impl DataStream {
    /// Does `act` until it is done; at a break this thread goes no further.
    fn act(&mut self, mut act: impl FnMut(&mut TcpStream, &Peer) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match act(&mut self.stream, &self.peer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => self.peer.break_off(error.to_string()),
                done => return done,
            }
            loop {
                std::thread::park();
            }
        }
    }
}

impl Read for DataStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.act(|stream, peer| match stream.read(buffer) {
            Ok(0) if !peer.said_goodbye() => Err(io::Error::other("it closed the connection")),
            read => read,
        })
    }
}

impl Write for DataStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.act(|stream, _| stream.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for DataStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, peer: Arc::clone(&self.peer) })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // The other side may have closed it already.
        let _ = self.stream.shutdown(how);
        Ok(())
    }
}
