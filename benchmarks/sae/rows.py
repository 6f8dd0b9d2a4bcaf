"""The rows that `candor train sae --work DIR` has captured, and how a trained SAE is judged on them."""

import json
from pathlib import Path

import numpy as np
import torch


def rows(work: Path) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Rows to learn from and rows held out, `[n, d_in]` as the model has them, and what training scales them by."""
    manifest = json.loads((work / "activations.json").read_text())
    d_in = manifest["d_in"]

    def read(path: Path) -> torch.Tensor:
        return torch.from_numpy(np.fromfile(path, np.int16)).view(torch.bfloat16).float().view(-1, d_in)

    shards = [read(work / f"shard-{shard:05}.bf16") for shard in range(len(manifest["shards"]))]
    return torch.cat(shards), read(work / "held-out.bf16"), d_in**0.5 / manifest["mean_norm"]


@torch.no_grad()
def judged(x: torch.Tensor, acts: torch.Tensor, decoded: torch.Tensor) -> dict[str, float]:
    """Explained variance, L0 and features that are never active, on held-out rows."""
    residual = (x - decoded).double().pow(2).sum()
    total = (x - x.double().mean(0)).pow(2).sum()
    return {
        "explained_variance": 1 - (residual / total).item(),
        "l0": (acts > 0).sum(-1).double().mean().item(),
        "silent": int(((acts > 0).sum(0) == 0).sum()),
    }
