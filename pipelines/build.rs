//! Notes the revision that the program is built from, if it is built from a checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../.git/HEAD");
    println!("cargo::rerun-if-changed=../.git/refs/heads");
    let described = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Some(output) = described.ok().filter(|output| output.status.success()) {
        println!("cargo::rustc-env=SPFDE_REVISION={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
