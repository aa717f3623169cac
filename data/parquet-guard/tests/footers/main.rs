//! The longest footers that there can be: read in a process that may have far less memory than what they
//! declare, so that a reservation made before the check would end it.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod cases;

use std::alloc::System;
use std::process::Command;

use cap::Cap;

/// In the child process: the name of a footer.
const CHILD: &str = "SPFDE_TEST_FOOTER";

/// Bytes that the child may hold.
const MEMORY_LIMIT: usize = 512 * 1_000_000;

/// Bytes that a child may hold at most while it reads a footer: thirty times the longest footer. The other
/// limits of what a reader holds come on top.
const MOST: usize = 30 * cases::FOOTER_LIMIT;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn the_longest_footers_take_a_part_of_the_memory_that_there_is() {
    if let Some(name) = std::env::var_os(CHILD) {
        let case = cases::CASES.iter().find(|case| name == case.name).unwrap();
        ALLOCATOR.set_limit(MEMORY_LIMIT).unwrap();
        cases::read(case);
        eprintln!("{}", ALLOCATOR.max_allocated());
        return;
    }
    for case in &cases::CASES {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_longest_footers_take_a_part_of_the_memory_that_there_is"])
            .args(["--nocapture", "--test-threads", "1"])
            .env(CHILD, case.name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {:?}: {text}", case.name, output.status);
        let most: usize = text.trim().parse().unwrap();
        assert!(most <= MOST, "{}: {most} bytes", case.name);
        eprintln!("{}: {:.1} MB at most", case.name, most as f64 / 1e6);
    }
}
