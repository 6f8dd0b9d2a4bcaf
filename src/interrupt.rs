//! Ctrl-C, or SIGTERM, ends long work at the next safe point, so that nothing half-written stays.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::fault::{Fault, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Asks all long work to end at its next [`check`]; says whether it was asked before.
pub fn request() -> bool {
    REQUESTED.swap(true, Ordering::Relaxed)
}

/// Fails once an interruption was requested. Called between batches.
///
/// # Errors
/// An interruption was requested.
pub fn check() -> Result<()> {
    if REQUESTED.load(Ordering::Relaxed) {
        return Err(Fault::failed(
            "working",
            "an interruption (Ctrl-C, or a request to terminate)",
        )
        .hint("run the command again"));
    }
    Ok(())
}
