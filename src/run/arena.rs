//! One pool of memory for all pieces of a model, on each device.
//!
//! Left to itself every session keeps the largest amount that any of its runs has needed, and a model in pieces has a session for each.
//! The pool is registered through the C interface, which `ort` does not wrap: one of the three files of the crate with `unsafe` code.

use std::ffi::CStr;
use std::sync::Once;

use ort::AsPointer as _;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

/// Grow by what is asked for and not by powers of two.
const AS_REQUESTED: std::ffi::c_int = 1;
/// The runtime's own choice.
const DEFAULT: std::ffi::c_int = -1;

/// Registers the processor's pool with the environment.
///
/// # Errors
/// The runtime's own.
pub(super) fn register(environment: &Environment) -> ort::Result<()> {
    add(environment, AllocationDevice::CPU, c"CPUExecutionProvider")
}

/// Registers the first NVIDIA card's pool, once in the life of a process. Without it each session keeps memory of its own there, which
/// is more than is needed and no more than that, so a runtime that refuses is used as it is.
pub(super) fn register_cuda(environment: &Environment) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let provider = c"CUDAExecutionProvider";
        if let Err(error) = add(environment, AllocationDevice::CUDA, provider) {
            tracing::debug!("no shared memory on the card: {}", error.message());
        }
    });
}

#[allow(unsafe_code, reason = "`ort` does not wrap this call")]
fn add(
    environment: &Environment,
    device: AllocationDevice<'static>,
    provider: &CStr,
) -> ort::Result<()> {
    let info = MemoryInfo::new(device, 0, AllocatorType::Arena, MemoryType::Default)?;
    let api = ort::api();
    let mut config = std::ptr::null_mut();
    // SAFETY: environment, provider and info outlive the calls; the configuration is written by the runtime before it is read, which
    // copies it, and is released once; no options are read where their number is 0.
    unsafe {
        ort::Error::result_from_status((api.CreateArenaCfg)(
            0,
            AS_REQUESTED,
            DEFAULT,
            DEFAULT,
            &raw mut config,
        ))?;
        let registered = (api.CreateAndRegisterAllocatorV2)(
            environment.ptr().cast_mut(),
            provider.as_ptr(),
            info.ptr(),
            config,
            std::ptr::null(),
            std::ptr::null(),
            0,
        );
        (api.ReleaseArenaCfg)(config);
        ort::Error::result_from_status(registered)
    }
}
