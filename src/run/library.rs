//! Looking at a library file before it is used: is it ONNX Runtime, and which version?
//!
//! One of the three files of the crate with `unsafe` code: a dynamic library can be opened in no other way.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// The oldest ONNX Runtime that offers the interface Candor is built against.
pub(super) const OLDEST: (u32, u32) = (1, ort::MINOR_VERSION);

/// A library that is ONNX Runtime and recent enough; it stays loaded as long as this value lives.
pub(super) struct Library {
    /// Its version, such as `1.31.1`.
    pub(super) version: String,
    _handle: libloading::Library,
}

/// Opens the library at `path`. The error says what was found there instead of a usable ONNX Runtime.
#[allow(
    unsafe_code,
    reason = "opening a dynamic library and asking it for its version"
)]
pub(super) fn open(path: &Path) -> Result<Library, String> {
    // SAFETY: opening a library runs its initialisers. That is what the user asks for by installing or naming an ONNX
    // Runtime; a file that is no library at all is refused by the loader.
    let handle = unsafe { libloading::Library::new(path) }
        .map_err(|error| format!("not a library that can be loaded ({error})"))?;
    // SAFETY: `OrtGetApiBase` has had this signature in every release of ONNX Runtime.
    let version = unsafe {
        let base = handle
            .get::<unsafe extern "system" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase\0")
            .map_err(|_| {
                "a library, but not ONNX Runtime (`OrtGetApiBase` is missing)".to_owned()
            })?();
        let base = base
            .as_ref()
            .ok_or("a library whose `OrtGetApiBase` returns nothing")?;
        let text = (base.GetVersionString)();
        if text.is_null() {
            return Err("an ONNX Runtime that does not tell its version".to_owned());
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    };
    if is_recent(&version) {
        Ok(Library {
            version,
            _handle: handle,
        })
    } else {
        Err(format!("ONNX Runtime {version}, which is too old"))
    }
}

fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST)
}

/// The runtime's library files in a folder, the highest name first; none if the folder cannot be read.
pub(super) fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| is_library_name(&name.to_string_lossy()))
        })
        .collect();
    found.sort();
    found.reverse();
    found
}

/// Whether a file is named like the runtime itself, with or without its version (`libonnxruntime.so.1.31.1`).
fn is_library_name(name: &str) -> bool {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    name.strip_prefix(DLL_PREFIX)
        .and_then(|name| name.strip_prefix("onnxruntime."))
        .is_some_and(|rest| {
            rest.split('.')
                .any(|part| part == DLL_SUFFIX.trim_start_matches('.'))
        })
}

/// The CUDA provider that has to lie beside a runtime library.
pub(super) fn cuda_provider_beside(library: &Path) -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    library.with_file_name(format!(
        "{DLL_PREFIX}onnxruntime_providers_cuda{DLL_SUFFIX}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let (major, minor) = OLDEST;
        assert!(is_recent(&format!("{major}.{minor}.0")));
        assert!(is_recent(&format!("{major}.100.0")));
        assert!(is_recent(&format!("{}.0.0", major + 1)));
        assert!(!is_recent(&format!("{major}.{}.9", minor - 1)));
        assert!(!is_recent("1.9.0"));
        assert!(!is_recent("nightly"));
        assert!(!is_recent(""));
    }

    #[test]
    fn a_folder_gives_the_runtime_and_not_its_providers() -> Result<(), Box<dyn std::error::Error>>
    {
        use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
        let folder = tempfile::tempdir()?;
        let plain = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
        let others = [
            format!("{DLL_PREFIX}onnxruntime_providers_shared{DLL_SUFFIX}"),
            format!("{DLL_PREFIX}onnxruntime.txt"),
            format!("onnxruntime_pybind11_state{DLL_SUFFIX}"),
        ];
        for name in others.iter().chain([&plain]) {
            std::fs::write(folder.path().join(name), "")?;
        }
        assert_eq!(in_folder(folder.path()), [folder.path().join(plain)]);
        assert!(in_folder(&folder.path().join("absent")).is_empty());
        Ok(())
    }
}
