"""SAELens encoding the stream behind every layer of one batch: what reading features outside the graph costs on top of a forward pass.

The activations are at hand before the clock starts; only `encode` is timed.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import models
from protocol import serve

FEATURES = 64


def prepare(load):
    from sae_lens import SAE

    torch.set_num_threads(load["threads"])
    torch.set_grad_enabled(False)
    device = load.get("device", "cpu")
    sae = SAE.load_from_disk(load["sae"], device=device)
    module = models.build(load["name"]).to(device)
    kept = []
    for block, _ in models.blocks(module):
        block.register_forward_hook(lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out))
    module(input_ids=torch.tensor(load["ids"], device=device), use_cache=False)
    versions = {"sae-lens": version("sae-lens"), "torch": torch.__version__}

    def run():
        last = [sae.encode(x)[0, -1, :FEATURES] for x in kept]
        return {"features": torch.cat(last).tolist()}

    run()
    return run, versions


serve(prepare)
