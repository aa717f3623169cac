//! The file that says where the processes are.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::{fmt, io};

use spfde_data::visible;

use crate::{Error, Result, small_file};

/// Bytes of a hosts file: far more than the lines of all processes there can be.
const FILE_LIMIT: u64 = 64 << 10;

/// Bytes of an `address:port`: a name has 255 at most, a port five.
const NAME_LIMIT: usize = 261;

/// Processes: every pair of them has a connection.
const PROCESSES_LIMIT: usize = 256;

/// What a name or an address stands for.
type Addresses = Vec<SocketAddr>;

/// Where one process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    text: String,
    addresses: Addresses,
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
    /// Reads a file with one `address:port` a line, an address or a name. `#` begins a comment; empty lines
    /// do not count.
    ///
    /// # Errors
    /// Names the file and the line that is not an address, or the same as another.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = small_file::read(path, "hosts file", FILE_LIMIT)?;
        Self::parse(&path.display().to_string(), &bytes, |text| Ok(text.to_socket_addrs()?.collect()))
    }

    /// As [`Hosts::read`], of the bytes of a file; `path` is for messages. What an `address:port` stands for
    /// is asked of `lookup`, at most once for each process there can be.
    ///
    /// # Errors
    /// As [`Hosts::read`].
    pub fn parse(path: &str, bytes: &[u8], lookup: impl Fn(&str) -> io::Result<Addresses>) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Error::usage(format!("{path}: cannot read the hosts file: {error}")))?;
        let mut hosts: Vec<(usize, Host)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let wrong = |reason: String| Error::usage(format!("{path}, line {line_number}: {reason}"));
            let text = line.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            if hosts.len() == PROCESSES_LIMIT {
                return Err(wrong(format!("there can be {PROCESSES_LIMIT} processes at most")));
            }
            let host = host(text, &lookup).map_err(wrong)?;
            let same = |other: &Host| host.addresses.iter().any(|address| other.addresses.contains(address));
            if let Some((before, _)) = hosts.iter().find(|(_, other)| same(other)) {
                return Err(wrong(format!("`{host}` is the process of line {before} again")));
            }
            hosts.push((line_number, host));
        }
        if hosts.is_empty() {
            let reason = "names no process; write one address:port a line, such as 127.0.0.1:2101";
            return Err(Error::usage(format!("{path}: {reason}")));
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

/// The host that a line names, or what is wrong with it, in words.
fn host(text: &str, lookup: impl Fn(&str) -> io::Result<Addresses>) -> Result<Host, String> {
    let example = "write address:port, such as 127.0.0.1:2101";
    if text.len() > NAME_LIMIT {
        let beginning: String = text.chars().take(20).collect();
        return Err(format!("`{}…` is longer than any address; {example}", visible(&beginning)));
    }
    let shown = visible(text);
    let (_, port) = text.rsplit_once(':').ok_or_else(|| format!("`{shown}` has no port; {example}"))?;
    match port.parse::<u16>() {
        Err(_) => return Err(format!("`{}` is not a port from 1 to 65535; {example}", visible(port))),
        Ok(0) => return Err("port 0 is none that others can know; choose one from 1 to 65535".to_owned()),
        Ok(_) => (),
    }
    let found = lookup(text).map_err(|error| format!("`{shown}` is no address: {error}; {example}"))?;
    let mut addresses = Addresses::new();
    for address in found {
        if address.ip().is_unspecified() {
            return Err(format!("`{shown}` is no address at which others find the process; {example}"));
        }
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(format!("`{shown}` stands for no address; {example}"));
    }
    Ok(Host { text: shown.into_owned(), addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Hosts> {
        Hosts::parse("hosts", text.as_bytes(), |text| Ok(text.to_socket_addrs()?.collect()))
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn lines_comments_and_both_kinds_of_addresses() {
        let text = "# two\n\n 127.0.0.1:2101 # first\n[::1]:2102\r\n";
        let hosts = parse(text).unwrap();
        assert_eq!((hosts.len(), hosts.get(1).to_string().as_str()), (2, "[::1]:2102"));
        assert_eq!(hosts.beyond_loopback(), None);
        let far = parse("127.0.0.1:1\n192.0.2.7:1").unwrap();
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
    fn a_name_is_every_address_that_it_stands_for_once() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let lookup = |text: &str| match text {
            "both:1" => Ok(["127.0.0.1:1", "[::1]:1", "127.0.0.1:1"].map(address).to_vec()),
            "one:1" => Ok(vec![address("[::1]:1")]),
            _ => Ok(Vec::new()),
        };
        let parse = |text: &str| Hosts::parse("hosts", text.as_bytes(), lookup);
        assert_eq!(parse("both:1").unwrap().get(0).addresses(), ["127.0.0.1:1", "[::1]:1"].map(address));
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("both:1\none:1").ends_with("line 2: `one:1` is the process of line 1 again"));
        assert!(message("none:1").contains("`none:1` stands for no address"));
    }

    #[test]
    fn messages_are_short_and_do_nothing_to_a_terminal() {
        assert!(error("\u{1b}[2J:1x").contains("`1x` is not a port"));
        assert!(error("\u{1b}[2J").contains("`\\u001b[2J` has no port"));
        let long = error(&format!("{}:1", "a".repeat(1000)));
        assert!(long.contains("`aaaaaaaaaaaaaaaaaaaa…` is longer than any address"), "{long}");
    }
}
