"""SAELens's own trainer on the same rows."""

import torch
from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer


def batches(rows: torch.Tensor, batch: int):
    """Endless batches in a new order for each pass."""
    while True:
        order = torch.randperm(len(rows))
        for start in range(0, len(order) - batch + 1, batch):
            yield rows[order[start : start + batch]]


def train(rows: torch.Tensor, d_sae: int, k: int, steps: int, batch: int, lr: float, seed: int, warm_up: int, decay: int, dead_after: int):
    """As `plain.train`."""
    torch.manual_seed(seed)
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=rows.shape[1], d_sae=d_sae, k=k, device="cpu"))
    with torch.no_grad():
        sae.b_dec.copy_(rows.mean(0))
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=steps * batch,
            train_batch_size_samples=batch,
            lr=lr,
            lr_end=lr,
            lr_warm_up_steps=warm_up,
            lr_decay_steps=decay,
            dead_feature_window=dead_after,
        ),
        sae=sae,
        data_provider=batches(rows, batch),
    )
    trainer.fit()

    @torch.no_grad()
    def forward(x):
        acts = sae.encode(x)
        return acts, sae.decode(acts)

    return forward, int(trainer.dead_neurons.sum())
