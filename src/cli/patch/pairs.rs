//! The pairs: two prompts on the command line, or a file of many.

use super::super::prompts;
use super::args::{MetricArg, PatchArgs};
use crate::causal::Pair;
use crate::fault::{Fault, Result};
use crate::lab::{Given, Side, Sides, one_pair, read_pairs};
use crate::model::Architecture;
use crate::tokens::Tokenizer;

/// Reads pairs for one model.
pub struct Reader<'a> {
    pub args: &'a PatchArgs,
    pub arch: &'a Architecture,
    tokenizer: Option<Tokenizer>,
}

impl<'a> Reader<'a> {
    pub fn new(args: &'a PatchArgs, arch: &'a Architecture) -> Self {
        Self {
            args,
            arch,
            tokenizer: None,
        }
    }

    /// The tokenizer, opened when it is first of use.
    pub fn tokenizer(&mut self) -> Result<&Tokenizer> {
        if self.tokenizer.is_none() {
            let given = self.args.tokenizer.as_deref();
            let vocab = self.arch.vocab_size;
            self.tokenizer = Some(prompts::tokenizer(given, &self.args.model, vocab)?);
        }
        self.tokenizer
            .as_ref()
            .ok_or_else(|| Fault::failed("opening the tokenizer", "none"))
    }

    /// The pairs that the arguments name.
    pub fn pairs(&mut self) -> Result<Vec<Pair>> {
        let args = self.args;
        let side = |text: &Option<String>, id: Option<i64>| {
            id.map(Side::Id).or_else(|| text.clone().map(Side::Text))
        };
        let sides = Sides {
            answer: side(&args.answer, args.answer_id),
            foil: side(&args.foil, args.foil_id),
            reads_answer: !matches!(args.metric, MetricArg::Kl | MetricArg::Detector),
            reads_foil: args.metric == MetricArg::LogitDifference,
        };
        let open = || {
            let given = args.tokenizer.as_deref();
            prompts::tokenizer(given, &args.model, self.arch.vocab_size)
        };
        if let Some(file) = &args.pairs {
            return read_pairs(file, self.arch, &open, &sides);
        }
        let ids = |ids: &Option<String>| -> Result<Option<Given>> {
            let ids = ids.as_deref().map(prompts::parse_one).transpose()?;
            Ok(ids.map(Given::Ids))
        };
        let text = |text: &Option<String>| text.clone().map(Given::Text);
        let clean = ids(&args.clean_ids)?.or_else(|| text(&args.clean));
        let corrupt = ids(&args.corrupt_ids)?.or_else(|| text(&args.corrupt));
        let (Some(clean), Some(corrupt)) = (clean, corrupt) else {
            return Err(Fault::usage("reading the pair", "no prompts")
                .expected("--clean and --corrupt, --clean-ids and --corrupt-ids, or --pairs"));
        };
        Ok(vec![one_pair(clean, corrupt, self.arch, &open, &sides)?])
    }
}
