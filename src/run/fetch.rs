//! Fetching the pinned wheel with `pip`, checking it, and unpacking its libraries into the cache.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::Wheel;
use super::library;
use super::wheel::{PYTHON_ABI, PYTHON_VERSION};

/// What the libraries' names begin with inside a wheel.
const INSIDE: &str = "onnxruntime/capi/libonnxruntime";

/// Fetches `wheel` into a folder of its own under `runtimes` and returns that folder.
///
/// Processes that start at once wait for one another here, and the later ones find what the first has fetched. The folder
/// appears complete or not at all.
pub(super) fn fetch(
    wheel: &Wheel,
    runtimes: &Path,
    pythons: &[PathBuf],
    notice: &mut dyn FnMut(&str),
) -> Result<PathBuf, String> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("`{path}`: {error}")
    };
    fs::create_dir_all(runtimes).map_err(at(runtimes))?;
    let lock = runtimes.join("lock");
    let guard = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(at(&lock))?;
    guard.lock().map_err(at(&lock))?;

    let folder = runtimes.join(wheel.folder());
    if library::in_folder(&folder)
        .iter()
        .any(|library| library::open(library).is_ok())
    {
        return Ok(folder);
    }
    notice(&format!(
        "fetching {} {} once into {} (--offline forbids it)",
        wheel.package,
        wheel.release,
        folder.display()
    ));
    let work = tempfile::Builder::new()
        .prefix("fetching-")
        .tempdir_in(runtimes)
        .map_err(at(runtimes))?;
    let file = download(wheel, work.path(), pythons)?;
    check(wheel, &file)?;
    let unpacked = work.path().join("libraries");
    unpack(&file, &unpacked)?;
    if folder.exists() {
        // What lies there was found unusable above.
        fs::rename(&folder, work.path().join("unusable")).map_err(at(&folder))?;
    }
    fs::rename(&unpacked, &folder).map_err(at(&folder))?;
    Ok(folder)
}

/// Lets the first Python that has `pip` download the wheel into `work`.
fn download(wheel: &Wheel, work: &Path, pythons: &[PathBuf]) -> Result<PathBuf, String> {
    let mut failures = Vec::new();
    for python in pythons {
        let output = Command::new(python)
            // `-m` looks into the working folder first, which must not be the user's.
            .current_dir(work)
            .args(["-m", "pip", "download", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--implementation", "cp"])
            .args(["--platform", wheel.platform])
            .args(["--python-version", PYTHON_VERSION, "--abi", PYTHON_ABI])
            .arg("--dest")
            .arg(work)
            .arg(format!("{}=={}", wheel.package, wheel.release))
            .output();
        match output {
            Ok(output) if output.status.success() => return only_wheel(work),
            Ok(output) => failures.push(format!(
                "`{} -m pip download` failed: {}",
                python.display(),
                last_line(&output.stderr)
            )),
            Err(error) => failures.push(format!("`{}`: {error}", python.display())),
        }
    }
    Err(failures.join("; "))
}

fn only_wheel(work: &Path) -> Result<PathBuf, String> {
    fs::read_dir(work)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| "pip says that it succeeded, but there is no wheel".to_owned())
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it says nothing")
        .trim()
        .to_owned()
}

/// Refuses a wheel that is not, byte for byte, the pinned one.
fn check(wheel: &Wheel, file: &Path) -> Result<(), String> {
    let digest = digest(file).map_err(|error| format!("`{}`: {error}", file.display()))?;
    let bytes = digest.as_ref().iter();
    let found = bytes.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    if found == wheel.sha256 {
        return Ok(());
    }
    Err(format!(
        "the wheel that pip fetched has the SHA-256 {found}, pinned is {}",
        wheel.sha256
    ))
}

/// SHA-256 of a file, read in pieces: the GPU wheel is large.
fn digest(file: &Path) -> io::Result<impl AsRef<[u8]>> {
    let mut digest = Sha256::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(file)?);
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(digest.finalize());
        }
        digest.update(piece);
        let read = piece.len();
        file.consume(read);
    }
}

/// Unpacks the runtime's libraries, and nothing else, flat into `folder`.
fn unpack(wheel: &Path, folder: &Path) -> Result<(), String> {
    let read = |error: &dyn std::fmt::Display| format!("reading `{}`: {error}", wheel.display());
    let file = File::open(wheel).map_err(|error| read(&error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| read(&error))?;
    fs::create_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| read(&error))?;
        let Some(name) = library_name(entry.name()) else {
            continue;
        };
        let path = folder.join(name);
        File::create_new(&path)
            .and_then(|mut file| io::copy(&mut entry, &mut file))
            .map_err(|error| format!("unpacking `{}`: {error}", path.display()))?;
    }
    Ok(())
}

/// The bare file name of a library entry; `None` for anything else, and for a name that would leave the folder.
fn library_name(entry: &str) -> Option<&str> {
    let name = entry.strip_prefix("onnxruntime/capi/")?;
    (entry.starts_with(INSIDE) && !name.contains(['/', '\\', '\0'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Provider;
    use std::error::Error;
    use std::io::Write;

    fn archive(path: &Path, entries: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let mut writer = zip::ZipWriter::new(File::create(path)?);
        for (name, content) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default())?;
            writer.write_all(content.as_bytes())?;
        }
        writer.finish()?;
        Ok(())
    }

    #[test]
    fn only_the_libraries_are_unpacked_and_nothing_leaves_the_folder() -> Result<(), Box<dyn Error>>
    {
        let work = tempfile::tempdir()?;
        let wheel = work.path().join("a.whl");
        archive(
            &wheel,
            &[
                ("onnxruntime/__init__.py", "python"),
                ("onnxruntime/capi/libonnxruntime.so.1.2.3", "runtime"),
                (
                    "onnxruntime/capi/libonnxruntime_providers_shared.so",
                    "shared",
                ),
                ("onnxruntime/capi/libonnxruntime/../../../../escaped", "bad"),
                ("onnxruntime/capi/libonnxruntime\\..\\escaped", "bad"),
                ("../onnxruntime/capi/libonnxruntime.so", "bad"),
            ],
        )?;
        let folder = work.path().join("out");
        unpack(&wheel, &folder)?;
        let mut names: Vec<_> = fs::read_dir(&folder)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        assert_eq!(
            names,
            [
                "libonnxruntime.so.1.2.3",
                "libonnxruntime_providers_shared.so"
            ]
        );
        assert_eq!(
            fs::read_to_string(folder.join("libonnxruntime.so.1.2.3"))?,
            "runtime"
        );
        Ok(())
    }

    #[test]
    fn a_wheel_that_differs_by_one_byte_is_refused() -> Result<(), Box<dyn Error>> {
        let work = tempfile::tempdir()?;
        let file = work.path().join("a.whl");
        fs::write(&file, "another")?;
        let wheel = Wheel::pinned(Provider::Cpu, "linux", "x86_64").ok_or("no wheel")?;
        let found = check(wheel, &file).err().ok_or("accepted")?;
        assert!(found.contains(wheel.sha256), "{found}");
        Ok(())
    }
}
