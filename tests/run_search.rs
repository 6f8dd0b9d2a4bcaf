//! Where a runtime is looked for, and what is said when none is found. No runtime is loaded in this process.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and one prints for another"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use candor::fault::{Fault, Kind};
use candor::run::{Provider, Runtime, RuntimeOptions, Search, Wheel};

const LIBRARY: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/run")
        .join(name)
}

/// A machine with a library in every place; each file holds `good` or what is wrong with it.
struct Machine {
    folder: tempfile::TempDir,
    search: Search,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let wheel = Wheel::pinned(Provider::Cpu, "linux", "x86_64").unwrap();
        let machine = Self {
            search: Search {
                named: None,
                beside: Some(at("bin")),
                cache: Some(at("cache")),
                pythons: vec![at("python3")],
                provider: Provider::Cpu,
                offline: true,
                wheel: Some(wheel),
            },
            folder,
        };
        std::os::unix::fs::symlink(fixture("python3"), machine.at("python3")).unwrap();
        let package = machine.at("site-packages/onnxruntime");
        fs::write(machine.at("packages"), package.display().to_string()).unwrap();
        for place in machine.places() {
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(LIBRARY), "good").unwrap();
        }
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folders in the order in which they are tried.
    fn places(&self) -> [PathBuf; 3] {
        let wheel = self.search.wheel.unwrap().folder();
        [
            self.at("bin"),
            self.at("cache/runtime").join(wheel),
            self.at("site-packages/onnxruntime/capi"),
        ]
    }

    fn find(&self) -> Result<PathBuf, Fault> {
        let mut load = |path: &Path| match fs::read_to_string(path).unwrap().as_str() {
            "good" => Ok(()),
            wrong => Err(wrong.to_owned()),
        };
        let found = self
            .search
            .find(&mut load, &mut |line| panic!("unexpected notice: {line}"))?;
        Ok(found.0)
    }

    /// A message without what differs from run to run.
    fn scrubbed(&self, text: &str) -> String {
        text.replace(&self.folder.path().display().to_string(), "[ROOT]")
            .replace(LIBRARY, "[LIBRARY]")
    }
}

#[test]
fn the_first_usable_library_in_the_stated_order_is_taken() {
    let machine = Machine::new();
    for place in machine.places() {
        assert_eq!(machine.find().unwrap(), place.join(LIBRARY));
        fs::write(place.join(LIBRARY), "broken").unwrap();
    }
    assert!(machine.find().is_err());
}

