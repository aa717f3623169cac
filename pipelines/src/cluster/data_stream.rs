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
    stream: TcpStream,
    peer: Arc<Peer>,
}

impl DataStream {
    pub(super) fn new(stream: TcpStream, peer: Arc<Peer>) -> Self {
        Self { stream, peer }
    }

    fn break_off(&self, reason: String) -> ! {
        self.peer.break_off(reason);
        loop {
            std::thread::park();
        }
    }

    /// Does `act` until it is done; a break is noted.
    fn act(&mut self, mut act: impl FnMut(&mut TcpStream) -> io::Result<usize>) -> usize {
        loop {
            match act(&mut self.stream) {
                Ok(count) => return count,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => self.break_off(error.to_string()),
            }
        }
    }
}

impl Read for DataStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.act(|stream| stream.read(buffer));
        if count == 0 && !self.peer.said_goodbye() {
            self.break_off("it closed the connection".to_owned());
        }
        Ok(count)
    }
}

impl Write for DataStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(self.act(|stream| stream.write(buffer)))
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
