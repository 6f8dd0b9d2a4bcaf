"""Trains a top-k sparse autoencoder with SAELens on activations that `candor capture` wrote.

    python train_sae.py --activations FILE.safetensors... --site blocks.1.hook_resid_pre --model NAME --out DIR

The result is SAELens's own format (cfg.json, sae_weights.safetensors); `candor detectors find` then chooses features and
writes the card beside it.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer


def rows(path: Path, site: str) -> torch.Tensor:
    """Activations `[n, d_in]` of every token, without padding and without the first token: a BOS row has a norm of its
    own that the dictionary would be spent on."""
    with safe_open(path, framework="pt") as file:
        activations, mask = file.get_tensor(site), file.get_tensor("attention_mask").bool()
    mask[:, 0] = False
    return activations[mask]


def shuffled(data: torch.Tensor, batch: int, seed: int):
    """Endless batches: a new order for every pass over the data."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(data), generator=generator)
        for start in range(0, len(order) - batch + 1, batch):
            yield data[order[start : start + batch]]


def fit(sae, data: torch.Tensor) -> dict[str, float]:
    """Mean L0, and the fraction of variance explained, on `data`."""
    with torch.no_grad():
        acts = sae.encode(data)
        residual = (data - sae.decode(acts)).pow(2).sum()
        total = (data - data.mean(0)).pow(2).sum()
    return {"l0": (acts > 0).sum(-1).float().mean().item(), "explained_variance": 1 - (residual / total).item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activations", type=Path, nargs="+", required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--model", required=True, help="name that the configuration records")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--d-sae", type=int, default=256)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=1_500_000, help="training samples, with repetition")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    # One thread: sums in another order would change the weights in their last bits.
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    data = torch.cat([rows(path, args.site) for path in args.activations])
    order = torch.randperm(len(data))
    held_out, train = data[order[: len(data) // 10]], data[order[len(data) // 10 :]]

    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=data.shape[1], d_sae=args.d_sae, k=args.k, device="cpu"))
    sae.cfg.metadata.model_name = args.model
    sae.cfg.metadata.hook_name = args.site
    batch = 512
    SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=args.tokens,
            train_batch_size_samples=batch,
            lr=1e-3,
            lr_end=1e-4,
            lr_warm_up_steps=100,
            lr_decay_steps=args.tokens // batch // 3,
            dead_feature_window=500,
        ),
        sae=sae,
        data_provider=shuffled(train, batch, args.seed),
    ).fit()
    sae.save_inference_model(args.out)
    print(json.dumps({"rows": len(train), "held_out": fit(sae, held_out)}))


if __name__ == "__main__":
    main()
