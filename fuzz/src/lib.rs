//! The rooms that read models and detectors, built from Candor's own files, and the way through them.
#![allow(dead_code, unused_imports, missing_docs)]

#[path = "../../src/detect/mod.rs"]
pub mod detect;
#[path = "../../src/digest.rs"]
pub mod digest;
#[path = "../../src/fault.rs"]
pub mod fault;
#[path = "../../src/files.rs"]
pub mod files;
#[path = "../../src/instrument/mod.rs"]
pub mod instrument;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/stats/mod.rs"]
pub mod stats;

pub mod decoder;
pub mod saes;

use std::path::Path;

use instrument::{Plan, Write, instrument};
use model::{Architecture, GraphIndex, Model, Point, SiteTensor};

/// Goes the way of an audit up to the runtime. Whatever is wrong with the bytes must be a fault.
pub fn read(bytes: Vec<u8>) {
    let Ok(model) = Model::from_bytes(bytes.into(), Path::new("/nowhere/model.onnx")) else {
        return;
    };
    assert!(model.proto().functions.is_empty());
    let _ = model.check_finite();
    let _ = model.files();
    let Ok(index) = GraphIndex::new(model.graph()) else {
        return;
    };
    let Ok(arch) = Architecture::find(&model) else {
        return;
    };
    for site in &arch.sites {
        let names = match &site.tensor {
            SiteTensor::Named(name) => std::slice::from_ref(name),
            SiteTensor::Sum(names) => names,
            SiteTensor::SkipSum { node, .. } => {
                assert!(index.node(*node).is_some());
                &[]
            }
        };
        for name in names {
            assert!(
                index.producer(name).is_some() || index.info(name).is_some(),
                "{} lies at `{name}`, which is not in the graph",
                site.name
            );
        }
    }
    let sites = arch.sites.iter().map(|site| site.name);
    let all = Plan {
        taps: sites.clone().collect(),
        ..Plan::default()
    };
    let writes = sites.filter(|site| site.point != Point::LnFinal);
    let edited = Plan {
        writes: writes
            .map(|site| Write::Replace {
                site,
                value: format!("{site}"),
            })
            .collect(),
        ..all.clone()
    };
    for plan in [all, edited] {
        if let Ok(made) = instrument(&model, &arch, &plan) {
            let again = Model::from_bytes(made.bytes.into(), Path::new("/nowhere/made.onnx"));
            let again = again.expect("what was rewritten opens again");
            GraphIndex::new(again.graph())
                .expect("what was rewritten has no cycle and no loose end");
        }
    }
}
