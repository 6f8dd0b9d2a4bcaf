//! Where an ONNX Runtime is looked for, in which order, and what is said when there is none.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::library;
use super::{Provider, RuntimeOptions, Wheel};
use crate::fault::{Fault, Result};

/// The places where a runtime may be. Plain data, so that a test can set them.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// What the user named and how (`--runtime` or `ORT_DYLIB_PATH`): a library or its folder. Nothing else is tried then.
    pub named: Option<(&'static str, PathBuf)>,
    /// The folder of Candor's own binary.
    pub beside: Option<PathBuf>,
    /// Candor's cache.
    pub cache: Option<PathBuf>,
    /// Python interpreters that may have an ONNX Runtime package, and that can fetch one.
    pub pythons: Vec<PathBuf>,
    /// Where sessions will run.
    pub provider: Provider,
    /// Whether fetching is forbidden.
    pub offline: bool,
    /// What to fetch; `None` on a platform without a pinned wheel.
    pub wheel: Option<&'static Wheel>,
}

/// Prints the library folder of an installed ONNX Runtime package without importing it. The working folder is taken off
/// the path first: a folder named `onnxruntime` there is no installed package.
const ASK_PYTHON: &str = "
import sys
sys.path[:] = [p for p in sys.path if p]
import importlib.util
spec = importlib.util.find_spec('onnxruntime')
for place in (spec and spec.submodule_search_locations) or []:
    print(place)
";

/// One place that was tried and what was found there.
struct Tried {
    place: String,
    found: String,
}

impl Search {
    /// The places of this machine.
    #[must_use]
    pub fn here(options: &RuntimeOptions) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let named = options
            .path
            .clone()
            .map(|path| ("--runtime", path))
            .or_else(|| Some(("ORT_DYLIB_PATH", variable("ORT_DYLIB_PATH")?.into())));
        let cache = variable("CANDOR_CACHE").map(PathBuf::from).or_else(|| {
            let home = variable("HOME").or_else(|| variable("USERPROFILE"))?;
            let home = PathBuf::from(home);
            if cfg!(target_os = "macos") {
                return Some(home.join("Library/Caches/candor"));
            }
            let caches = variable("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute());
            Some(caches.unwrap_or_else(|| home.join(".cache")).join("candor"))
        });
        Self {
            named,
            beside: std::env::current_exe()
                .ok()
                .and_then(|binary| Some(binary.parent()?.to_owned())),
            cache,
            pythons: variable("PATH").map_or_else(Vec::new, |path| pythons_on(&path)),
            provider: options.provider,
            offline: options.offline,
            wheel: Wheel::pinned(
                options.provider,
                std::env::consts::OS,
                std::env::consts::ARCH,
            ),
        }
    }

    /// Finds the first runtime that `load` accepts, fetching the pinned one where there is none.
    ///
    /// `load` gets a library file and says what is wrong with it if it cannot be used; `notice` gets a line for the user
    /// before anything is fetched.
    ///
    /// # Errors
    /// Usage, if what the user named is not usable. Failed, if nothing usable was found, naming every place that was tried
    /// and what was found there.
    pub fn find<L>(
        &self,
        load: &mut dyn FnMut(&Path) -> std::result::Result<L, String>,
        notice: &mut dyn FnMut(&str),
    ) -> Result<(PathBuf, L)> {
        if let Some((how, path)) = &self.named {
            return self.try_named(how, path, load);
        }
        let mut tried = Vec::new();
        let beside = self.beside.clone().into_iter().collect::<Vec<_>>();
        let cached = self.cached().into_iter().collect::<Vec<_>>();
        let known = [
            ("beside the binary", beside, "its folder is not known"),
            (
                "Candor's cache",
                cached,
                "neither CANDOR_CACHE nor HOME is set, or no wheel is pinned for this platform and provider",
            ),
        ];
        for (place, folders, absent) in known {
            if let Some(found) = self.try_folders(place, &folders, absent, load, &mut tried) {
                return Ok(found);
            }
        }
        let folders = self.python_folders();
        let absent = if self.pythons.is_empty() {
            "neither `python3` nor `python` is on PATH"
        } else {
            "no `onnxruntime` or `onnxruntime-gpu` package is installed"
        };
        if let Some(found) =
            self.try_folders("Python's packages", &folders, absent, load, &mut tried)
        {
            return Ok(found);
        }
        match self.fetch(notice) {
            Ok(folder) => {
                let place = "the fetched wheel";
                let absent = "no library";
                self.try_folders(place, &[folder], absent, load, &mut tried)
                    .ok_or_else(|| self.none(&tried))
            }
            Err(found) => {
                tried.push(Tried {
                    place: "fetching it".to_owned(),
                    found,
                });
                Err(self.none(&tried))
            }
        }
    }

    /// The folder of the pinned wheel's libraries in the cache.
    fn cached(&self) -> Option<PathBuf> {
        Some(self.runtimes()?.join(self.wheel?.folder()))
    }

    fn runtimes(&self) -> Option<PathBuf> {
        Some(self.cache.as_ref()?.join("runtime"))
    }

