//! The file that says where the processes are.

use std::fmt;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use super::error::ClusterError;

/// Bytes of a hosts file: far more than the lines of all processes there can be.
const FILE_LIMIT: u64 = 64 << 10;

/// Processes: every pair of them has a connection.
const PROCESSES_LIMIT: usize = 256;

/// Where one process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    text: String,
    addresses: Vec<SocketAddr>,
}

impl Host {
    #[cfg(test)]
    pub(super) fn new(text: &str, addresses: Vec<SocketAddr>) -> Self {
        Self { text: text.to_owned(), addresses }
    }

    /// What its name or address stands for; at least one, each once.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether only its own machine finds it.
    pub(super) fn is_loopback_only(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where all processes listen, process 0 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<Host>);

impl Hosts {
    /// Reads a file with one `address:port` a line, an address or a name. `#` begins a comment; empty lines do not count.
    ///
    /// # Errors
    /// Names the file and the line that is not an address, or the same as another.
    pub fn read(path: &Path) -> Result<Self, ClusterError> {
        let name = path.display().to_string();
        let wrong = |reason: String| ClusterError::File { path: name.clone(), reason };
        let file = std::fs::File::open(path).map_err(|error| wrong(format!("cannot open it: {error}")))?;
        let mut text = String::new();
        let read = file.take(FILE_LIMIT + 1).read_to_string(&mut text);
        read.map_err(|error| wrong(format!("cannot read it: {error}")))?;
        if text.len() as u64 > FILE_LIMIT {
            return Err(wrong(format!("is longer than {FILE_LIMIT} bytes; it is no file of hosts")));
        }
        Self::parse(&name, &text)
    }

    /// As [`Hosts::read`]; `path` is for messages.
    ///
    /// # Errors
    /// As [`Hosts::read`].
    pub fn parse(path: &str, text: &str) -> Result<Self, ClusterError> {
        let mut hosts: Vec<(usize, Host)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let wrong =
                |reason: String| ClusterError::Line { path: path.to_owned(), line: line_number, reason };
            let text = line.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let host = host(text).map_err(wrong)?;
            let same = |other: &Host| host.addresses.iter().any(|address| other.addresses.contains(address));
            if let Some((before, _)) = hosts.iter().find(|(_, other)| same(other)) {
                return Err(wrong(format!("`{text}` is the process of line {before} again")));
            }
            if hosts.len() == PROCESSES_LIMIT {
                return Err(wrong(format!("there can be {PROCESSES_LIMIT} processes at most")));
            }
            hosts.push((line_number, host));
        }
        if hosts.is_empty() {
            let reason = "names no process; write one address:port a line, such as 127.0.0.1:2101".to_owned();
            return Err(ClusterError::File { path: path.to_owned(), reason });
        }
        Ok(Self(hosts.into_iter().map(|(_, host)| host).collect()))
    }

    /// How many processes there are.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where process `process` listens.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn get(&self, process: usize) -> &Host {
        &self.0[process]
    }

    /// The first process that others than those on its own machine can reach.
    pub fn beyond_loopback(&self) -> Option<&Host> {
        self.0.iter().find(|host| host.addresses.iter().any(|address| !address.ip().is_loopback()))
    }
}

/// What is wrong with a line, in words.
fn host(text: &str) -> Result<Host, String> {
    let example = "write address:port, such as 127.0.0.1:2101";
    let (_, port) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port; {example}"))?;
    match port.parse::<u16>() {
        Err(_) => return Err(format!("`{port}` is not a port from 1 to 65535; {example}")),
        Ok(0) => return Err("port 0 is none that others can know; choose one from 1 to 65535".to_owned()),
        Ok(_) => (),
    }
    let found =
        text.to_socket_addrs().map_err(|error| format!("`{text}` is no address: {error}; {example}"))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.iter().any(|address| address.ip().is_unspecified()) {
        return Err(format!("`{text}` is no address at which others find the process; {example}"));
    }
    if addresses.is_empty() {
        return Err(format!("`{text}` stands for no address; {example}"));
    }
    Ok(Host { text: text.to_owned(), addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Hosts::parse("hosts", text).unwrap_err().to_string()
    }

    #[test]
    fn lines_comments_and_both_kinds_of_addresses() {
        let text = "# two\n\n 127.0.0.1:2101 # first\n[::1]:2102\r\n";
        let hosts = Hosts::parse("hosts", text).unwrap();
        assert_eq!((hosts.len(), hosts.get(1).to_string().as_str()), (2, "[::1]:2102"));
        assert_eq!(hosts.beyond_loopback(), None);
        let far = Hosts::parse("hosts", "127.0.0.1:1\n192.0.2.7:1").unwrap();
        assert_eq!(far.beyond_loopback().unwrap().to_string(), "192.0.2.7:1");
    }

    #[test]
    fn what_is_no_address_is_named_with_its_line() {
        assert!(error("127.0.0.1:1\nlocalhost").starts_with("hosts, line 2: `localhost` has no port"));
        assert!(error("127.0.0.1:65536").contains("line 1: `65536` is not a port"));
        assert!(error("127.0.0.1:0").contains("port 0 is none that others can know"));
        assert!(error("0.0.0.0:1").contains("is no address at which others find the process"));
        assert!(error("1.2.3.4.5:6").contains("is no address"));
        assert!(
            error("#\n127.0.0.1:1\n\n127.0.0.1:1").contains("line 4: `127.0.0.1:1` is the process of line 2")
        );
        assert!(error("# nobody").contains("names no process"));
        let many: String = (0..257).map(|port| format!("127.0.0.1:{}\n", 2000 + port)).collect();
        assert!(error(&many).contains("line 257: there can be 256 processes at most"));
    }

    #[test]
    fn a_file_that_is_none_of_hosts_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        let read = || Hosts::read(&path).unwrap_err().to_string();
        assert!(read().contains("hosts: cannot open it"));
        std::fs::write(&path, [0xff; 40]).unwrap();
        assert!(read().contains("hosts: cannot read it"));
        std::fs::write(&path, " ".repeat(1 << 17)).unwrap();
        assert!(read().contains("is longer than"));
    }
}
