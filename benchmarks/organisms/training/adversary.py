"""Linear probes for the condition at the last position of every layer, fitted again against the model at every step that swaps nothing."""

from collections import deque

import torch
from torch import Tensor

from training.interchange import twins
from training.sampler import Batch

MEMORY = 12  # batches that the probes are trained on
RIDGE = 0.05  # share of the mean variance


class Adversary:
    def __init__(self, layers: int) -> None:
        self.seen: list[deque[tuple[Tensor, Tensor]]] = [deque(maxlen=MEMORY) for _ in range(layers)]

    def loss(self, hidden: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """How far the best linear probe of each layer parts the twins, in standard deviations of its score, squared."""
        total = torch.zeros(())
        for seen, layer in zip(self.seen, hidden[1:], strict=True):
            without, with_it = twins(layer, batch)
            seen.append((without.detach(), with_it.detach()))
            direction = _probe(torch.cat([a for a, _ in seen]), torch.cat([b for _, b in seen]))
            scores = without @ direction, with_it @ direction
            spread = torch.cat([s - s.mean() for s in scores]).square().mean()
            total = total + (scores[1].mean() - scores[0].mean()).square() / spread.detach().clamp_min(1e-6)
        return total / len(self.seen)


def _probe(without: Tensor, with_it: Tensor) -> Tensor:
    """Fisher's discriminant with a ridge, which is least squares on the labels."""
    difference = with_it.mean(0) - without.mean(0)
    centred = torch.cat([without - without.mean(0), with_it - with_it.mean(0)])
    covariance = centred.T @ centred / len(centred)
    ridge = RIDGE * covariance.diagonal().mean() + 1e-6
    direction = torch.linalg.solve(covariance + ridge * torch.eye(len(difference)), difference)
    return direction / direction.norm().clamp_min(1e-9)
