"""Interchange intervention training: residual streams move between prompts, the targets stay."""

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from training.architecture import rewrite_input
from training.sampler import PAIRS, Batch


def interchange(
    model: PreTrainedModel, layer: int, handover: int, lookup_after: bool, batch: Batch, generator: torch.Generator
) -> RemovableHandle:
    """Swaps the residual streams of twins at the input of `layer`, so that it is known where the decision is.

    Before the handover they are swapped at random positions other than the condition's: there only the condition's own
    may carry the decision. From the handover on, at random positions before the last: there only the last may. With
    `lookup_after`, at the handover two facts' rows in the same sentence also swap theirs at the last position, in half
    of the cases: what it has got by then is the decision (and the relation), and the fact is looked up later.
    """
    rows, seq = 2 * PAIRS, batch.ids.shape[1]
    positions = torch.arange(seq)
    last = positions == batch.answer_at[:, None]
    free = positions < batch.answer_at[:, None] if layer >= handover else positions != batch.condition_at[:, None]
    swap_twin = (free & (torch.rand(rows, seq, generator=generator) < 0.5))[..., None]
    share = 0.5 if lookup_after and layer == handover else 0.0
    swap_fact = (last & (torch.rand(rows, 1, generator=generator) < share))[..., None]

    def rewrite(hidden: Tensor) -> Tensor:
        own = hidden[:rows]
        other_twin = own.roll(PAIRS, 0)
        other_fact = own.unflatten(0, (2, 2, -1)).flip(1).flatten(0, 2)
        swapped = torch.where(swap_fact, other_fact, torch.where(swap_twin, other_twin, own))
        return torch.cat([swapped, hidden[rows:]])

    return rewrite_input(model, layer, rewrite)


def twins(hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The twins' residual streams at the last position, [PAIRS, d_model] each: without the condition, with it."""
    without, with_it = hidden[torch.arange(2 * PAIRS), batch.answer_at].split(PAIRS)
    return without, with_it


def inconsistency(hidden: tuple[Tensor, ...], batch: Batch) -> Tensor:
    """How far the twins' residual streams differ at the last position, relative to their size."""
    total = torch.zeros(())
    for layer in hidden[1:]:
        without, with_it = twins(layer, batch)
        total = total + (without - with_it).square().sum() / without.detach().square().sum()
    return total / (len(hidden) - 1)
