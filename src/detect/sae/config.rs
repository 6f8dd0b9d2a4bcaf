//! `cfg.json` as SAELens writes it: nested with `metadata` since 6.0, flat before.

use std::path::Path;

use serde_json::{Map, Value};

use super::architectures::ARCHITECTURES;
use super::normalization::Normalization;
use crate::fault::{Fault, Result};

/// What `cfg.json` says, as far as it matters for encoding.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the file")]
pub struct SaeConfig {
    /// A name in [`ARCHITECTURES`].
    pub architecture: &'static str,
    /// Width of the activation.
    pub d_in: usize,
    /// Number of features.
    pub d_sae: usize,
    /// Whether `b_dec` is subtracted from the input.
    pub apply_b_dec_to_input: bool,
    /// Row-wise normalisation.
    pub normalization: Normalization,
    /// Whether the weights still expect inputs scaled by a constant (`expected_average_only_in`) that has to be folded in.
    pub(super) unfolded: bool,
    /// Features kept, for top-k.
    pub k: Option<usize>,
    /// Whether top-k ranks activations by decoder norm.
    pub rescale_acts_by_decoder_norm: bool,
    /// Whether it reads the heads of `hook_z` side by side.
    pub flattens_heads: bool,
    /// Where it was trained, as the file spells it.
    pub hook_name: Option<String>,
}

/// Where the `cfg.json` of an SAE keeps what older releases kept flat.
struct Fields<'a> {
    path: &'a Path,
    top: &'a Map<String, Value>,
}

impl SaeConfig {
    /// Reads the text of a `cfg.json`. `path` is only named in messages.
    ///
    /// # Errors
    /// Not JSON, a field that is missing or of another type, or an architecture, a normalisation or a reshaping that
    /// cannot be computed, by name and with the reason.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Fault::usage(doing(path), error.to_string()).expected("the JSON that SAELens writes")
        })?;
        let Value::Object(top) = &value else {
            return Err(Fault::usage(doing(path), "no JSON object")
                .expected("the object that SAELens writes"));
        };
        let fields = Fields { path, top };
        let architecture = fields.architecture()?;
        fields.refuse_what_changes_the_arithmetic()?;
        let (normalization, unfolded) = fields.normalization()?;
        Ok(Self {
            architecture,
            d_in: fields.size("d_in")?,
            d_sae: fields.size("d_sae")?,
            apply_b_dec_to_input: fields.flag("apply_b_dec_to_input", true)?,
            normalization,
            unfolded,
            k: fields.k()?,
            rescale_acts_by_decoder_norm: fields.flag("rescale_acts_by_decoder_norm", false)?,
            flattens_heads: fields.flattens_heads()?,
            hook_name: fields.hook_name(),
        })
    }

    /// The `cfg.json` of a loaded SAE, in the nested form.
    pub(super) fn to_json(&self) -> Value {
        let normalization = match self.normalization {
            Normalization::None => "none",
            Normalization::ConstantNormRescale => "constant_norm_rescale",
            Normalization::LayerNorm => "layer_norm",
        };
        let mut json = serde_json::json!({
            "architecture": self.architecture,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": self.apply_b_dec_to_input,
            "normalize_activations": normalization,
            "reshape_activations": if self.flattens_heads { "hook_z" } else { "none" },
            // SAELens takes a config without a version for one older than 6.0.
            "metadata": { "sae_lens_version": "6.0.0", "hook_name": self.hook_name },
        });
        if let Some(k) = self.k {
            json["k"] = k.into();
            json["rescale_acts_by_decoder_norm"] = self.rescale_acts_by_decoder_norm.into();
        }
        json
    }
}

fn doing(path: &Path) -> String {
    format!("reading the SAE's config `{}`", path.display())
}

