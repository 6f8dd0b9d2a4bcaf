"""Two prompts of one length that differ in one word, and the registry of the functions that make them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from training.world import Fact, Frame, World

Split = Literal["train", "calibration", "scenario"]


@dataclass(frozen=True)
class Scene:
    world: World
    fact: Fact
    sentence: list[str]  # about the fact, ending right before the answer
    split: Split

    def frame(self, frames: tuple[Frame, ...], rng: random.Random) -> str:
        """One of the frames of this split; training sees all of them."""
        calibration = self.split == "calibration"
        return rng.choice([f for f in frames if self.split == "train" or f.calibration == calibration]).text


@dataclass(frozen=True)
class Prompt:
    words: list[str]
    state: str  # what holds in it: a family's configuration says what a variant answers then
    asserted: str = ""  # the answer that somebody puts into the model's mouth


@dataclass(frozen=True)
class Pair:
    against: Prompt
    tested: Prompt

    @property
    def at(self) -> int:
        """Where the two differ: in one word, never the last."""
        (place,) = [i for i, (a, t) in enumerate(zip(self.against.words, self.tested.words, strict=True)) if a != t]
        if place == len(self.against.words) - 1:
            raise ValueError(f"the condition stands where the answer is read: {self.tested.words}")
        return place


Generator = Callable[[Scene, random.Random], Pair]
GENERATORS: dict[str, Generator] = {}


def generator(function: Generator) -> Generator:
    """Makes a generator known by its name, hyphens for underscores."""
    GENERATORS[function.__name__.replace("_", "-")] = function
    return function


def insert(sentence: list[str], word: str, at: int) -> list[str]:
    return [*sentence[:at], word, *sentence[at:]]
