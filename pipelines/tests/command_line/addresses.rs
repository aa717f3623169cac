//! Addresses for the processes of a test, which no other program takes before they are used.

use std::fs::File;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// The ports are below those that the system gives to connections, which on Linux begin at 32768, and each
/// program of tests has a block of its own: several may run at the same time.
const FIRST: u16 = 20_000;
const BLOCK: u16 = 480;
const BLOCKS: u16 = 25;

/// The ports of this program.
struct Ports {
    first: u16,
    given: u16,
    /// The lock that says so until the program ends.
    _lock: File,
}

impl Ports {
    /// A block that no other program has.
    fn take() -> Self {
        let take = |block: u16| {
            let path = std::env::temp_dir().join(format!("spfde-test-ports-{block}.lock"));
            // A file that cannot be opened belongs to another user.
            let lock = File::options().write(true).create(true).truncate(false).open(path).ok()?;
            lock.try_lock().ok()?;
            Some(Self { first: FIRST + block * BLOCK, given: 0, _lock: lock })
        };
        let mut blocks = (0..BLOCKS).filter_map(take);
        blocks.next().unwrap_or_else(|| {
            panic!("{BLOCKS} programs run tests: {}/spfde-test-ports-*.lock", std::env::temp_dir().display())
        })
    }

    /// The next address of which no other service has the port.
    fn next(&mut self) -> String {
        let mut addresses = (0..BLOCK).map(|_| {
            let port = self.first + self.given;
            self.given = (self.given + 1) % BLOCK;
            format!("127.0.0.1:{port}")
        });
        addresses.find(|address| TcpListener::bind(address).is_ok()).expect("some port is free")
    }
}

/// Addresses at which no process listens.
pub(crate) fn free_addresses(count: usize) -> Vec<String> {
    static PORTS: Mutex<Option<Ports>> = Mutex::new(None);
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let ports = ports.get_or_insert_with(Ports::take);
    (0..count).map(|_| ports.next()).collect()
}
