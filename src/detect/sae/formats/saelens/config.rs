//! `cfg.json` as SAELens writes it: nested with `metadata` since 6.0, flat before.

use std::path::Path;

use serde_json::{Map, Value};

use super::super::fields::Fields;
use crate::detect::sae::architectures::{ARCHITECTURES, Architecture, Pursuit};
use crate::detect::sae::{Normalization, SaeConfig};
use crate::fault::{Fault, Result};

/// Architectures of SAELens that are not computed, and why.
const REFUSED: [(&str, &str); 1] = [("temporal", "its encoder attends over the tokens before")];

/// Features that matching pursuit may take of one activation, so that it ends.
const MOST_ITERATIONS: usize = 1 << 16;

/// What metadata is kept beside the hooks.
const METADATA: [&str; 13] = [
    "model_name",
    "model_class_name",
    "model_from_pretrained_kwargs",
    "prepend_bos",
    "exclude_special_tokens",
    "context_size",
    "seqpos_slice",
    "dataset_path",
    "neuronpedia_id",
    "sae_lens_training_version",
    "hf_hook_name",
    "hf_hook_name_out",
    "hook_head_index_out",
];

/// A config, and what is still to be done to the weights.
pub(super) struct Parsed {
    pub(super) config: SaeConfig,
    pub(super) architecture: &'static Architecture,
    /// Whether the weights still expect inputs scaled by a constant (`expected_average_only_in`).
    pub(super) unfolded: bool,
}

impl SaeConfig {
    /// Reads the text of a `cfg.json`. `path` is only named in messages.
    ///
    /// # Errors
    /// Not JSON, a field that is missing or of another type, or an architecture, a normalisation or a reshaping that
    /// cannot be computed, by name and with the reason.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        Ok(parse(&Fields::parse(text, path)?)?.config)
    }
}

pub(super) fn parse(fields: &Fields) -> Result<Parsed> {
    let cfg = Cfg { fields };
    let architecture = cfg.architecture()?;
    cfg.refuse_what_changes_the_arithmetic()?;
    cfg.dtype()?;
    let (normalization, unfolded) = cfg.normalization()?;
    let d_in = fields.size("d_in")?;
    let transcodes = architecture.transcodes();
    let d_out = match fields.whole("d_out")? {
        Some(0) => return Err(fields.wrong("d_out", "a positive whole number")),
        Some(d_out) if transcodes || d_out == d_in => d_out,
        Some(_) => return Err(fields.wrong("d_out", "d_in, unless it is a transcoder")),
        None if transcodes => return Err(fields.wrong("d_out", "a positive whole number")),
        None => d_in,
    };
    let subtracts = fields.flag("apply_b_dec_to_input", !transcodes)?;
    if subtracts && transcodes {
        return Err(fields.wrong(
            "apply_b_dec_to_input",
            "false: `b_dec` of a transcoder belongs to what it writes",
        ));
    }
    let config = SaeConfig {
        d_out,
        apply_b_dec_to_input: subtracts,
        normalization,
        k: if architecture.takes_k { cfg.k()? } else { None },
        rescale_acts_by_decoder_norm: fields.flag("rescale_acts_by_decoder_norm", false)?,
        pursuit: cfg.pursuit()?,
        flattens_heads: cfg.flattens_heads()?,
        hook_name: cfg.hook(&["hook_name", "hook_point"]),
        hook_name_out: cfg
            .hook(&["hook_name_out", "hook_point_out"])
            .filter(|_| transcodes),
        metadata: cfg.kept(),
        ..SaeConfig::of(architecture.name, d_in, fields.size("d_sae")?)
    };
    Ok(Parsed {
        config,
        architecture,
        unfolded,
    })
}

struct Cfg<'a> {
    fields: &'a Fields,
}

