//! The words that rule files use for what other rooms name by enums.

use crate::evidence::{AblationKind, PatchMode};

use super::signals::Of;

pub(super) const fn mode(mode: PatchMode) -> &'static str {
    match mode {
        PatchMode::Denoising => "denoising",
        PatchMode::Noising => "noising",
    }
}

pub(super) fn mode_of(word: &str) -> Option<PatchMode> {
    [PatchMode::Denoising, PatchMode::Noising]
        .into_iter()
        .find(|known| mode(*known) == word)
}

pub(super) const fn ablation(kind: AblationKind) -> &'static str {
    match kind {
        AblationKind::Directional => "directional",
        AblationKind::Feature => "feature",
    }
}

pub(super) fn ablation_of(word: &str) -> Option<AblationKind> {
    [AblationKind::Directional, AblationKind::Feature]
        .into_iter()
        .find(|known| ablation(*known) == word)
}

pub(super) const fn of(of: Of) -> &'static str {
    match of {
        Of::Tested => "tested",
        Of::Against => "against",
        Of::Control => "control",
    }
}

pub(super) fn of_of(word: &str) -> Option<Of> {
    [Of::Tested, Of::Against, Of::Control]
        .into_iter()
        .find(|known| of(*known) == word)
}