    fn try_named<L>(
        &self,
        how: &str,
        path: &Path,
        load: &mut dyn FnMut(&Path) -> std::result::Result<L, String>,
    ) -> Result<(PathBuf, L)> {
        let library = if path.is_dir() {
            library::in_folder(path).into_iter().next()
        } else {
            Some(path.to_owned()).filter(|path| path.exists())
        };
        let found = match library {
            None if path.is_dir() => "a folder without an ONNX Runtime library".to_owned(),
            None => "no such file".to_owned(),
            Some(library) => match self.usable(&library).and_then(|()| load(&library)) {
                Ok(loaded) => return Ok((library, loaded)),
                Err(found) => found,
            },
        };
        Err(Fault::usage(
            format!("loading the ONNX Runtime that {how} names, `{}`", path.display()),
            found,
        )
        .expected(self.expected())
        .hint(format!(
            "without {how} Candor looks beside its binary, in its cache and in Python's packages, and fetches a runtime if there is none"
        )))
    }

    fn try_folders<L>(
        &self,
        place: &str,
        folders: &[PathBuf],
        absent: &str,
        load: &mut dyn FnMut(&Path) -> std::result::Result<L, String>,
        tried: &mut Vec<Tried>,
    ) -> Option<(PathBuf, L)> {
        if folders.is_empty() {
            tried.push(Tried {
                place: place.to_owned(),
                found: absent.to_owned(),
            });
        }
        for folder in folders {
            let libraries = library::in_folder(folder);
            if libraries.is_empty() {
                tried.push(Tried {
                    place: format!("{place} ({})", folder.display()),
                    found: "no library".to_owned(),
                });
            }
            for library in libraries {
                match self.usable(&library).and_then(|()| load(&library)) {
                    Ok(loaded) => return Some((library, loaded)),
                    Err(found) => tried.push(Tried {
                        place: format!("{place} ({})", library.display()),
                        found,
                    }),
                }
            }
        }
        None
    }

    /// A library without the wanted provider must not be loaded at all: a process can load only one.
    fn usable(&self, library: &Path) -> std::result::Result<(), String> {
        let provider = library::cuda_provider_beside(library);
        if self.provider == Provider::Cuda && !provider.exists() {
            return Err(format!(
                "a runtime without CUDA: `{}` is not there",
                provider.display()
            ));
        }
        Ok(())
    }

    fn python_folders(&self) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for python in &self.pythons {
            let Ok(answer) = Command::new(python).args(["-c", ASK_PYTHON]).output() else {
                continue;
            };
            for line in String::from_utf8_lossy(&answer.stdout).lines() {
                let folder = Path::new(line).join("capi");
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
        folders
    }

    fn fetch(&self, notice: &mut dyn FnMut(&str)) -> std::result::Result<PathBuf, String> {
        if self.offline {
            return Err("forbidden by --offline".to_owned());
        }
        let wheel = self.wheel.ok_or_else(|| {
            format!(
                "no wheel is pinned for {} on {} {}",
                self.provider,
                std::env::consts::OS,
                std::env::consts::ARCH
            )
        })?;
        let runtimes = self
            .runtimes()
            .ok_or("neither CANDOR_CACHE nor HOME is set, so there is no cache to fetch into")?;
        if self.pythons.is_empty() {
            return Err(
                "`pip` is needed, and neither `python3` nor `python` is on PATH".to_owned(),
            );
        }
        super::fetch::fetch(wheel, &runtimes, &self.pythons, notice)
    }

    fn expected(&self) -> String {
        let (major, minor) = library::OLDEST;
        match self.provider {
            Provider::Cpu => format!("ONNX Runtime {major}.{minor} or newer"),
            Provider::Cuda => {
                format!("ONNX Runtime {major}.{minor} or newer with its CUDA provider")
            }
        }
    }

    fn none(&self, tried: &[Tried]) -> Fault {
        let tried = tried.iter().fold(String::new(), |lines, tried| {
            format!("{lines}\n           {}: {}", tried.place, tried.found)
        });
        Fault::failed(
            "looking for ONNX Runtime, which runs the model",
            format!("none that can be used; tried{tried}"),
        )
        .expected(self.expected())
        .hint(self.advice())
    }

    fn advice(&self) -> String {
        let package = match self.provider {
            Provider::Cpu => "onnxruntime",
            Provider::Cuda => "onnxruntime-gpu",
        };
        format!(
            "install it (`pip install {package}`), or name a library with --runtime or ORT_DYLIB_PATH{}",
            if self.offline {
                ", or leave out --offline once so that Candor fetches it"
            } else {
                ""
            }
        )
    }
}

/// The Python interpreters in the folders of a PATH, `python3` before `python`.
fn pythons_on(path: &OsStr) -> Vec<PathBuf> {
    ["python3", "python"]
        .iter()
        .filter_map(|name| {
            let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
            std::env::split_paths(path)
                .map(|folder| folder.join(&name))
                .find(|python| python.is_absolute() && python.is_file())
        })
        .collect()
}
