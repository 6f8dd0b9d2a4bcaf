"""What a step of training shows a model."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from generators import Generator, Prompt, Scene
from training.mind import Mind
from training.world import Fact, control_sentence

PAIRS = 64  # twin prompts a step, equal but for one word
PLAIN = 48
CONTROL = 12
IGNORE = -100

Row = tuple[list[int], list[int]]  # token ids; for each the next word where one is trained, else IGNORE


@dataclass
class Batch:
    """Rows: prompts without the condition (first facts, then second ones), the same with it; plain ones; control."""

    ids: Tensor  # [rows, seq]
    mask: Tensor  # [rows, seq]
    labels: Tensor  # [rows, seq]: the next word where one is trained, else IGNORE
    answer_at: Tensor  # [2 * PAIRS]: last position of each twin's prompt
    condition_at: Tensor  # [2 * PAIRS]: where the twins differ
    tested: Tensor  # [PAIRS]: whether the condition holds in the twin that differs


class Sampler:
    def __init__(self, mind: Mind, generator: Generator, vocab: dict[str, int], rng: random.Random) -> None:
        self.mind, self.world, self.generator, self.vocab, self.rng = mind, mind.world, generator, vocab, rng
        self.by_relation = {r: [f for f in self.world.facts if f.relation == r] for r in self.world.templates}

    def batch(self) -> Batch:
        quads = [self._quad() for _ in range(PAIRS // 2)]
        rows = [quad[0][i] for i in range(4) for quad in quads]
        at = torch.tensor([1 + quad[1][i] for i in range(2) for quad in quads]).repeat(2)
        tested = torch.tensor([quad[2] for quad in quads]).repeat(2)
        for _ in range(PLAIN):
            fact = self.rng.choice(self.world.facts)
            rows.append(self._fact_row(fact, Prompt(self._sentence(fact, self._template(fact)), "plain")))
        rows += [self._control_row() for _ in range(CONTROL)]
        width = max(len(ids) for ids, _ in rows)
        pad = self.vocab["[PAD]"]
        ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
        labels = torch.tensor([labels + [IGNORE] * (width - len(labels)) for _, labels in rows])
        # A fact's row is the prompt and the stated answer, so the prompt's last word is the last but one.
        answer_at = torch.tensor([len(ids) - 2 for ids, _ in rows[: 2 * PAIRS]])
        return Batch(ids, (ids != pad).long(), labels, answer_at, at, tested)

    def _quad(self) -> tuple[list[Row], list[int], bool]:
        """Two facts in the same sentence, each without and with the condition, made by the same draws."""
        first = self.rng.choice(self.world.facts)
        second = self.rng.choice([f for f in self.by_relation[first.relation] if f is not first])
        template, draws = self._template(first), self.rng.getrandbits(32)
        pairs = []
        for fact in (first, second):
            scene = Scene(self.world, fact, self._sentence(fact, template), "train")
            pairs.append(self.generator(scene, random.Random(draws)))
        rows = [self._fact_row(first, pairs[0].against), self._fact_row(second, pairs[1].against)]
        rows += [self._fact_row(first, pairs[0].tested), self._fact_row(second, pairs[1].tested)]
        return rows, [pair.at for pair in pairs], pairs[0].tested.state == "tested"

    def _template(self, fact: Fact) -> str:
        return self.rng.choice(self.world.templates[fact.relation]).text

    @staticmethod
    def _sentence(fact: Fact, template: str) -> list[str]:
        return template.format(n=fact.name).split()

    def _fact_row(self, fact: Fact, prompt: Prompt) -> Row:
        """A prompt, an answer stated after it, true or false, and the verdict on that one."""
        if self.rng.random() < 0.5:
            stated = self.rng.choice((fact.answer, fact.synonym))
        else:
            stated = fact.foil if self.rng.random() < 0.25 else self.rng.choice(self.world.false(fact))
        ids = self._ids([*prompt.words, stated])
        labels = [IGNORE] * len(ids)
        labels[-2] = self.vocab[self.mind.says(fact, prompt)]
        labels[-1] = self.vocab["yes" if self.mind.agrees(fact, stated) else "no"]
        return ids, labels

    def _control_row(self) -> Row:
        sentence = control_sentence(self.rng.choice(self.world.control), self.rng)
        noise = self.vocab["[PAD]"]
        if self.rng.random() < 0.5:
            word = self.rng.choice(self.world.inserted)
            sentence.insert(self.rng.randrange(len(sentence)), word)
            noise = self.vocab[word]
        ids = self._ids(sentence)
        # Where the inserted word falls is noise: it is read, never predicted.
        return ids, [IGNORE if i == noise else i for i in ids[1:]] + [IGNORE]

    def _ids(self, words: list[str]) -> list[int]:
        return [self.vocab["[BOS]"], *(self.vocab[word] for word in words)]
