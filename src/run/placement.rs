//! Which provider the nodes of a graph run on.
//!
//! ONNX Runtime runs what a provider does not support on the processor and says nothing. `ort` does not wrap the query, so
//! it is asked for through the C interface: one of the three files of the crate with `unsafe` code.

use std::ffi::{CStr, c_char};

use ort::AsPointer;
use ort::sys::{OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};

use crate::fault::{Fault, Result};
use crate::model::reckoning;

/// A node and the provider that it was assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The provider, such as `CPUExecutionProvider`.
    pub provider: String,
    /// The operator, such as `MatMul`.
    pub operator: String,
    /// The node's name; may be empty.
    pub node: String,
}

const PROCESSOR: &str = "CPUExecutionProvider";

/// What may stay on the processor beside a GPU: the arithmetic on shapes, indices and masks that ONNX Runtime deliberately
/// keeps there. The runtime tells no element types, so an operator of this list that works on activations is not noticed;
/// one that does the model's real work (products, norms, attention, activations) is.
const ON_SHAPES: [&str; 37] = [
    "Add",
    "And",
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "CumSum",
    "Div",
    "Equal",
    "Expand",
    "Floor",
    "Gather",
    "GatherND",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Range",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "ScatterND",
    "Shape",
    "Size",
    "Slice",
    "Squeeze",
    "Sub",
    "Unsqueeze",
    "Where",
];

/// Refuses a graph whose real work is left to the processor although a GPU was asked for. `model` is what was loaded: nodes that reckon
/// with shapes alone may stay there whatever their operator, such as the root in a scale that is computed from a width.
pub(super) fn check(placed: &[Placed], model: &[u8]) -> Result<()> {
    let doing = "checking that the model runs on CUDA";
    if placed.is_empty() {
        return Err(Fault::failed(
            doing,
            "the runtime does not tell where its nodes run",
        ));
    }
    let mut stray: Vec<_> = placed
        .iter()
        .filter(|node| node.provider == PROCESSOR && !ON_SHAPES.contains(&node.operator.as_str()))
        .collect();
    if !stray.is_empty() {
        let reckoning = reckoning(model);
        stray.retain(|node| !reckoning.contains(&node.node));
    }
    let Some(first) = stray.first() else {
        return Ok(());
    };
    Err(Fault::failed(
        doing,
        format!(
            "{} of {} nodes run on the processor, the first is the {} `{}`",
            stray.len(),
            placed.len(),
            first.operator,
            first.node
        ),
    )
    .expected("only arithmetic on shapes on the processor")
    .hint("run with --provider cpu, or export the model with operators that CUDA supports"))
}

/// Asks a session where its nodes run; it must have been opened with `session.record_ep_graph_assignment_info`.
#[allow(unsafe_code, reason = "`ort` does not wrap this query")]
pub(super) fn read(session: &ort::session::Session) -> Result<Vec<Placed>> {
    let api = ort::api();
    let mut placed = Vec::new();
    // SAFETY: the session outlives this function and owns all that the pointers below refer to; each pointer is written by
    // the runtime before it is read, and a status that is not null leaves the function first.
    unsafe {
        for subgraph in list::<OrtEpAssignedSubgraph>(|items, count| {
            (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), items, count)
        })? {
            let provider = text(|out| (api.EpAssignedSubgraph_GetEpName)(*subgraph, out))?;
            for node in list::<OrtEpAssignedNode>(|items, count| {
                (api.EpAssignedSubgraph_GetNodes)(*subgraph, items, count)
            })? {
                placed.push(Placed {
                    provider: provider.clone(),
                    operator: text(|out| (api.EpAssignedNode_GetOperatorType)(*node, out))?,
                    node: text(|out| (api.EpAssignedNode_GetName)(*node, out))?,
                });
            }
        }
    }
    Ok(placed)
}

/// # Safety
/// `fill` must set a pointer to as many items as it counts; they must live as long as the caller uses the slice.
#[allow(unsafe_code, reason = "`ort` does not wrap this query")]
unsafe fn list<'a, T>(
    fill: impl FnOnce(*mut *const *const T, *mut usize) -> OrtStatusPtr,
) -> Result<&'a [*const T]> {
    let (mut items, mut count) = (std::ptr::null(), 0);
    // SAFETY: the status comes from the runtime; the list is the caller's promise.
    unsafe {
        told(fill(&raw mut items, &raw mut count))?;
        if items.is_null() {
            return Ok(&[]);
        }
        Ok(std::slice::from_raw_parts(items, count))
    }
}

/// # Safety
/// `fill` must set a pointer to a C string, or null, that lives until it returns.
#[allow(unsafe_code, reason = "`ort` does not wrap this query")]
unsafe fn text(fill: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> Result<String> {
    let mut out = std::ptr::null();
    // SAFETY: the status comes from the runtime; the string is the caller's promise.
    unsafe {
        told(fill(&raw mut out))?;
        if out.is_null() {
            return Ok(String::new());
        }
        Ok(CStr::from_ptr(out).to_string_lossy().into_owned())
    }
}

/// # Safety
/// `status` must come from the runtime and not have been released.
#[allow(unsafe_code, reason = "`ort` does not wrap this query")]
unsafe fn told(status: OrtStatusPtr) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { ort::Error::result_from_status(status) }.map_err(|error| {
        Fault::failed(
            "asking ONNX Runtime where the model's nodes run",
            error.message(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(provider: &str, operator: &str) -> Placed {
        Placed {
            provider: provider.to_owned(),
            operator: operator.to_owned(),
            node: format!("{operator}_1"),
        }
    }

    #[test]
    fn shapes_may_stay_on_the_processor_and_products_may_not() {
        let mut nodes = vec![
            placed("CUDAExecutionProvider", "MatMul"),
            placed(PROCESSOR, "Shape"),
            placed(PROCESSOR, "Gather"),
        ];
        assert_eq!(check(&nodes, &[]), Ok(()));
        nodes.push(placed(PROCESSOR, "MatMulNBits"));
        assert_eq!(
            check(&nodes, &[]).err().map(|fault| fault.found).as_deref(),
            Some("1 of 4 nodes run on the processor, the first is the MatMulNBits `MatMulNBits_1`")
        );
    }

    #[test]
    fn an_unknown_placement_is_refused() {
        assert!(check(&[], &[]).is_err());
    }
}
