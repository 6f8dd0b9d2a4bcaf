//! The loaded ONNX Runtime: one for the whole process, with one pool of threads that all sessions share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::ep::ExecutionProvider;
use ort::logging::LogLevel;
use ort::session::builder::SessionBuilder;

use super::Search;
use super::arena;
use super::library;
use super::settings;
use crate::fault::{Fault, Result};

/// Where sessions run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Provider {
    /// On the processor.
    #[default]
    Cpu,
    /// On the first NVIDIA card.
    Cuda,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// How to find and set up the runtime.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// The library (or its folder) that the user names; nothing else is tried then.
    pub path: Option<PathBuf>,
    /// Forbids fetching a runtime.
    pub offline: bool,
    /// Where sessions run.
    pub provider: Provider,
    /// Threads of the shared pool; `None` or 0 for as many as the machine offers.
    pub threads: Option<usize>,
}

/// The loaded ONNX Runtime. Cheap to clone and to obtain again.
#[derive(Debug, Clone)]
pub struct Runtime {
    loaded: Loaded,
    provider: Provider,
}

/// What is loaded once in the life of a process.
#[derive(Debug, Clone)]
struct Loaded {
    environment: Environment,
    library: PathBuf,
    version: Arc<str>,
    threads: usize,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

impl Runtime {
    /// Finds a runtime, or fetches the pinned one, and loads it. A process loads one library: later calls get the same
    /// one, with the threads it was set up with.
    ///
    /// `notice` gets a line for the user before anything is fetched.
    ///
    /// # Errors
    /// Usage, if the runtime that the user names is not usable or another is loaded already. Failed, if none was found
    /// (every place that was tried is named), or if the provider cannot be used on this machine.
    pub fn obtain(options: &RuntimeOptions, notice: &mut dyn FnMut(&str)) -> Result<Self> {
        let mut slot = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match slot.as_ref() {
            Some(loaded) => {
                loaded.agrees_with(options)?;
                loaded.clone()
            }
            None => slot.insert(Loaded::new(options, notice)?).clone(),
        };
        drop(slot);
        let runtime = Self {
            loaded,
            provider: options.provider,
        };
        runtime.check_provider()?;
        Ok(runtime)
    }

    /// The runtime's version, such as `1.31.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.loaded.version
    }

    /// The loaded library file.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.loaded.library
    }

    /// Where sessions run.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Threads of the pool that all sessions share.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.loaded.threads
    }

    /// One line for reports and logs.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "ONNX Runtime {} on {} with {} threads ({})",
            self.version(),
            self.provider,
            self.loaded.threads,
            self.library().display()
        )
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.loaded.environment
    }

    /// Registers the provider on a session that is being built; fatal if it fails, for ONNX Runtime would go on with the
    /// processor and say nothing.
    pub(super) fn register(&self, builder: &mut SessionBuilder) -> Result<()> {
        match self.provider {
            Provider::Cpu => Ok(()),
            Provider::Cuda => cuda()
                .register(builder)
                .map_err(|error| self.no_cuda(error.message())),
        }
    }

    fn check_provider(&self) -> Result<()> {
        if self.provider == Provider::Cpu {
            return Ok(());
        }
        if !library::cuda_provider_beside(self.library()).exists()
            || !ort::ep::CUDA::is_available().unwrap_or(false)
        {
            return Err(self.no_cuda("this runtime is built without CUDA"));
        }
        let mut builder = SessionBuilder::new(self.environment())
            .map_err(|error| self.no_cuda(error.message()))?;
        self.register(&mut builder)?;
        arena::register_cuda(self.environment());
        Ok(())
    }

    fn no_cuda(&self, found: &str) -> Fault {
        Fault::failed(
            format!("setting up CUDA in `{}`", self.library().display()),
            found.trim(),
        )
        .expected(
            "onnxruntime-gpu, with the NVIDIA driver and the CUDA and cuDNN libraries it was built for",
        )
        .hint("put the folders of the missing libraries on LD_LIBRARY_PATH, or run with --provider cpu")
    }
}

fn cuda() -> ort::ep::CUDA {
    ort::ep::CUDA::default().with_tf32(settings::TF32)
}

impl Loaded {
    fn new(options: &RuntimeOptions, notice: &mut dyn FnMut(&str)) -> Result<Self> {
        let search = Search::here(options);
        let (library, (opened, builder)) = search.find(
            &mut |path| {
                let opened = library::open(path)?;
                let builder = ort::init_from(path).map_err(|error| error.to_string())?;
                Ok((opened, builder))
            },
            notice,
        )?;
        let library = library.canonicalize().unwrap_or(library);
        let failed = |error: ort::Error| {
            Fault::failed(
                format!("setting up ONNX Runtime `{}`", library.display()),
                error.message(),
            )
        };
        let threads = options
            .threads
            .filter(|threads| *threads > 0)
            .or_else(|| Some(std::thread::available_parallelism().ok()?.get()))
            .unwrap_or(1);
        let pool = GlobalThreadPoolOptions::default()
            .with_intra_threads(threads)
            .and_then(|pool| pool.with_inter_threads(settings::INTER_THREADS))
            .and_then(|pool| pool.with_spin_control(settings::SPINNING))
            .map_err(failed)?;
        let environment = builder
            .with_name("candor")
            .with_telemetry(false)
            .with_global_thread_pool(pool)
            .with_logger(Arc::new(log))
            .build()
            .map_err(failed)?;
        environment.set_log_level(LogLevel::Warning);
        arena::register(&environment).map_err(failed)?;
        Ok(Self {
            environment,
            library,
            version: opened.version.as_str().into(),
            threads,
        })
    }

    /// A process cannot load a second library, so another wish is refused instead of ignored.
    fn agrees_with(&self, options: &RuntimeOptions) -> Result<()> {
        let Some(path) = &options.path else {
            return Ok(());
        };
        let wanted = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.library == wanted || self.library.parent() == Some(&wanted) {
            return Ok(());
        }
        Err(Fault::usage(
            format!("loading ONNX Runtime `{}`", path.display()),
            format!(
                "this process has loaded `{}` already",
                self.library.display()
            ),
        )
        .expected("one runtime for the whole process"))
    }
}

/// What goes wrong comes back as an error too; the log is for those who ask for it.
fn log(level: LogLevel, category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Fatal => tracing::warn!(target: "onnxruntime", category, place, "{message}"),
        // Runs that show how a model may be batched and cached are expected to fail on some.
        LogLevel::Error | LogLevel::Warning => {
            tracing::debug!(target: "onnxruntime", category, place, "{message}");
        }
        LogLevel::Info | LogLevel::Verbose => {
            tracing::trace!(target: "onnxruntime", category, place, "{message}");
        }
    }
}
