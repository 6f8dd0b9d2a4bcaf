//! What is set for every session and may decide its numbers: set from here, and recorded from here, so that a report cannot say otherwise.

use std::fs;
use std::path::Path;

use ort::session::builder::GraphOptimizationLevel;

use super::{Provider, Runtime};

/// How far the runtime rewrites graphs, and what a report calls it.
pub(super) const OPTIMISATION: (GraphOptimizationLevel, &str) =
    (GraphOptimizationLevel::All, "all");
/// Sums in the same order every time.
pub(super) const DETERMINISTIC: bool = true;
/// Threads that take operators side by side.
pub(super) const INTER_THREADS: usize = 1;
/// Many sessions that each keep threads, and spin them, slow one another tenfold on two cores. In one pool for all of them threads that
/// spin between operators make a short prompt half as long again faster.
pub(super) const SPINNING: bool = true;
/// TF32 would round every product to ten bits of mantissa, and activations would no longer be those of the export.
pub(super) const TF32: bool = false;
/// The first card.
const DEVICE: &str = "0";

/// Where the driver of NVIDIA's cards tells of itself.
const NVIDIA: &str = "/proc/driver/nvidia";

impl Runtime {
    /// How far the runtime rewrites graphs, such as `all`.
    #[must_use]
    pub fn optimisation(&self) -> &'static str {
        OPTIMISATION.1
    }

    /// What else is set for every session, by name; with CUDA also which card and driver there are, as far as the system tells.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        let mut all = vec![
            ("deterministic compute", switch(DETERMINISTIC)),
            ("inter-operator threads", INTER_THREADS.to_string()),
            ("spinning threads", switch(SPINNING)),
            (
                "memory arena",
                "shared by all sessions, grown as requested".to_owned(),
            ),
        ];
        if self.provider() == Provider::Cuda {
            all.push(("tf32", switch(TF32)));
            all.push(("device", DEVICE.to_owned()));
            all.extend(cards(Path::new(NVIDIA)));
            if let Ok(visible) = std::env::var("CUDA_VISIBLE_DEVICES") {
                all.push(("CUDA_VISIBLE_DEVICES", visible));
            }
        }
        all
    }
}

/// The names of the cards in the order of their buses, and the driver's version, from the files of the driver.
fn cards(folder: &Path) -> Vec<(&'static str, String)> {
    let mut names: Vec<(String, String)> = fs::read_dir(folder.join("gpus"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let bus = entry.ok()?.path();
            let text = fs::read_to_string(bus.join("information")).ok()?;
            let model = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
            Some((bus.display().to_string(), model.trim().to_owned()))
        })
        .collect();
    names.sort();
    let driver = fs::read_to_string(folder.join("version")).ok();
    let driver = driver.and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("NVRM version:"))?;
        Some((
            "driver",
            line.split_whitespace().collect::<Vec<_>>().join(" "),
        ))
    });
    let cards = names.into_iter().map(|(_, name)| ("card", name));
    cards.chain(driver).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::{cards, fs};

    #[test]
    fn cards_and_driver_are_read_from_the_drivers_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cards(folder.path()), []);
        for (bus, model) in [
            ("0000:b1:00.0", "NVIDIA A100"),
            ("0000:17:00.0", "NVIDIA H100 80GB HBM3"),
        ] {
            let bus = folder.path().join("gpus").join(bus);
            fs::create_dir_all(&bus).unwrap();
            let text = format!("Model: \t\t {model}\nIRQ:   \t\t 18\nGPU UUID: \t GPU-1\n");
            fs::write(bus.join("information"), text).unwrap();
        }
        let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:\n";
        fs::write(folder.path().join("version"), version).unwrap();
        assert_eq!(
            cards(folder.path()),
            [
                ("card", "NVIDIA H100 80GB HBM3".to_owned()),
                ("card", "NVIDIA A100".to_owned()),
                (
                    "driver",
                    "NVIDIA UNIX x86_64 Kernel Module 535.129.03 Thu Oct 19 18:56:32 UTC 2023"
                        .to_owned()
                ),
            ]
        );
    }
}
