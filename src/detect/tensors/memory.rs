//! Whether weights fit into memory, asked before any of it is taken.

use std::fs;

use crate::fault::{Fault, Result};

/// # Errors
/// More bytes than the machine has left.
pub(super) fn fits(needed: u128, doing: impl Fn() -> String) -> Result<()> {
    match available() {
        Some(available) if needed > u128::from(available) => Err(Fault::usage(
            doing(),
            format!("weights that take {} in single precision", size(needed)),
        )
        .expected(format!(
            "at most the {} of memory that are available",
            size(u128::from(available))
        ))
        .hint("take a narrower dictionary, or a machine with more memory")),
        _ => Ok(()),
    }
}

/// Bytes that can be had without swapping; `None` where the system does not tell.
fn available() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let machine = kibibytes.saturating_mul(1024);
    // A container's limit is its own.
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|limit| limit.trim().parse().ok());
    Some(limit.map_or(machine, |limit: u64| limit.min(machine)))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a size for people, to one decimal"
)]
fn size(bytes: u128) -> String {
    const GIBIBYTE: f64 = (1_u64 << 30) as f64;
    format!("{:.1} GiB", bytes as f64 / GIBIBYTE)
}
