//! Where a process can be reached: every address that its line of the hosts file stands for.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::error::ClusterError;
use super::hosts::{Host, Hosts};
use super::notes::Notes;

/// The sockets at which one process listens; at least one.
#[derive(Debug)]
pub(super) struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Listens at every address of `host` that this machine has; names those that it has not.
    ///
    /// # Errors
    /// If there is none, or another program listens at one of them: the other processes could find that one.
    pub(super) fn new(host: &Host, notes: &Notes) -> Result<Self, ClusterError> {
        let wrong = |error: io::Error| {
            let remedy = match error.kind() {
                ErrorKind::AddrInUse => {
                    "if no process of this number (--process) is at work there already, choose another port \
                     in the hosts file, for all processes"
                }
                ErrorKind::AddrNotAvailable => {
                    "is this the machine of this line of the hosts file, and --process its number, from 0?"
                }
                _ => "choose another port in the hosts file, for all processes",
            };
            ClusterError::Apart { reason: format!("cannot listen at {host}: {error}; {remedy}") }
        };
        let (mut listeners, mut failed) = (Vec::new(), Vec::new());
        for address in host.addresses() {
            match bind(*address) {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(wrong(error)),
                Err(error) => failed.push((address, error)),
            }
        }
        if listeners.is_empty() {
            let (_, error) = failed.pop().expect("a host has at least one address");
            return Err(wrong(error));
        }
        for (address, error) in failed {
            notes.tell(format_args!(
                "{host} is not reached at {address}, which this machine does not have ({error})"
            ));
        }
        Ok(Self(listeners))
    }

    /// Connections that have come, at most `limit` and one of each address, without waiting.
    pub(super) fn accept(&self, limit: usize) -> Vec<(TcpStream, SocketAddr)> {
        self.0.iter().filter_map(|listener| listener.accept().ok()).take(limit).collect()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Refuses an address of process `process` at which only its own machine finds it, if another process is on
/// another machine: some systems give a machine's own name such an address (127.0.1.1).
pub(super) fn refuse_unreachable(hosts: &Hosts, process: usize) -> Result<(), ClusterError> {
    let own = hosts.get(process);
    let Some(address) = own.addresses().first().filter(|_| own.is_loopback_only()) else { return Ok(()) };
    let Some(other) =
        (0..hosts.len()).map(|process| hosts.get(process)).find(|host| !host.is_loopback_only())
    else {
        return Ok(());
    };
    let reason = format!(
        "{own} is {address} on this machine, a loopback address, at which {other} does not find it; write \
         the machine's address on the network in place of {own} in the hosts file, for all processes"
    );
    Err(ClusterError::Usage { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Hosts {
        Hosts::parse("hosts", text.as_bytes(), |text| Ok(vec![text.parse().unwrap()])).unwrap()
    }

    #[test]
    fn loopback_is_reached_from_loopback_only() {
        let mixed = hosts("127.0.1.1:2101\n192.0.2.7:2101");
        let error = refuse_unreachable(&mixed, 0).unwrap_err().to_string();
        assert!(error.starts_with("127.0.1.1:2101 is 127.0.1.1:2101 on this machine"), "{error}");
        assert!(error.contains("at which 192.0.2.7:2101 does not find it"), "{error}");
        refuse_unreachable(&mixed, 1).unwrap();
        refuse_unreachable(&hosts("127.0.0.1:2101\n[::1]:2102"), 0).unwrap();
        refuse_unreachable(&hosts("192.0.2.1:2101\n192.0.2.7:2101"), 0).unwrap();
    }

    /// All of 127.0.0.0/8 is loopback there; 192.0.2.0/24 is for documentation.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_reached_at_all_its_addresses_that_the_machine_has() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let addresses: Vec<SocketAddr> = ["192.0.2.1", "127.0.0.2", "127.0.0.3"]
            .map(|address| SocketAddr::new(address.parse().unwrap(), port))
            .to_vec();
        let listeners = Listeners::new(&Host::new("name", addresses.clone()), &Notes::default()).unwrap();
        let connected: Vec<TcpStream> =
            addresses[1..].iter().map(|address| TcpStream::connect(address).unwrap()).collect();
        let mut come: Vec<SocketAddr> = Vec::new();
        while come.len() < 2 {
            come.extend(listeners.accept(1).into_iter().map(|(_, from)| from));
        }
        come.sort();
        let mut from: Vec<SocketAddr> = connected.iter().map(|stream| stream.local_addr().unwrap()).collect();
        from.sort();
        assert_eq!(come, from);
        // Another program at one of them could be taken for the process.
        let error =
            Listeners::new(&Host::new("name", addresses.clone()), &Notes::default()).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen at name: "), "{error}");
        let error = Listeners::new(&Host::new("name", addresses[..1].to_vec()), &Notes::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot listen at name: "), "{error}");
    }
}
