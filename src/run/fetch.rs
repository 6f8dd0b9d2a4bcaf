//! Fetching the pinned wheel with `pip`, checking it, and unpacking its libraries into the cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Wheel;
use super::library;
use super::wheel::{PYTHON_ABI, PYTHON_VERSION};
use crate::digest::sha256_of_file;

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
    let (found, _) =
        sha256_of_file(file).map_err(|error| format!("`{}`: {error}", file.display()))?;
    if found == wheel.sha256 {
        return Ok(());
    }
    Err(format!(
        "the wheel that pip fetched has the SHA-256 {found}, pinned is {}",
        wheel.sha256
    ))
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
    use std::sync::Mutex;

    fn archive(path: &Path, entries: &[(&str, &[u8])]) -> Result<(), Box<dyn Error>> {
        let mut writer = zip::ZipWriter::new(File::create(path)?);
        for (name, content) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default())?;
            writer.write_all(content)?;
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
                ("onnxruntime/__init__.py", b"python"),
                ("onnxruntime/capi/libonnxruntime.so.1.2.3", b"runtime"),
                (
                    "onnxruntime/capi/libonnxruntime_providers_shared.so",
                    b"shared",
                ),
                (
                    "onnxruntime/capi/libonnxruntime/../../../../escaped",
                    b"bad",
                ),
                ("onnxruntime/capi/libonnxruntime\\..\\escaped", b"bad"),
                ("../onnxruntime/capi/libonnxruntime.so", b"bad"),
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

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/run")
            .join(name)
    }

    /// A wheel around a stand-in for the runtime, pinned by its own digest, in a folder with a stand-in for Python.
    #[cfg(unix)]
    fn index(folder: &Path, version: &str) -> Result<(Wheel, PathBuf), Box<dyn Error>> {
        let library = folder.join("built");
        let built = Command::new("rustc")
            .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
            .arg(&library)
            .arg(fixture("runtime.rs"))
            .env("VERSION", version)
            .status()?;
        assert!(built.success());
        let name = format!("{INSIDE}{}.{version}", std::env::consts::DLL_SUFFIX);
        let packed = folder.join("index.whl");
        archive(&packed, &[(name.as_str(), fs::read(&library)?.as_slice())])?;
        let (sha256, _) = sha256_of_file(&packed)?;
        let python = folder.join("python3");
        std::os::unix::fs::symlink(fixture("python3"), &python)?;
        let pinned = Wheel::pinned(Provider::Cpu, "linux", "x86_64").ok_or("no wheel")?;
        let mut wheel = *pinned;
        wheel.sha256 = sha256.leak();
        Ok((wheel, python))
    }

    #[cfg(unix)]
    #[test]
    fn of_many_that_fetch_at_once_one_does_it() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (wheel, python) = index(folder.path(), "1.99.0")?;
        let runtimes = folder.path().join("cache/runtime");
        let notices = Mutex::new(Vec::new());
        let places: Vec<_> = std::thread::scope(|scope| {
            let fetches: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        fetch(
                            &wheel,
                            &runtimes,
                            std::slice::from_ref(&python),
                            &mut |line| {
                                if let Ok(mut notices) = notices.lock() {
                                    notices.push(line.to_owned());
                                }
                            },
                        )
                    })
                })
                .collect();
            fetches
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        let expected = runtimes.join(wheel.folder());
        for place in places {
            assert_eq!(
                place.map_err(|_| "a thread panicked")?,
                Ok(expected.clone())
            );
        }
        assert_eq!(notices.lock().map_err(|_| "poisoned")?.len(), 1);
        assert_eq!(library::in_folder(&expected).len(), 1);
        let mut left: Vec<_> = fs::read_dir(&runtimes)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        left.sort();
        assert_eq!(left, ["lock", wheel.folder().as_str()]);

        let asked = fs::read_to_string(folder.path().join("asked"))?;
        assert_eq!(asked.lines().count(), 1);
        for argument in [
            "--platform manylinux_2_28_x86_64",
            "--abi cp312",
            "--no-deps",
        ] {
            assert!(asked.contains(argument), "{asked}");
        }
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn what_is_unusable_in_the_cache_is_replaced() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (wheel, python) = index(folder.path(), "1.99.1")?;
        let runtimes = folder.path().join("runtime");
        let broken = runtimes.join(wheel.folder());
        fs::create_dir_all(&broken)?;
        let name = format!("libonnxruntime{}", std::env::consts::DLL_SUFFIX);
        fs::write(broken.join(name), "half a download")?;
        fetch(&wheel, &runtimes, &[python], &mut |_| {})?;
        let libraries = library::in_folder(&broken);
        assert_eq!(libraries.len(), 1);
        for path in libraries {
            assert_eq!(library::open(&path)?.version, "1.99.1");
        }
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_fetch_leaves_nothing_and_says_what_pip_said() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (wheel, python) = index(folder.path(), "1.99.2")?;
        let runtimes = folder.path().join("runtime");
        let mut forged = wheel;
        forged.sha256 = "00";
        let pythons = [folder.path().join("absent"), python];
        let found = fetch(&forged, &runtimes, &pythons, &mut |_| {})
            .err()
            .ok_or("accepted")?;
        assert!(found.contains("pinned is 00"), "{found}");
        fs::remove_file(folder.path().join("index.whl"))?;
        let found = fetch(&wheel, &runtimes, &pythons, &mut |_| {})
            .err()
            .ok_or("fetched nothing")?;
        assert!(found.ends_with("failed: no network"), "{found}");
        assert!(found.contains("absent"), "{found}");
        assert_eq!(fs::read_dir(&runtimes)?.count(), 1);
        Ok(())
    }
}
