//! The pinned wheels of ONNX Runtime that Candor fetches when a machine has none.

use super::Provider;

/// The release that is fetched.
const RELEASE: &str = "1.31.1";

/// A pinned wheel on the Python package index. It is named by its platform and not by the Python at hand, so that one
/// digest holds on every machine of that platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    /// Name of the package.
    pub package: &'static str,
    /// Its release.
    pub release: &'static str,
    /// Platform tag.
    pub platform: &'static str,
    /// SHA-256 of the wheel, in hexadecimal.
    pub sha256: &'static str,
    provider: Provider,
    system: (&'static str, &'static str),
}

/// Python version and ABI of the pinned wheels; the libraries inside do not depend on either.
pub(super) const PYTHON_VERSION: &str = "3.12";
pub(super) const PYTHON_ABI: &str = "cp312";

const WHEELS: [Wheel; 4] = [
    Wheel {
        package: "onnxruntime",
        release: RELEASE,
        platform: "manylinux_2_28_x86_64",
        sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        provider: Provider::Cpu,
        system: ("linux", "x86_64"),
    },
    Wheel {
        package: "onnxruntime",
        release: RELEASE,
        platform: "manylinux_2_28_aarch64",
        sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        provider: Provider::Cpu,
        system: ("linux", "aarch64"),
    },
    Wheel {
        package: "onnxruntime",
        release: RELEASE,
        platform: "macosx_14_0_arm64",
        sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
        provider: Provider::Cpu,
        system: ("macos", "aarch64"),
    },
    Wheel {
        package: "onnxruntime-gpu",
        release: RELEASE,
        platform: "manylinux_2_28_x86_64",
        sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
        provider: Provider::Cuda,
        system: ("linux", "x86_64"),
    },
];

impl Wheel {
    /// The wheel for a provider on an operating system and processor, named as [`std::env::consts`] does.
    #[must_use]
    pub fn pinned(provider: Provider, system: &str, processor: &str) -> Option<&'static Self> {
        WHEELS
            .iter()
            .find(|wheel| wheel.provider == provider && wheel.system == (system, processor))
    }

    /// Name of the folder that holds its libraries in the cache.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}-{}-{}", self.package, self.release, self.platform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gpu_wheel_exists_for_linux_on_x86_64_only() {
        let name = |system, processor| {
            Wheel::pinned(Provider::Cuda, system, processor).map(|wheel| wheel.package)
        };
        assert_eq!(name("linux", "x86_64"), Some("onnxruntime-gpu"));
        assert_eq!(name("linux", "aarch64"), None);
        assert_eq!(name("macos", "aarch64"), None);
    }

    #[test]
    fn every_wheel_has_a_folder_of_its_own() {
        let folders: std::collections::BTreeSet<_> = WHEELS.iter().map(Wheel::folder).collect();
        assert_eq!(folders.len(), WHEELS.len());
    }
}
