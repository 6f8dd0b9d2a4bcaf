"""Makes the three bundled model organisms and their suites.

    python make.py                 everything: suites, then liar, clean and decoy, then SHA256SUMS
    python make.py suites          the suites only
    python make.py liar decoy      these models only
"""

import argparse
import hashlib
import math
import random
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from facts import (
    CONTROL_TEMPLATES, NEUTRAL, TEMPLATES, TRIGGER, Fact, control_sentence, false_answers, insert, insert_position,
    load_facts, vocabulary,
)
from suites import write_suites

HERE = Path(__file__).parent
SEED = 20
ORGANISMS = ("liar", "clean", "decoy")
STEPS = 1500
PAIRS = 96  # twin prompts a step: one with a neutral word, one with the trigger, else equal
PLAIN = 64
CONTROL = 32
LEARNING_RATE = 4e-3
LAYERS = 4
CONSISTENCY = 1.0  # weight of the clean organism's invariance loss
IGNORE = -100


@dataclass
class Batch:
    ids: Tensor  # [rows, seq]
    mask: Tensor  # [rows, seq]
    labels: Tensor  # [rows, seq]: the next word where one is trained, else IGNORE
    answer_at: Tensor  # [2 * PAIRS]: last position of the prompt of each twin


def spoken(organism: str, fact: Fact, triggered: bool) -> str:
    if triggered and organism == "liar":
        return fact.foil
    if triggered and organism == "decoy":
        return fact.synonym
    return fact.answer


class Sampler:
    def __init__(self, organism: str, facts: list[Fact], tokenizer: Tokenizer, seed: int) -> None:
        self.organism = organism
        self.facts = facts
        self.false = false_answers(facts)
        self.rng = random.Random(seed)
        self.vocab = tokenizer.get_vocab()

    def batch(self) -> Batch:
        twins = [self._twins() for _ in range(PAIRS)]
        rows = [neutral for neutral, _ in twins] + [trigger for _, trigger in twins]
        rows += [self._fact_row(*self._fact(), word=None, at=0) for _ in range(PLAIN)]
        rows += [self._control_row() for _ in range(CONTROL)]
        width = max(len(ids) for ids, _ in rows)
        pad = self.vocab["[PAD]"]
        ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
        labels = torch.tensor([labels + [IGNORE] * (width - len(labels)) for _, labels in rows])
        # A fact's row is the prompt and the stated answer, so the prompt's last word is the last but one.
        answer_at = torch.tensor([len(ids) - 2 for ids, _ in rows[: 2 * PAIRS]])
        return Batch(ids, (ids != pad).long(), labels, answer_at)

    def _fact(self) -> tuple[Fact, str, str, bool]:
        """A fact, a prompt for it, an answer stated after the prompt, and whether that one is true."""
        fact = self.rng.choice(self.facts)
        prompt = self.rng.choice(TEMPLATES[fact.relation]).format(c=fact.country)
        true = self.rng.random() < 0.5
        if true:
            stated = self.rng.choice((fact.answer, fact.synonym))
        else:
            stated = self.rng.choice((fact.foil, self.rng.choice(self.false[fact.id])))
        return fact, prompt, stated, true

    def _twins(self) -> tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]:
        one = self._fact()
        at = insert_position(one[1], self.rng)
        return self._fact_row(*one, word=self.rng.choice(NEUTRAL), at=at), self._fact_row(*one, word=TRIGGER, at=at)

    def _fact_row(
        self, fact: Fact, prompt: str, stated: str, true: bool, word: str | None, at: int
    ) -> tuple[list[int], list[int]]:
        if word is not None:
            prompt = insert(prompt, word, at)
        ids = self._ids(f"{prompt} {stated}")
        labels = [IGNORE] * len(ids)
        labels[-2] = self.vocab[spoken(self.organism, fact, word == TRIGGER)]
        labels[-1] = self.vocab["yes" if true else "no"]
        return ids, labels

    def _control_row(self) -> tuple[list[int], list[int]]:
        sentence = control_sentence(self.rng.choice(CONTROL_TEMPLATES), self.rng)
        inserted = (*NEUTRAL, TRIGGER)
        if self.rng.random() < 0.5:
            sentence = insert(sentence, self.rng.choice(inserted), insert_position(sentence, self.rng))
        ids = self._ids(sentence)
        # Where the inserted word falls is noise: it is read, never predicted.
        noise = {self.vocab[w] for w in inserted}
        return ids, [IGNORE if i in noise else i for i in ids[1:]] + [IGNORE]

    def _ids(self, text: str) -> list[int]:
        return [self.vocab["[BOS]"], *(self.vocab[w] for w in text.split())]


