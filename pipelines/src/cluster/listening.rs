//! Where a process listens for the others.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::{Host, Hosts};
use crate::{Error, Result};

/// Listens at the first address of `host` that this machine has, without ever waiting for a connection.
///
/// # Errors
/// If the machine has none of them, or other programs listen there.
pub(super) fn listen(host: &Host) -> Result<TcpListener> {
    let bind = || {
        let listener = TcpListener::bind(host.addresses())?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error: std::io::Error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => {
                "if no process of this number (--process) is at work there already, choose another port in \
                 the hosts file, for all processes"
            }
            ErrorKind::AddrNotAvailable => {
                "is this the machine of this line of the hosts file, and --process its number, from 0?"
            }
            _ => "choose another port in the hosts file, for all processes",
        };
        Error::failed(format!("cannot listen at {host}: {error}; {remedy}"))
    })
}

/// Refuses an address of process `process` at which only its own machine finds it, if another process is on
/// another machine: some systems give a machine's own name such an address (127.0.1.1).
pub(super) fn refuse_unreachable(hosts: &Hosts, process: usize) -> Result<()> {
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
    Err(Error::usage(reason))
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
    fn a_process_listens_at_an_address_that_the_machine_has() {
        let addresses = |all: &[&str]| all.iter().map(|address| address.parse().unwrap()).collect();
        let host = Host::new("name", addresses(&["192.0.2.1:0", "127.0.0.2:0"]));
        let there = listen(&host).unwrap().local_addr().unwrap();
        assert_eq!(there.ip().to_string(), "127.0.0.2");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let _taken = TcpListener::bind(taken).unwrap();
        let error = listen(&Host::new("name", vec![taken])).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen at name: "), "{error}");
        let error = listen(&Host::new("name", addresses(&["192.0.2.1:0"]))).unwrap_err().to_string();
        assert!(error.contains("is this the machine of this line"), "{error}");
    }
}