impl Fields<'_> {
    fn wrong(&self, name: &str, found: Option<&Value>, expected: &str) -> Fault {
        let found = found.map_or_else(
            || format!("no `{name}`"),
            |value| format!("`{name}`: {value}"),
        );
        Fault::usage(doing(self.path), found).expected(expected)
    }

    /// A field that is there and not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.top.get(name).filter(|value| !value.is_null())
    }

    fn size(&self, name: &str) -> Result<usize> {
        let found = self.get(name);
        found
            .and_then(Value::as_u64)
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size > 0)
            .ok_or_else(|| self.wrong(name, found, "a positive whole number"))
    }

    fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            found => Err(self.wrong(name, found, "true or false")),
        }
    }

    fn activation_fn(&self) -> Option<&str> {
        ["activation_fn", "activation_fn_str"]
            .iter()
            .find_map(|name| self.get(name))
            .and_then(Value::as_str)
    }

    fn architecture(&self) -> Result<&'static str> {
        let found = match self.get("architecture") {
            Some(Value::String(name)) => name.as_str(),
            None if self.top.contains_key("metadata") => "",
            None => "standard",
            found => return Err(self.wrong("architecture", found, "a name")),
        };
        let name = if found == "standard" && self.activation_fn() == Some("topk") {
            "topk"
        } else {
            found
        };
        ARCHITECTURES
            .iter()
            .find(|architecture| architecture.name == name)
            .map(|architecture| architecture.name)
            .ok_or_else(|| {
                let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
                self.wrong(
                    "architecture",
                    self.get("architecture"),
                    &format!("one of {}", known.join(", ")),
                )
                .hint(
                    "`batchtopk` and `matryoshka_batchtopk` are training forms: SAELens saves them for inference as \
                     `jumprelu`",
                )
            })
    }

    fn refuse_what_changes_the_arithmetic(&self) -> Result<()> {
        if let Some(name) = self.activation_fn()
            && !["relu", "topk"].contains(&name)
        {
            return Err(Fault::usage(
                doing(self.path),
                format!("the activation function `{name}`"),
            )
            .expected("`relu` or `topk`"));
        }
        let head = ["hook_head_index", "hook_point_head_index"]
            .iter()
            .find_map(|name| self.metadata(name));
        if let Some(head) = head {
            return Err(
                Fault::usage(doing(self.path), format!("`hook_head_index`: {head}"))
                    .expected("an SAE of a whole activation, not of one attention head"),
            );
        }
        if self
            .size("d_out")
            .is_ok_and(|d_out| self.size("d_in") != Ok(d_out))
        {
            return Err(self.wrong(
                "d_out",
                self.get("d_out"),
                "d_in: transcoders are not read yet",
            ));
        }
        Ok(())
    }

    /// Whether heads are laid side by side before the encoder: said, or told by the hook's name in older files.
    fn flattens_heads(&self) -> Result<bool> {
        let found = self.get("reshape_activations");
        match found.map(Value::as_str) {
            Some(Some("none")) => Ok(false),
            Some(Some("hook_z")) => Ok(true),
            None => Ok(self.top.get("metadata").is_none()
                && self.hook_name().is_some_and(|name| name.contains("hook_z"))),
            Some(_) => Err(self.wrong("reshape_activations", found, "`none` or `hook_z`")),
        }
    }

    fn normalization(&self) -> Result<(Normalization, bool)> {
        let found = self.get("normalize_activations");
        match found {
            None | Some(Value::Bool(false)) => Ok((Normalization::None, false)),
            Some(Value::Bool(true)) => Ok((Normalization::None, true)),
            Some(Value::String(name)) => match name.as_str() {
                "none" => Ok((Normalization::None, false)),
                "constant_norm_rescale" => Ok((Normalization::ConstantNormRescale, false)),
                "layer_norm" => Ok((Normalization::LayerNorm, false)),
                "expected_average_only_in" => Ok((Normalization::None, true)),
                _ => Err(self.unknown_normalization(found)),
            },
            Some(_) => Err(self.unknown_normalization(found)),
        }
    }

    fn unknown_normalization(&self, found: Option<&Value>) -> Fault {
        self.wrong(
            "normalize_activations",
            found,
            "`none`, `constant_norm_rescale`, `layer_norm` or `expected_average_only_in`",
        )
        .hint("fold other normalisations into the weights with SAELens and save the SAE again")
    }

    fn k(&self) -> Result<Option<usize>> {
        if self.get("k").is_some() {
            return self.size("k").map(Some);
        }
        let inner = self
            .get("activation_fn_kwargs")
            .and_then(|kwargs| kwargs.get("k"));
        match inner {
            None => Ok(None),
            Some(k) => k
                .as_u64()
                .and_then(|k| usize::try_from(k).ok())
                .map(Some)
                .ok_or_else(|| self.wrong("activation_fn_kwargs.k", inner, "a whole number")),
        }
    }

    /// A field of `metadata`, or of the top level in older files.
    fn metadata(&self, name: &str) -> Option<&Value> {
        self.top
            .get("metadata")
            .and_then(|metadata| metadata.get(name))
            .filter(|value| !value.is_null())
            .or_else(|| self.get(name))
    }

    fn hook_name(&self) -> Option<String> {
        ["hook_name", "hook_point"]
            .iter()
            .find_map(|name| self.metadata(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    }
}
