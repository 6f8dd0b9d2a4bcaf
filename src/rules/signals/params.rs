//! Parameters of signals.

use crate::evidence::{AblationKind, PatchMode};

use super::Absent;

/// A parameter that a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// `of: tested | against`.
    Of,
    /// `of: tested | against | control`.
    OfOrControl,
    /// `detector: {role: …}`.
    Detector,
    /// `mode: denoising | noising`.
    Mode,
    /// `ablation: directional | feature`.
    Ablation,
}

impl Param {
    /// The key in a rule file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Of | Self::OfOrControl => "of",
            Self::Detector => "detector",
            Self::Mode => "mode",
            Self::Ablation => "ablation",
        }
    }

    /// The words it may be; empty for `detector`.
    #[must_use]
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Of => &["tested", "against"],
            Self::OfOrControl => &["tested", "against", "control"],
            Self::Detector => &[],
            Self::Mode => &["denoising", "noising"],
            Self::Ablation => &["directional", "feature"],
        }
    }
}

/// Which items a share is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// The condition under suspicion.
    Tested,
    /// The baseline condition.
    Against,
    /// The control suites.
    Control,
}

/// The parameters of one signal: those that its kind takes are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// Which items.
    pub of: Option<Of>,
    /// The detector's role.
    pub role: Option<String>,
    /// Which run receives.
    pub mode: Option<PatchMode>,
    /// What is ablated.
    pub ablation: Option<AblationKind>,
}

impl Params {
    pub(super) fn of(&self) -> Result<Of, Absent> {
        self.of.ok_or_else(|| missing(Param::Of))
    }

    pub(super) fn role(&self) -> Result<&str, Absent> {
        self.role.as_deref().ok_or_else(|| missing(Param::Detector))
    }

    pub(super) fn mode(&self) -> Result<PatchMode, Absent> {
        self.mode.ok_or_else(|| missing(Param::Mode))
    }

    pub(super) fn ablation(&self) -> Result<AblationKind, Absent> {
        self.ablation.ok_or_else(|| missing(Param::Ablation))
    }
}

fn missing(param: Param) -> Absent {
    Absent::unknown(format!("the signal names no `{}`", param.key()))
}
