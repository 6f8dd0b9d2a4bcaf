//! How the causal evidence is run: whole passes of the graph, or its blocks.

use std::collections::BTreeSet;

use super::study::Study;
use crate::causal::{DEFAULT_BUDGET, Engine, Load, Pair, Runs, Way, open};
use crate::fault::Result;
use crate::model::{Architecture, Point, SiteName};
use crate::rules::CausalRequest;
use crate::run::Runtime;
use crate::tokens::Suite;

impl Study<'_> {
    /// Whole passes of the graph that is open, or its blocks, whichever costs less for all that is demanded. The graph is closed before
    /// its blocks are loaded: the weights are held once.
    /// # Errors
    /// The runtime refuses the graph.
    pub(super) fn cheapest(
        &self,
        runtime: &Runtime,
        engine: Engine,
        requests: &BTreeSet<&CausalRequest>,
        diverging: &[(&Suite, Vec<Pair>)],
    ) -> Result<Box<dyn Runs>> {
        let subject = &self.bench.subject;
        let arch = &subject.arch;
        let mut load = Load::default();
        let mut sites: BTreeSet<SiteName> = BTreeSet::new();
        for (_, pairs) in diverging {
            for pair in pairs {
                load.prompt(arch, pair.corrupt.ids.len());
            }
            for request in requests {
                sites.extend(self.sites_of(request));
                let (most, modes, each) = match request {
                    CausalRequest::Patching {
                        modes, max_pairs, ..
                    } => (*max_pairs, modes.len(), true),
                    CausalRequest::DirectionalAblation {
                        max_items,
                        random_directions,
                        ..
                    }
                    | CausalRequest::FeatureAblation {
                        max_items,
                        random_directions,
                        ..
                    } => (*max_items, 2 * random_directions, false),
                };
                for pair in pairs.iter().take(most) {
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
        let (runs, _) = open(runtime, &subject.model, arch, &sites, &load, DEFAULT_BUDGET)?;
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