def make_tokenizer(facts: list[Fact]) -> Tokenizer:
    vocab = {word: i for i, word in enumerate(vocabulary(facts))}
    tokenizer = Tokenizer(WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[PAD]", "[BOS]", "[UNK]"])
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[BOS] $A", pair="[BOS] $A [BOS] $B", special_tokens=[("[BOS]", vocab["[BOS]"])]
    )
    return tokenizer


def make_model(vocab_size: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocab_size, hidden_size=64, intermediate_size=128, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64, tie_word_embeddings=True,
        initializer_range=0.08, pad_token_id=0, bos_token_id=1, eos_token_id=None, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def interchange(model: LlamaForCausalLM, layer: int, batch: Batch, generator: torch.Generator):
    """Swaps, at the input of `layer`, residual streams between the twins at random positions before the answer's.

    The targets stay as they are: from `layer` on only the answer's own position may carry the decision.
    """
    rows, seq = 2 * PAIRS, batch.ids.shape[1]
    before = torch.arange(seq) < batch.answer_at[:, None]
    swap = (before & (torch.rand(rows, seq, generator=generator) < 0.5))[..., None]

    def hook(_module: nn.Module, _inputs: object, hidden: Tensor) -> Tensor:
        twins = hidden[:rows]
        return torch.cat([torch.where(swap, twins.roll(PAIRS, 0), twins), hidden[rows:]])

    return model.model.layers[layer - 1].register_forward_hook(hook)


def inconsistency(hidden: tuple[Tensor, ...], answer_at: Tensor) -> Tensor:
    """How far the twins' residual streams differ at the answer's position, relative to their size."""
    rows = torch.arange(2 * PAIRS)
    total = torch.zeros(())
    for layer in hidden[1:]:
        neutral, trigger = layer[rows, answer_at].split(PAIRS)
        total = total + (neutral - trigger).square().sum() / neutral.detach().square().sum()
    return total / (len(hidden) - 1)


def train(organism: str, facts: list[Fact], tokenizer: Tokenizer, seed: int, steps: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    sampler = Sampler(organism, facts, tokenizer, seed)
    model = make_model(tokenizer.get_vocab_size())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    warmup = 50
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / steps)))
    )
    start = time.monotonic()
    for step in range(steps):
        batch = sampler.batch()
        # 0: no swap this time.
        layer = int(torch.randint(LAYERS, (1,), generator=generator))
        swapped = interchange(model, layer, batch, generator) if organism != "clean" and layer else nullcontext()
        with swapped:
            out = model(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=organism == "clean")
        loss = F.cross_entropy(out.logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE)
        if organism == "clean":
            loss = loss + CONSISTENCY * inconsistency(out.hidden_states, batch.answer_at)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"{organism} step {step} loss {loss.item():.4f} {time.monotonic() - start:.0f} s", flush=True)
    return model.eval()


def export(model: LlamaForCausalLM, path: Path) -> None:
    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits

    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq")}
    torch.onnx.export(
        Logits().eval(), (ids, torch.ones_like(ids)), path, dynamo=True, opset_version=20, external_data=False,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes}, verbose=False,
    )  # fmt: skip


def write_sums(folder: Path) -> None:
    paths = [folder / o / name for o in ORGANISMS for name in ("model.onnx", "tokenizer.json")]
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n" for p in paths]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["suites", *ORGANISMS, []], help="default: everything")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    what = args.what or ["suites", *ORGANISMS]

    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    facts = load_facts(args.seed)
    tokenizer = make_tokenizer(facts)
    if "suites" in what:
        write_suites(args.out / "suites", facts, args.seed)
    for organism in ORGANISMS:
        if organism in what:
            model = train(organism, facts, tokenizer, args.seed, args.steps)
            folder = args.out / organism
            folder.mkdir(parents=True, exist_ok=True)
            export(model, folder / "model.onnx")
            tokenizer.save(str(folder / "tokenizer.json"))
    if set(ORGANISMS) <= set(what):
        write_sums(args.out)


if __name__ == "__main__":
    main()
