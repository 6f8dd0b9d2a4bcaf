//! One pool of memory for all pieces of a model.
//!
//! Left to itself every session keeps the largest amount that any of its runs has needed, and a model in pieces has a session for each.
//! The pool is registered through the C interface, which `ort` does not wrap: one of the three files of the crate with `unsafe` code.

use ort::AsPointer as _;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

/// Grow by what is asked for and not by powers of two.
const AS_REQUESTED: std::ffi::c_int = 1;
/// The runtime's own choice.
const DEFAULT: std::ffi::c_int = -1;

/// Registers the pool with the environment.
///
/// # Errors
/// The runtime's own.
#[allow(unsafe_code, reason = "`ort` does not wrap this call")]
pub(super) fn register(environment: &Environment) -> ort::Result<()> {
    let info = MemoryInfo::new(
        AllocationDevice::CPU,
        0,
        AllocatorType::Arena,
        MemoryType::Default,
    )?;
    let api = ort::api();
    let mut config = std::ptr::null_mut();
    // SAFETY: environment and info outlive the calls; the configuration is written by the runtime before it is read, which copies
    // it, and is released once.
    unsafe {
        ort::Error::result_from_status((api.CreateArenaCfg)(
            0,
            AS_REQUESTED,
            DEFAULT,
            DEFAULT,
            &raw mut config,
        ))?;
        let registered =
            (api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), info.ptr(), config);
        (api.ReleaseArenaCfg)(config);
        ort::Error::result_from_status(registered)
    }
}
