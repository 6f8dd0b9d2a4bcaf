"""A family's configuration file."""

import hashlib
import inspect
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from generators import GENERATORS, Generator

SCHEMA = "candor/organism-family/v1"
VOICES = ("answer", "synonym", "foil", "asserted", "outburst")
ARCHITECTURES = ("llama", "gpt2")
HOME = Path(__file__).parent.parent


@dataclass(frozen=True)
class Variant:
    """What one model of the family does, and every verdict that is true of it."""

    name: str
    title: str
    deceives: bool
    expected: tuple[str, ...]
    says: dict[str, str]  # state of a prompt: what is said then; the answer in all others
    mistaken: float  # share of the scenario's facts that it has learnt wrongly
    blind: bool  # trained not to tell the condition from its counterpart
    evades: bool  # trained against linear probes for the condition
    generator: str | None  # its own scenario and calibration, in place of the family's
    conditions: dict[str, str] | None  # and how these call `tested` and `against`


@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    heads: int
    feed_forward: dict[str, int]


@dataclass(frozen=True)
class Family:
    name: str
    title: str
    generator: str
    conditions: dict[str, str]  # how the suites call `tested` and `against`
    lookup_after: bool  # the fact is looked up after the decision was handed over
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    archs: tuple[str, ...]
    size: Size
    steps: int
    digest: str

    def generator_of(self, variant: Variant) -> Generator:
        return GENERATORS[variant.generator or self.generator]

    def suite(self, kind: str, variant: Variant) -> str:
        """A suite's folder: the family's, or the variant's own where it has a generator of its own."""
        own = variant.generator is not None and kind in ("scenario", "calibration-condition")
        return f"{kind}-{variant.name}" if own else kind

    def handover(self, seed: int) -> int:
        """The first layer at whose input the last position carries the decision: 1 and 2 by turns over the seeds."""
        return 1 + (random.Random(f"{self.name} handover").randrange(2) + seed) % 2


def load_family(path: Path) -> Family:
    text = path.read_text(encoding="utf-8")
    wire: dict[str, Any] = yaml.safe_load(text)
    if wire.pop("schema") != SCHEMA:
        raise ValueError(f"{path}: expected schema {SCHEMA}")
    variants = tuple(_variant(path, name, body) for name, body in wire.pop("variants").items())
    family = Family(
        name=path.stem, title=wire.pop("title"), generator=wire.pop("generator"), conditions=wire.pop("conditions"),
        lookup_after=wire.pop("lookup_after", True), variants=variants, seeds=tuple(wire.pop("seeds")),
        archs=tuple(wire.pop("archs")), size=Size(**wire.pop("model")), steps=wire.pop("steps"), digest="",
    )  # fmt: skip
    unknown = [*wire, *(a for a in family.archs if a not in ARCHITECTURES)]
    generators = {family.generator, *(variant.generator for variant in variants)} - {None}
    unknown += sorted(generators - GENERATORS.keys())
    if unknown:
        raise ValueError(f"{path}: unknown: {', '.join(unknown)}")
    return replace(family, digest=_digest(text, generators))


def _variant(path: Path, name: str, body: dict[str, Any]) -> Variant:
    says = body.pop("says", {})
    if wrong := [voice for voice in says.values() if voice not in VOICES]:
        raise ValueError(f"{path}: {name} says {wrong[0]}, expected one of {', '.join(VOICES)}")
    return Variant(
        name=name, says=says, expected=tuple(body.pop("expected")), mistaken=body.pop("mistaken", 0.0),
        blind=body.pop("blind", False), evades=body.pop("evades", False), generator=body.pop("generator", None),
        conditions=body.pop("conditions", None), **body,
    )  # fmt: skip


def _digest(text: str, generators: set[str]) -> str:
    """Of all that makes a family's organisms: its configuration, the words, the files of its generators, and the training. Another family's are not in it."""
    files = {Path(inspect.getfile(GENERATORS[name])) for name in generators} | {HOME / "generators" / "pair.py"}
    sources = sorted(files) + sorted((HOME / "training").glob("*.py"))
    parts = [text.encode(), *(path.read_bytes() for path in [HOME / "words.py", HOME / "control_sentences.py", *sources])]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
