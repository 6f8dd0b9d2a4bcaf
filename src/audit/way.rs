//! How the causal evidence is run: whole passes of the graph, or its blocks.

use std::collections::BTreeSet;

use super::explain::Diverging;
use super::study::Study;
use crate::causal::{DEFAULT_BUDGET, Engine, Load, Runs, Way, open};
use crate::fault::Result;
use crate::model::{Architecture, Model, Point, SiteName};
use crate::rules::CausalRequest;
use crate::run::Runtime;

/// An audit takes little memory beside the model's weights, one part in so many of them.
const SHARE: u64 = 4;
/// Bytes below which batches become too small.
const LEAST: usize = 16 << 20;

/// Bytes of activations of a batch, in any case enough for two rows of the longest prompt.
fn budget(model: &Model, arch: &Architecture, longest: usize) -> usize {
    let weights: u64 = model.files().iter().map(|file| file.bytes).sum();
    let share = usize::try_from(weights / SHARE).unwrap_or(usize::MAX);
    // More than any block holds of a token at once: a stream, its norms, a wide MLP, and the scores of all heads.
    let token = 64 * arch.d_model + 8 * arch.n_heads.unwrap_or(1) * longest;
    let two_rows = 2 * size_of::<f32>() * longest * token;
    share.clamp(LEAST, DEFAULT_BUDGET).max(two_rows)
}

impl Study<'_> {
    /// Whole passes of the graph that is open, or its blocks, whichever costs less for all that is demanded. The graph is closed before
    /// its blocks are loaded: the weights are held once.
    ///
    /// # Errors
    /// The runtime refuses the graph.
    pub(super) fn cheapest(
        &self,
        runtime: &Runtime,
        engine: Engine,
        requests: &BTreeSet<&CausalRequest>,
        diverging: &[Diverging<'_>],
    ) -> Result<Box<dyn Runs>> {
        let subject = &self.bench.subject;
        let arch = &subject.arch;
        let mut load = Load::default();
        let mut sites: BTreeSet<SiteName> = BTreeSet::new();
        for one in diverging {
            for pair in &one.pairs {
                load.prompt(arch, pair.corrupt.ids.len());
            }
            for request in requests {
                sites.extend(self.sites_of(request));
                let (modes, each) = match request {
                    CausalRequest::Patching { modes, .. } => (modes.len(), true),
                    CausalRequest::DirectionalAblation {
                        random_directions, ..
                    }
                    | CausalRequest::FeatureAblation {
                        random_directions, ..
                    } => (2 * random_directions, false),
                };
                for pair in one.pairs.iter().take(request.most()) {
                    let seq = pair.corrupt.ids.len();
                    for site in self.sites_of(request) {
                        let from = if each { 0 } else { pair.last() };
                        for position in from..seq {
                            load.add(arch, modes, seq, site.layer.unwrap_or(0), position);
                        }
                    }
                }
            }
        }
        if load.choose(arch).way == Way::Whole {
            return Ok(Box::new(engine));
        }
        drop(engine);
        let sites: Vec<SiteName> = sites.into_iter().collect();
        let pairs = diverging.iter().flat_map(|one| &one.pairs);
        let longest = pairs.map(|pair| pair.corrupt.ids.len()).max().unwrap_or(0);
        let budget = budget(&subject.model, arch, longest);
        let (runs, _) = open(runtime, &subject.model, arch, &sites, &load, budget)?;
        Ok(runs)
    }

    /// The sites that a request changes.
    fn sites_of(&self, request: &CausalRequest) -> Vec<SiteName> {
        let arch = &self.bench.subject.arch;
        match request {
            CausalRequest::Patching { point, .. } => in_every_layer(arch, *point),
            CausalRequest::DirectionalAblation { role, .. }
            | CausalRequest::FeatureAblation { role, .. } => {
                let detectors = self.bench.detectors.iter();
                let of_role = detectors.filter(|detector| detector.card.role == *role);
                of_role.map(|detector| detector.card.site).collect()
            }
        }
    }
}

/// A place in every block that has it.
pub(super) fn in_every_layer(arch: &Architecture, point: Point) -> Vec<SiteName> {
    let sites = (0..arch.n_layers).map(|layer| SiteName::block(layer, point));
    sites.filter(|&site| arch.site(site).is_some()).collect()
}
