//! Everything that steering gave, as JSON.

use serde_json::json;

use super::{AtArg, Seen, UnitArg};
use crate::fault::{Fault, Result};

/// The file's bytes.
///
/// # Errors
/// None that is expected.
pub fn json(seen: &Seen<'_>) -> Result<Vec<u8>> {
    let card = &seen.detector.card;
    let sites: Vec<_> = seen
        .steered
        .along
        .iter()
        .map(|along| {
            json!({
                "site": along.site.to_string(),
                "median_activation_length": along.typical,
                "length_of_scale_1": along.unit,
            })
        })
        .collect();
    let texts: Vec<_> = seen
        .steered
        .texts
        .iter()
        .zip(&seen.responses)
        .map(|(text, (said, tokens))| {
            let all: Vec<&String> = seen.prompt.tokens.iter().chain(tokens).collect();
            json!({
                "scale": text.scale,
                "text": said,
                "ids": text.ids,
                "stopped": text.stopped,
                "tokens": all,
                "response_start": seen.prompt.ids.len(),
                "scores": text.scores,
                "scores_unsteered": text.scores_unsteered,
                "mean_score": text.mean_score,
                "mean_score_unsteered": text.mean_score_unsteered,
                "unsteered_text": {
                    "tokens": text.on_unsteered.tokens,
                    "mean_score": text.on_unsteered.mean_score,
                    "log_probability": text.on_unsteered.log_probability,
                },
            })
        })
        .collect();
    let page = json!({
        "model_sha256": seen.sha256,
        "detector": {
            "id": card.id,
            "kind": card.kind.to_string(),
            "site": card.site.to_string(),
            "feature": seen.feature,
            "threshold": seen.calibration().map(|calibration| calibration.threshold),
            "flags": seen.calibration().map(|calibration| calibration.flags.name()),
        },
        "sites": sites,
        "unit": match seen.args.unit {
            UnitArg::Raw => "raw",
            UnitArg::Norm => "norm",
        },
        "at": match seen.args.at {
            AtArg::All => "all",
            AtArg::Response => "response",
        },
        "seed": seen.args.sampling.seed,
        "prompt_ids": seen.prompt.ids,
        "texts": texts,
    });
    serde_json::to_vec_pretty(&page)
        .map_err(|error| Fault::failed("writing JSON", error.to_string()))
}
