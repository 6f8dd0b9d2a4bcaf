"""ONNX Runtime alone: the plain forward, and sweeps over whole graphs, many cells in one batch.

A sweep runs `patchable.onnx`, in which a mask and a value lie beside each site (see models.py). `"last"` also drops the unembedding of all
tokens but the last from the graph, which is what a person who edits graphs by hand would do next.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from protocol import serve

ROWS = 32


def session(path_or_bytes, load):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = load["threads"]
    options.inter_op_num_threads = 1
    if not load.get("spin", True):
        # As Candor's sessions: threads that wait in turns do not take the cores from one another.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CUDAExecutionProvider"] if load.get("cuda") else ["CPUExecutionProvider"]
    opened = onnxruntime.InferenceSession(path_or_bytes, options, providers=providers)
    if opened.get_providers()[0] != providers[0]:
        # It goes on with the processor and says nothing.
        raise RuntimeError(f"this onnxruntime has no {providers[0]}: install onnxruntime-gpu instead")
    return opened


def last_only(path):
    """The graph with a cut to the last token before the product that gives the logits."""
    import onnx
    from onnx import helper

    model = onnx.load(path)
    graph = model.graph
    at, product = next((index, node) for index, node in enumerate(graph.node) if "logits" in node.output)
    graph.initializer.append(helper.make_tensor("last.index", onnx.TensorProto.INT64, [1], [-1]))
    graph.node.insert(at, helper.make_node("Gather", [product.input[0], "last.index"], ["last.token"], "last", axis=1))
    product.input[0] = "last.token"
    return model.SerializeToString()


def prepare(load):
    folder = Path(load["model"])
    versions = {"onnxruntime": onnxruntime.__version__}
    if load["measure"] == "forward":
        plain = session(str(folder / "model.onnx"), load)
        ids = np.array(load["ids"], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        feed = {port.name: feed[port.name] for port in plain.get_inputs()}
        run = lambda: {"logits": plain.run(["logits"], feed)[0][0, -1, :8].astype(float).tolist()}
        run()
        return run, versions

    path = folder / "patchable.onnx"
    patched = session(last_only(path) if load.get("last") else str(path), load)
    widths = {port.name: port.shape[-1] for port in patched.get_inputs()}
    kind, value = {"resid_pre": ("resid", "value.resid"), "heads": ("z", "value.z")}[load["measure"]]
    layers = range(load.get("layers") or models.LAYERS)
    pairs = load["pairs"]
    cells = load.get("rows", ROWS)

    def feed(ids):
        batch, seq = ids.shape
        fed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        for name, width in widths.items():
            if name.startswith("mask."):
                fed[name] = np.zeros((batch, seq, width), bool)
            elif name.startswith("value."):
                fed[name] = np.zeros((batch, seq, width), np.float32)
        return fed

    def sweep(pair):
        clean, corrupt = (np.array(pair[side], np.int64)[None] for side in ("clean", "corrupt"))
        kept = patched.run([f"{kind}.{layer}" for layer in layers], feed(clean))
        seq = corrupt.shape[1]
        columns = seq if kind == "resid" else load["heads"]
        d_head = widths["value.z"] // load.get("heads", 1)
        todo = [(layer, column) for layer in layers for column in range(columns)]
        found = []
        for start in range(0, len(todo), cells):
            part = todo[start : start + cells]
            fed = feed(np.repeat(corrupt, len(part), 0))
            for row, (layer, column) in enumerate(part):
                where = np.s_[row, column] if kind == "resid" else np.s_[row, :, column * d_head : (column + 1) * d_head]
                fed[f"mask.{kind}.{layer}"][where] = True
                fed[value][where] = kept[layer][0][where[1:]] if kind != "resid" else kept[layer][0, column]
            logits = patched.run(["logits"], fed)[0]
            found += (logits[:, -1, pair["answer"]] - logits[:, -1, pair["foil"]]).astype(float).tolist()
        return found

    def run():
        return {"metric": [difference for pair in pairs for difference in sweep(pair)]}

    patched.run(["logits"], feed(np.array([pairs[0]["corrupt"]], np.int64)))
    return run, versions


serve(prepare)
