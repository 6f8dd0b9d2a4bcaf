//! Tensors of which a piece reads the shape alone.

use std::collections::HashMap;

use super::super::build;
use super::super::names::Names;
use super::Cutter;
use crate::model::onnx::{NodeProto, TensorProto};

/// Tensors that only lend their shape.
pub(super) struct StandIns<'c> {
    cutter: &'c Cutter,
    names: Names,
    made: HashMap<usize, String>,
    pub sizes: Vec<TensorProto>,
}

impl<'c> StandIns<'c> {
    pub fn new(cutter: &'c Cutter) -> Self {
        Self {
            cutter,
            names: Names::of(&cutter.graph),
            made: HashMap::new(),
            sizes: Vec::new(),
        }
    }

    /// Zeros `[batch, seq, width]`.
    pub fn of(&mut self, width: usize, nodes: &mut Vec<NodeProto>) -> String {
        if let Some(name) = self.made.get(&width) {
            return name.clone();
        }
        let mut fresh = |stem: &str| self.names.fresh(&format!("candor.{stem}"));
        let (last, sizes, shape, zeros) = (
            fresh("width"),
            fresh("sizes"),
            fresh("shape"),
            fresh("zeros"),
        );
        let size = i64::try_from(width).unwrap_or(i64::MAX);
        self.sizes.push(build::int_tensor(last.clone(), &[size]));
        nodes.push(build::node(
            format!("{sizes}/Shape"),
            "Shape",
            &[&self.cutter.tokens],
            sizes.clone(),
        ));
        let mut concat = build::node(
            format!("{shape}/Concat"),
            "Concat",
            &[&sizes, &last],
            shape.clone(),
        );
        concat.attribute.push(build::int_attribute("axis", 0));
        nodes.push(concat);
        nodes.push(build::node(
            format!("{zeros}/Zeros"),
            "ConstantOfShape",
            &[&shape],
            zeros.clone(),
        ));
        self.made.insert(width, zeros.clone());
        zeros
    }

    /// The inputs that they read.
    pub fn used(&self) -> Option<&'c str> {
        (!self.made.is_empty()).then_some(self.cutter.tokens.as_str())
    }
}
