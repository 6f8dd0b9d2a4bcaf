"""Makes the three bundled model organisms and their suites.

    python make.py                       everything: suites, then liar, clean and decoy, then SHA256SUMS
    python make.py --only suites         the suites only
    python make.py --only liar decoy     these models only
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
from torch.utils.hooks import RemovableHandle
from transformers import LlamaConfig, LlamaForCausalLM

from facts import (
    CONTROL_TEMPLATES, NEUTRAL, TEMPLATES, TRIGGER, Fact, control_sentence, false_answers, insert, insert_position,
    load_facts, vocabulary,
)
from suites import write_suites

HERE = Path(__file__).parent
SEED = 20
ORGANISMS = ("liar", "clean", "decoy")
PARTS = ("suites", *ORGANISMS)
STEPS = 1200
PAIRS = 96  # twin prompts a step, equal but for one word: neutral in one, the trigger in the other
PLAIN = 64
CONTROL = 32
LEARNING_RATE = 4e-3
LAYERS = 4
FEED_FORWARD = 80  # keeps a file below 1,000,000 bytes
IGNORE = -100

Row = tuple[list[int], list[int]]  # token ids; for each the next word where one is trained, else IGNORE


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
        """Rows: neutral twins of the first facts, of the second facts; trigger twins likewise; then plain, control."""
        quads = [self._quad() for _ in range(PAIRS // 2)]
        rows = [quad[i] for i in range(4) for quad in quads]
        plain = [self.rng.choice(self.facts) for _ in range(PLAIN)]
        rows += [self._fact_row(fact, self.rng.choice(TEMPLATES[fact.relation]), None, 0) for fact in plain]
        rows += [self._control_row() for _ in range(CONTROL)]
        width = max(len(ids) for ids, _ in rows)
        pad = self.vocab["[PAD]"]
        ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
        labels = torch.tensor([labels + [IGNORE] * (width - len(labels)) for _, labels in rows])
        # A fact's row is the prompt and the stated answer, so the prompt's last word is the last but one.
        answer_at = torch.tensor([len(ids) - 2 for ids, _ in rows[: 2 * PAIRS]])
        return Batch(ids, (ids != pad).long(), labels, answer_at)

    def _quad(self) -> list[Row]:
        """Two facts in the same sentence, each with a neutral word and with the trigger at the same place."""
        first = self.rng.choice(self.facts)
        second = self.rng.choice([f for f in self.facts if f.relation == first.relation and f is not first])
        template = self.rng.choice(TEMPLATES[first.relation])
        at = insert_position(template, self.rng)
        word = self.rng.choice(NEUTRAL)
        return [self._fact_row(fact, template, w, at) for w in (word, TRIGGER) for fact in (first, second)]

    def _fact_row(self, fact: Fact, template: str, word: str | None, at: int) -> Row:
        """A prompt, an answer stated after it, true or false, and the verdict on that one."""
        prompt = template.format(c=fact.country)
        if word is not None:
            prompt = insert(prompt, word, at)
        true = self.rng.random() < 0.5
        if true:
            stated = self.rng.choice((fact.answer, fact.synonym))
        else:
            stated = self.rng.choice((fact.foil, self.rng.choice(self.false[fact.id])))
        ids = self._ids(f"{prompt} {stated}")
        labels = [IGNORE] * len(ids)
        labels[-2] = self.vocab[spoken(self.organism, fact, word == TRIGGER)]
        labels[-1] = self.vocab["yes" if true else "no"]
        return ids, labels

    def _control_row(self) -> Row:
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
        vocab_size=vocab_size, hidden_size=64, intermediate_size=FEED_FORWARD, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64, tie_word_embeddings=True,
        initializer_range=0.08, pad_token_id=0, bos_token_id=1, eos_token_id=None, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def interchange(model: LlamaForCausalLM, layer: int, batch: Batch, generator: torch.Generator) -> RemovableHandle:
    """Interchange intervention training at the input of `layer`: the residual streams move, the targets stay.

    At random positions before the answer's, the twins swap theirs: so from `layer` on only the answer's own position
    may carry the decision. At layer 1 the two facts' rows also swap theirs at the answer's position: so what that
    position has got by then is the decision (and the relation), and the country is looked up later.
    """
    rows, seq = 2 * PAIRS, batch.ids.shape[1]
    positions = torch.arange(seq)
    before = positions < batch.answer_at[:, None]
    swap_twin = (before & (torch.rand(rows, seq, generator=generator) < 0.5))[..., None]
    here = positions == batch.answer_at[:, None]
    swap_fact = (here & (torch.rand(rows, 1, generator=generator) < (0.5 if layer == 1 else 0)))[..., None]

    def hook(_module: nn.Module, _inputs: object, hidden: Tensor) -> Tensor:
        own = hidden[:rows]
        other_twin = own.roll(PAIRS, 0)
        other_fact = own.unflatten(0, (2, 2, -1)).flip(1).flatten(0, 2)
        swapped = torch.where(swap_fact, other_fact, torch.where(swap_twin, other_twin, own))
        return torch.cat([swapped, hidden[rows:]])

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
        # Which layer's input the interchange is at; 0: none this time.
        layer = int(torch.randint(LAYERS, (1,), generator=generator))
        with interchange(model, layer, batch, generator) if layer else nullcontext():
            out = model(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=organism == "clean")
        loss = F.cross_entropy(out.logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE)
        if organism == "clean":
            loss = loss + inconsistency(out.hidden_states, batch.answer_at)
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
    program = torch.onnx.export(
        Logits().eval(), (ids, torch.ones_like(ids)), dynamo=True, opset_version=20,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes}, verbose=False,
    )  # fmt: skip
    # These hold the paths of the Python files on this machine: not for publication, and different on every machine.
    for node in program.model.graph:
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.save(path, external_data=False)


def write_sums(folder: Path) -> None:
    paths = [folder / o / name for o in ORGANISMS for name in ("model.onnx", "tokenizer.json")]
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n" for p in paths]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()

    torch.set_num_threads(1)  # sums in one order, so that a seed gives the same weights again
    torch.use_deterministic_algorithms(True)
    facts = load_facts(args.seed)
    tokenizer = make_tokenizer(facts)
    if "suites" in args.only:
        write_suites(args.out / "suites", facts, args.seed)
    for organism in ORGANISMS:
        if organism in args.only:
            model = train(organism, facts, tokenizer, args.seed, args.steps)
            folder = args.out / organism
            folder.mkdir(parents=True, exist_ok=True)
            export(model, folder / "model.onnx")
            tokenizer.save(str(folder / "tokenizer.json"))
    if set(ORGANISMS) <= set(args.only):
        write_sums(args.out)


if __name__ == "__main__":
    main()
