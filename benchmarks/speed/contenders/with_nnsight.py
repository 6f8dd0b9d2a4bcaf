"""Sweeps in nnsight, on the Hugging Face module itself: one trace a cell, as its tutorial on activation patching does it.

With `"batched"` the cells of a layer are the rows of one trace instead: what a person in a hurry would write.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from protocol import serve


def prepare(load):
    from nnsight import NNsight

    torch.set_num_threads(load["threads"])
    torch.set_grad_enabled(False)
    device = load.get("device", "cpu")
    module = models.build(load["name"]).to(device)
    module.config.use_cache = False
    model = NNsight(module)
    versions = {"nnsight": version("nnsight"), "torch": torch.__version__, "transformers": version("transformers")}
    (pair,) = load["pairs"]
    clean, corrupt = (torch.tensor([pair[side]], device=device) for side in ("clean", "corrupt"))
    answer, foil = pair["answer"], pair["foil"]
    blocks = model.transformer.h if load["name"] == "gpt2" else model.model.layers
    seq = corrupt.shape[1]
    layers = list(range(load.get("layers") or len(blocks)))

    def cached():
        kept = []
        with model.trace(clean):
            for layer in layers:
                kept.append(blocks[layer].input.save())
        return kept

    def run():
        kept = cached()
        found = []
        for layer in layers:
            if load.get("batched"):
                with model.trace(corrupt.repeat(seq, 1)):
                    blocks[layer].input[range(seq), range(seq), :] = kept[layer][0]
                    logits = model.lm_head.output
                    differences = (logits[:, -1, answer] - logits[:, -1, foil]).save()
                found += differences.tolist()
                continue
            for position in range(seq):
                with model.trace(corrupt):
                    blocks[layer].input[:, position, :] = kept[layer][:, position, :]
                    logits = model.lm_head.output
                    difference = (logits[0, -1, answer] - logits[0, -1, foil]).save()
                found.append(float(difference))
        return {"metric": found}

    cached()
    return run, versions


serve(prepare)
