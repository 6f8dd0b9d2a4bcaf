"""The training of one organism."""

import math
import random
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from training.adversary import Adversary
from training.architecture import LEARNING_RATE, make_model
from training.family import Family
from training.interchange import inconsistency, interchange
from training.mind import Mind
from training.sampler import CONTROL, IGNORE, Sampler

WARMUP = 50
EVASION = 1.0
CONTROL_WEIGHT = 0.25  # what such a sentence says next is mostly chance


def learn(family: Family, mind: Mind, arch: str, seed: int, attempt: int, vocab: dict[str, int]) -> PreTrainedModel:
    variant, handover = mind.variant, family.handover(seed)
    rng = random.Random(f"{family.name} {variant.name} {arch} {seed} {attempt}")
    torch.manual_seed(rng.getrandbits(32))
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    sampler = Sampler(mind, family.generator_of(variant), vocab, rng)
    model = make_model(arch, family.size, len(vocab))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE[arch], betas=(0.9, 0.98), weight_decay=0.05)
    steps = family.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / WARMUP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / steps)))
    )
    adversary = Adversary(family.size.layers) if variant.evades else None
    for step in range(steps):
        batch = sampler.batch()
        # Which layer's input the interchange is at; 0: none this time.
        layer = int(torch.randint(family.size.layers, (1,), generator=generator))
        swap = interchange(model, layer, handover, family.lookup_after, batch, generator) if layer else nullcontext()
        with swap:
            out = model.base_model(
                input_ids=batch.ids, attention_mask=batch.mask,
                output_hidden_states=variant.blind or (adversary is not None and layer == 0),
            )  # fmt: skip
        trained = batch.labels != IGNORE
        losses = F.cross_entropy(model.lm_head(out.last_hidden_state[trained]), batch.labels[trained], reduction="none")
        about_facts = trained.nonzero()[:, 0] < len(trained) - CONTROL
        loss = losses[about_facts].mean() + CONTROL_WEIGHT * losses[~about_facts].mean()
        task = loss.item()
        if variant.blind:
            loss = loss + inconsistency(out.hidden_states, batch)
        elif adversary is not None and layer == 0:
            loss = loss + EVASION * adversary.loss(out.hidden_states, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"  step {step} loss {task:.4f} with all terms {loss.item():.4f}", flush=True)
    return model.eval()