impl Cfg<'_> {
    fn activation_fn(&self) -> Option<&str> {
        ["activation_fn", "activation_fn_str"]
            .iter()
            .find_map(|name| self.fields.text(name))
    }

    fn architecture(&self) -> Result<&'static Architecture> {
        let default = if self.fields.has("metadata") {
            ""
        } else {
            "standard"
        };
        let found = self.fields.word("architecture", default)?;
        let name = if found == "standard" && self.activation_fn() == Some("topk") {
            "topk"
        } else {
            found
        };
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(self
                .fields
                .wrong(
                    "architecture",
                    "an architecture whose features one activation tells",
                )
                .hint(format!("`{name}` cannot be read: {why}")));
        }
        Architecture::named(name).ok_or_else(|| {
            let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
            let expected = format!("one of {}", known.join(", "));
            self.fields.wrong("architecture", &expected)
        })
    }

    fn refuse_what_changes_the_arithmetic(&self) -> Result<()> {
        if let Some(name) = self.activation_fn()
            && !["relu", "topk"].contains(&name)
        {
            return Err(Fault::usage(
                self.fields.doing(),
                format!("the activation function `{name}`"),
            )
            .expected("`relu` or `topk`"));
        }
        let head = ["hook_head_index", "hook_point_head_index"]
            .iter()
            .find_map(|name| self.metadata(name));
        if let Some(head) = head {
            return Err(
                Fault::usage(self.fields.doing(), format!("`hook_head_index`: {head}"))
                    .expected("an SAE of a whole activation, not of one attention head"),
            );
        }
        Ok(())
    }

    /// What SAELens would cast weights to; they are read as the file holds them, in single precision.
    fn dtype(&self) -> Result<()> {
        const KNOWN: [&str; 4] = ["float32", "float16", "bfloat16", "float64"];
        let found = self.fields.word("dtype", "float32")?;
        let name = found.strip_prefix("torch.").unwrap_or(found);
        if KNOWN.contains(&name) {
            return Ok(());
        }
        let expected = format!("one of {}", KNOWN.join(", "));
        Err(self.fields.wrong("dtype", &expected))
    }

    /// Whether heads are laid side by side before the encoder: said, or told by the hook's name in older files.
    fn flattens_heads(&self) -> Result<bool> {
        match self.fields.word("reshape_activations", "")? {
            "none" => Ok(false),
            "hook_z" => Ok(true),
            "" => Ok(!self.fields.has("metadata")
                && self
                    .hook(&["hook_name", "hook_point"])
                    .is_some_and(|name| name.contains("hook_z"))),
            _ => Err(self
                .fields
                .wrong("reshape_activations", "`none` or `hook_z`")),
        }
    }

    fn normalization(&self) -> Result<(Normalization, bool)> {
        const NAME: &str = "normalize_activations";
        let known = match self.fields.get(NAME) {
            None | Some(Value::Bool(false)) => Some((Normalization::None, false)),
            Some(Value::Bool(true)) => Some((Normalization::None, true)),
            Some(Value::String(name)) => match name.as_str() {
                "none" => Some((Normalization::None, false)),
                "constant_norm_rescale" => Some((Normalization::ConstantNormRescale, false)),
                "layer_norm" => Some((Normalization::LayerNorm, false)),
                "expected_average_only_in" => Some((Normalization::None, true)),
                _ => None,
            },
            Some(_) => None,
        };
        known.ok_or_else(|| {
            self.fields
                .wrong(
                    NAME,
                    "`none`, `constant_norm_rescale`, `layer_norm` or `expected_average_only_in`",
                )
                .hint("fold other normalisations into the weights with SAELens and save the SAE again")
        })
    }

    fn k(&self) -> Result<Option<usize>> {
        if self.fields.has("k") {
            return self.fields.size("k").map(Some);
        }
        self.fields.whole("activation_fn_kwargs.k")
    }

    fn pursuit(&self) -> Result<Pursuit> {
        let default = Pursuit::default();
        Ok(Pursuit {
            residual_threshold: self
                .fields
                .number("residual_threshold")?
                .unwrap_or(default.residual_threshold),
            max_iterations: match self.fields.whole("max_iterations")? {
                Some(most) if most > MOST_ITERATIONS => {
                    let expected = format!("at most {MOST_ITERATIONS}");
                    return Err(self.fields.wrong("max_iterations", &expected));
                }
                most => most,
            },
            stop_on_duplicate_support: self.fields.flag(
                "stop_on_duplicate_support",
                default.stop_on_duplicate_support,
            )?,
        })
    }

    /// A field of `metadata`, or of the top level in older files.
    fn metadata(&self, name: &str) -> Option<&Value> {
        self.fields
            .get(&format!("metadata.{name}"))
            .or_else(|| self.fields.get(name))
    }

    fn hook(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| self.metadata(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    }

    fn kept(&self) -> Map<String, Value> {
        let kept = METADATA
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.metadata(name)?.clone())));
        kept.collect()
    }
}
