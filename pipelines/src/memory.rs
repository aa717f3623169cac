//! The high-water mark of this process's memory.

/// The most bytes that were resident at once since the process began; `None` where the system does not tell.
pub(crate) fn peak() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    high_water(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmHWM` of Linux' `/proc/self/status`, in bytes.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_and_read() {
        let status = "Name:\tspfde\nVmPeak:\t 9000 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n";
        assert_eq!(high_water(status), Some(1234 * 1024));
        assert_eq!(high_water("VmRSS:\t 1000 kB\n"), None);
        assert_eq!(high_water("VmHWM:\t many kB\n"), None);
        assert_eq!(high_water("VmHWM:\t 99999999999999999999 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_mark_covers_what_was_resident() {
        let before = peak().unwrap();
        let bytes = vec![1_u8; 64 << 20];
        assert!(std::hint::black_box(&bytes).iter().step_by(4096).all(|byte| *byte == 1));
        assert!(peak().unwrap() >= before.max(64 << 20));
    }
}