#[test]
fn the_message_names_every_place_and_what_was_found_there() {
    let machine = Machine::new();
    let [beside, cache, python] = machine.places();
    fs::remove_file(beside.join(LIBRARY)).unwrap();
    fs::write(cache.join(LIBRARY), "ONNX Runtime 1.2.3, which is too old").unwrap();
    fs::write(python.join(LIBRARY), "not a library").unwrap();
    let fault = machine.find().unwrap_err();
    assert_eq!(fault.kind, Kind::Failed);
    insta::assert_snapshot!(machine.scrubbed(&fault.to_string()), @r"
    looking for ONNX Runtime, which runs the model
         found: none that can be used; tried
               beside the binary ([ROOT]/bin): no library
               Candor's cache ([ROOT]/cache/runtime/onnxruntime-1.31.1-manylinux_2_28_x86_64/[LIBRARY]): ONNX Runtime 1.2.3, which is too old
               Python's packages ([ROOT]/site-packages/onnxruntime/capi/[LIBRARY]): not a library
               fetching it: forbidden by --offline
      expected: ONNX Runtime 1.24 or newer
          hint: install it (`pip install onnxruntime`), or name a library with --runtime or ORT_DYLIB_PATH, or leave out --offline once so that Candor fetches it
    ");
}

#[test]
fn a_bare_machine_is_told_what_to_do() {
    let search = Search {
        offline: true,
        ..Search::default()
    };
    let fault = search.find(&mut |_| Ok(()), &mut |_| {}).unwrap_err();
    insta::assert_snapshot!(fault, @r"
    looking for ONNX Runtime, which runs the model
         found: none that can be used; tried
               beside the binary: its folder is not known
               Candor's cache: neither CANDOR_CACHE nor HOME is set, or no wheel is pinned for this platform and provider
               Python's packages: neither `python3` nor `python` is on PATH
               fetching it: forbidden by --offline
      expected: ONNX Runtime 1.24 or newer
          hint: install it (`pip install onnxruntime`), or name a library with --runtime or ORT_DYLIB_PATH, or leave out --offline once so that Candor fetches it
    ");
}

#[test]
fn without_a_python_nothing_is_fetched() {
    let machine = Machine::new();
    for place in machine.places() {
        fs::remove_dir_all(place).unwrap();
    }
    let search = Search {
        offline: false,
        pythons: Vec::new(),
        ..machine.search.clone()
    };
    let fault = search.find(&mut |_| Ok(()), &mut |_| {}).unwrap_err();
    insta::assert_snapshot!(machine.scrubbed(&fault.to_string()), @r"
    looking for ONNX Runtime, which runs the model
         found: none that can be used; tried
               beside the binary ([ROOT]/bin): no library
               Candor's cache ([ROOT]/cache/runtime/onnxruntime-1.31.1-manylinux_2_28_x86_64): no library
               Python's packages: neither `python3` nor `python` is on PATH
               fetching it: `pip` is needed, and neither `python3` nor `python` is on PATH
      expected: ONNX Runtime 1.24 or newer
          hint: install it (`pip install onnxruntime`), or name a library with --runtime or ORT_DYLIB_PATH
    ");
}

#[test]
fn a_runtime_without_cuda_is_passed_over_where_cuda_is_asked_for() {
    let mut machine = Machine::new();
    machine.search.provider = Provider::Cuda;
    let fault = machine.find().unwrap_err();
    assert!(fault.found.matches("without CUDA").count() == 3, "{fault}");
    let [_, _, python] = machine.places();
    let provider = LIBRARY.replace("onnxruntime", "onnxruntime_providers_cuda");
    fs::write(python.join(provider), "").unwrap();
    assert_eq!(machine.find().unwrap(), python.join(LIBRARY));
}

#[test]
fn what_the_user_names_is_tried_alone() {
    let machine = Machine::new();
    let named = machine.at("named");
    let find = |path: &Path| {
        Machine {
            search: Search {
                named: Some(("--runtime", path.to_owned())),
                ..machine.search.clone()
            },
            folder: tempfile::tempdir().unwrap(),
        }
        .find()
    };
    let fault = find(&named).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    insta::assert_snapshot!(machine.scrubbed(&fault.to_string()), @r"
    loading the ONNX Runtime that --runtime names, `[ROOT]/named`
         found: no such file
      expected: ONNX Runtime 1.24 or newer
          hint: without --runtime Candor looks beside its binary, in its cache and in Python's packages, and fetches a runtime if there is none
    ");

    fs::create_dir(&named).unwrap();
    let fault = find(&named).unwrap_err();
    assert_eq!(fault.found, "a folder without an ONNX Runtime library");
    fs::write(named.join(LIBRARY), "good").unwrap();
    assert_eq!(find(&named).unwrap(), named.join(LIBRARY));
    assert_eq!(find(&named.join(LIBRARY)).unwrap(), named.join(LIBRARY));
}

/// Builds a stand-in for the runtime of that version; with `other`, a library that is something else.
fn built(folder: &Path, version: &str, other: bool) -> PathBuf {
    let library = folder.join(LIBRARY);
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .arg(&library)
        .arg(fixture("runtime.rs"))
        .env("VERSION", version);
    if other {
        rustc.args(["--cfg", "other"]);
    }
    assert!(rustc.status().unwrap().success());
    library
}

fn named(path: &Path) -> Fault {
    let options = RuntimeOptions {
        path: Some(path.to_owned()),
        ..RuntimeOptions::default()
    };
    let fault = Runtime::obtain(&options, &mut |_| {}).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    fault
}

#[test]
fn a_file_that_is_no_usable_runtime_is_refused_for_its_own_reason() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join(LIBRARY);
    fs::write(&text, "text").unwrap();
    let fault = named(&text);
    assert!(
        fault.found.starts_with("not a library that can be loaded"),
        "{fault}"
    );

    let folder = tempfile::tempdir().unwrap();
    let fault = named(&built(folder.path(), "1.99.0", true));
    assert!(fault.found.contains("not ONNX Runtime"), "{fault}");

    let folder = tempfile::tempdir().unwrap();
    let fault = named(&built(folder.path(), "1.23.2", false));
    assert_eq!(fault.found, "ONNX Runtime 1.23.2, which is too old");
    assert_eq!(fault.expected, "ONNX Runtime 1.24 or newer");
}

/// Set for the child process that the test below starts with an environment of its own.
const CHILD: &str = "CANDOR_TEST_CHILD";

/// In the child process: obtains a runtime as the environment says, and prints the fault.
#[test]
fn obtain_offline() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let options = RuntimeOptions {
        offline: true,
        ..RuntimeOptions::default()
    };
    println!("{}", Runtime::obtain(&options, &mut |_| {}).unwrap_err());
}

#[test]
fn the_environment_says_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let obtain = |variables: &[(&str, &Path)]| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "obtain_offline", "--nocapture"])
            .env_clear()
            .env(CHILD, "1")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let cache = folder.path().join("cache");
    let said = obtain(&[("CANDOR_CACHE", &cache), ("PATH", folder.path())]);
    for expected in [
        "beside the binary (/",
        &format!("Candor's cache ({}/", cache.display()),
        "Python's packages: neither `python3` nor `python` is on PATH",
        "fetching it: forbidden by --offline",
    ] {
        assert!(said.contains(expected), "no `{expected}` in {said}");
    }
    let said = obtain(&[("HOME", folder.path())]);
    let caches = if cfg!(target_os = "macos") {
        "Library/Caches/candor"
    } else {
        ".cache/candor"
    };
    let expected = folder.path().join(caches).join("runtime");
    assert!(said.contains(&expected.display().to_string()), "{said}");

    let said = obtain(&[("ORT_DYLIB_PATH", &folder.path().join("absent"))]);
    assert!(said.contains("that ORT_DYLIB_PATH names"), "{said}");
}
