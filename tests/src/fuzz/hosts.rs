//! Hosts files: where the processes of a cluster are.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use spfde::cluster::Hosts;

/// Looks up what needs no network: addresses, and one name, so that no input asks a name server.
fn lookup(text: &str) -> std::io::Result<Vec<SocketAddr>> {
    if let Some(port) = text.strip_prefix("trainer:").and_then(|port| port.parse().ok()) {
        return Ok(vec![SocketAddr::from(([10, 8, 0, 9], port)), SocketAddr::from(([10, 8, 0, 9], port))]);
    }
    text.parse().map(|address| vec![address]).map_err(|_| Error::from(ErrorKind::NotFound))
}

/// What is accepted names every process once, at addresses that others can reach, and comes back from its own
/// lines.
pub(super) fn run(bytes: &[u8]) {
    let Ok(hosts) = Hosts::parse("hosts", bytes, lookup) else { return };
    assert!((1..=256).contains(&hosts.len()));
    let all = || (0..hosts.len()).map(|process| hosts.get(process));
    let mut found = BTreeSet::new();
    for host in all() {
        assert!(!host.addresses().is_empty());
        for address in host.addresses() {
            assert!(address.port() > 0 && !address.ip().is_unspecified(), "{address}");
            assert!(found.insert(*address), "{address} twice");
        }
    }
    let lines: Vec<String> = all().map(ToString::to_string).collect();
    assert_eq!(Hosts::parse("hosts", lines.join("\n").as_bytes(), lookup).unwrap(), hosts);
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let commented = "# two machines\n\n10.8.0.1:2101   # process 0\r\n  10.8.0.2:2101\n";
    let names = "127.0.0.1:2101\n[::1]:2102\ntrainer:2103\n[2001:db8::7]:65535\n";
    vec![("commented", commented.into()), ("names", names.into())]
}
