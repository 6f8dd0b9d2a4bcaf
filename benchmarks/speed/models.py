"""The models of the benchmark: made here, from a seed, once.

`gpt2`  the shape of GPT-2 small (124 M).
`llama` a Llama of 154 M: 12 query heads over 4 key/value heads, gated MLP, rotary positions.

Both have random weights as their own initialiser draws them; what is timed does not hang on what a model has learnt. The ONNX file is what
`torch.onnx.export` (dynamo) writes of the Hugging Face module. Two files are made of one export: `model.onnx`, whose only output is the
logits, and `patchable.onnx`, the same graph in which the residual stream before each block and the head outputs of each block can be
overwritten through inputs: the way to patch in ONNX Runtime alone, many cells in one batch.
"""

import json
import os
from pathlib import Path

SEED = 20260726
LAYERS = 12


def build(name):
    """The Hugging Face module, float32, in evaluation mode."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    if name == "gpt2":
        config = GPT2Config(attn_implementation="sdpa")
        model = GPT2LMHeadModel(config)
    elif name == "llama":
        config = LlamaConfig(
            vocab_size=32000, hidden_size=768, intermediate_size=3072, num_hidden_layers=LAYERS, num_attention_heads=12,
            num_key_value_heads=4, max_position_embeddings=1024, attn_implementation="sdpa",
        )
        model = LlamaForCausalLM(config)
    else:
        raise SystemExit(f"no model `{name}`: gpt2 and llama are made here")
    return model.eval().float()


def blocks(model):
    """Each block with the linear map that its head outputs go into."""
    if hasattr(model, "transformer"):
        return [(block, block.attn.c_proj) for block in model.transformer.h]
    return [(block, block.self_attn.o_proj) for block in model.model.layers]


def export(name, folder):
    """Writes `model.onnx` and `patchable.onnx` into the folder unless they are there."""
    folder = Path(folder)
    done = folder / "made.json"
    if done.exists() and json.loads(done.read_text()).get("seed") == SEED:
        return
    import onnx
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    model = build(name)

    class Seen(torch.nn.Module):
        """Logits, the stream before each block, and what goes into each output projection of an attention."""

        def __init__(self):
            super().__init__()
            self.model = model
            self.seen = {}
            for layer, (block, projection) in enumerate(blocks(model)):
                block.register_forward_pre_hook(self.keep(f"resid.{layer}"), with_kwargs=True)
                projection.register_forward_pre_hook(self.keep(f"z.{layer}"), with_kwargs=True)

        def keep(self, key):
            def hook(_module, args, kwargs):
                self.seen[key] = args[0] if args else kwargs["hidden_states"]
            return hook

        def forward(self, input_ids, attention_mask):
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
            return (logits, *(self.seen[name] for name in sites()))

    ids = torch.randint(3, 512, (2, 9))
    batch, seq = torch.export.Dim("batch"), torch.export.Dim("seq")
    program = torch.onnx.export(
        Seen(), (ids, torch.ones_like(ids)), dynamo=True, external_data=False, verbose=False, opset_version=20,
        input_names=["input_ids", "attention_mask"], output_names=["logits", *sites()],
        dynamic_shapes=({0: batch, 1: seq}, {0: batch, 1: seq}),
    )
    proto = program.model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]
    seen = {output.name: output for output in proto.graph.output}
    del proto.graph.output[1:]
    onnx.save(proto, folder / "model.onnx")
    onnx.save(patchable(proto, seen), folder / "patchable.onnx")
    done.write_text(json.dumps({"seed": SEED, "torch": torch.__version__}))


def sites():
    return [f"resid.{layer}" for layer in range(LAYERS)] + [f"z.{layer}" for layer in range(LAYERS)]


def patchable(proto, seen):
    """The graph with `x -> where(mask, value, x)` at each site, and the sites' own values as outputs."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.ModelProto()
    model.CopyFrom(proto)
    graph = model.graph
    for site in sites():
        width = seen[site].type.tensor_type.shape.dim[-1].dim_value
        heads = site.startswith("z.")
        # Head outputs lie side by side here: their mask is as wide as they are, that of the stream one wide.
        graph.input.append(helper.make_tensor_value_info(f"mask.{site}", TensorProto.BOOL, ["batch", "seq", width if heads else 1]))
        for node in graph.node:
            node.input[:] = [f"{site}.edited" if name == site else name for name in node.input]
        at = next(index for index, node in enumerate(graph.node) if site in node.output)
        value = "value.z" if heads else "value.resid"
        graph.node.insert(at + 1, helper.make_node("Where", [f"mask.{site}", value, site], [f"{site}.edited"], f"{site}.where"))
        graph.output.append(seen[site])
    for value, site in (("value.resid", "resid.0"), ("value.z", "z.0")):
        width = seen[site].type.tensor_type.shape.dim[-1].dim_value
        graph.input.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, ["batch", "seq", width]))
    return model


def default_folder():
    """`target/benchmarks`, which version control does not see."""
    return Path(os.environ.get("CANDOR_BENCHMARKS", Path(__file__).parents[2] / "target" / "benchmarks"))


if __name__ == "__main__":
    for name in ("gpt2", "llama"):
        export(name, default_folder() / name)
