"""A JumpReLU SAE of width 24,576 with random weights, as SAELens writes it.

One set of weights serves at every layer: what is timed does not hang on their values, and twelve copies would take 1.8 GB of disk.
"""

import json
from pathlib import Path

WIDTH = 24576


def make(folder, d_in, seed=7):
    folder = Path(folder)
    if (folder / "sae_weights.safetensors").exists():
        return
    import torch
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig

    torch.manual_seed(seed)
    config = JumpReLUSAEConfig(d_in=d_in, d_sae=WIDTH, device="cpu", dtype="float32")
    config.metadata.hook_name = "blocks.0.hook_resid_post"
    sae = JumpReLUSAE(config)
    with torch.no_grad():
        decoder = torch.randn(WIDTH, d_in)
        decoder /= decoder.norm(dim=1, keepdim=True)
        sae.W_dec.copy_(decoder)
        sae.W_enc.copy_(decoder.T)
        sae.b_enc.normal_(0.0, 0.02)
        sae.b_dec.normal_(0.0, 0.02)
        sae.threshold.uniform_(0.0, 0.2)
    sae.save_model(folder)


if __name__ == "__main__":
    from models import default_folder

    make(default_folder() / "sae", 768)
