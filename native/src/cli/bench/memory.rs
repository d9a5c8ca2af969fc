//! The most of the host's memory that the process held. What a GPU holds in its own is not in it.

use std::fs;

/// Forgets the peak so far, where the system can (Linux); else peaks are those since the start.
pub(super) fn begin() {
    // Of this process alone; a system that refuses leaves the peak as it is.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak since [`begin`], in bytes; `None` where the system doesn't say.
pub(super) fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(1024 * kilobytes)
}
