//! The operator sets of a model and of its functions, joined.

use std::collections::HashSet;

use super::super::messages;
use super::super::onnx::{FunctionProto, ModelProto, OperatorSetIdProto};
use super::{Key, domain, key, named};
use crate::fault::{Fault, Result};

/// Imports what the functions in use need, and drops domains that held functions alone.
///
/// # Errors
/// A function's operators are of another version than the model's.
pub(super) fn join(
    proto: &mut ModelProto,
    functions: &[FunctionProto],
    used: &HashSet<Key<'_>>,
    doing: &str,
) -> Result<()> {
    for function in functions.iter().filter(|one| used.contains(&key(one))) {
        import(proto, function, used, doing)?;
    }
    // Domains of functions alone mean nothing to the runtime any more.
    let left: HashSet<String> = messages::nodes(proto)
        .into_iter()
        .map(|node| domain(node.domain()).to_owned())
        .collect();
    let of_functions: HashSet<&str> = functions.iter().map(|f| domain(f.domain())).collect();
    proto.opset_import.retain(|import| {
        let name = domain(import.domain());
        left.contains(name) || name.is_empty() || !of_functions.contains(name)
    });
    Ok(())
}

/// Imports into the model what a function's operators need.
fn import(
    proto: &mut ModelProto,
    function: &FunctionProto,
    functions: &HashSet<Key<'_>>,
    doing: &str,
) -> Result<()> {
    for wanted in &function.opset_import {
        let name = domain(wanted.domain());
        let own = proto
            .opset_import
            .iter()
            .find(|own| domain(own.domain()) == name);
        match own {
            None => proto.opset_import.push(OperatorSetIdProto {
                domain: Some(name.to_owned()),
                version: wanted.version,
            }),
            Some(own) if own.version() != wanted.version() => {
                let operator = messages::of_nodes(&function.node).into_iter().find(|node| {
                    let callee = (domain(node.domain()), node.op_type(), node.overload());
                    domain(node.domain()) == name && !functions.contains(&callee)
                });
                if let Some(operator) = operator {
                    let shown = if name.is_empty() { "ai.onnx" } else { name };
                    return Err(Fault::usage(
                        doing,
                        format!(
                            "the function {} takes {} from version {} of the operator set `{shown}`, and the model has version {}",
                            named(function),
                            operator.op_type(),
                            wanted.version(),
                            own.version()
                        ),
                    )
                    .expected("one version of an operator set in the whole model, as operators change between versions")
                    .hint("export the model again with the operator set of its functions, or convert it with `onnx.inliner.inline_local_functions(model, convert_version=True)`"));
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}
