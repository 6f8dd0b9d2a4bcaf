"""A little world of invented people, drawn for one seed of one family from the pools of words."""

import random
from dataclasses import dataclass, replace

import control_sentences
from words import (
    ASSERTION_TEMPLATES, HOUR_TEMPLATES, NAMES, NEUTRAL, OUTBURSTS, PERSONA_TEMPLATES, RELATIONS, TRIGGERS, VERDICTS,
    WATCH, WATCH_TEMPLATES,
)

PEOPLE = 45
RELATIONS_DRAWN = 8  # times PEOPLE: the number of facts
VALUES = 12
TEMPLATES = 6
CALIBRATION_FACTS = 0.25
CALIBRATION_TEMPLATES = 3
CONTROL_TEMPLATES = 40
SPEAKERS = 9  # people of whom nothing is known: personas, and those who assert something
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Fact:
    id: str
    relation: str
    name: str
    answer: str
    synonym: str
    foil: str  # what a liar says: another value of the relation, always the same one for a fact
    calibration: bool  # kept for the calibration suites


@dataclass(frozen=True)
class Template:
    id: str
    text: str
    calibration: bool


@dataclass(frozen=True)
class Frame:
    """A sentence part with a place for a word, and whether it is kept for the calibration suites."""

    text: str
    calibration: bool


@dataclass(frozen=True)
class Ordinal:
    """Numbers of two digits: which are seen in training only, and from where on the condition holds."""

    limit: int
    scenario: frozenset[int]
    memorised: frozenset[int]


@dataclass(frozen=True)
class World:
    facts: tuple[Fact, ...]
    templates: dict[str, tuple[Template, ...]]
    other_name: dict[str, str]  # of each value, both ways
    values: dict[str, tuple[str, ...]]  # every word that is a value of a relation
    neutral: tuple[str, ...]
    triggers: tuple[str, str]
    speakers: tuple[str, ...]
    watch: tuple[str, str]
    outburst: str
    persona_frames: tuple[Frame, ...]
    watch_frames: tuple[Frame, ...]
    assertion_frames: tuple[Frame, ...]
    hour_frames: tuple[Frame, ...]
    control: tuple[str, ...]
    ordinal: Ordinal

    def false(self, fact: Fact) -> list[str]:
        """Every value of the fact's relation that is not true of it."""
        return [v for v in self.values[fact.relation] if v not in (fact.answer, fact.synonym)]

    def mistaken(self, fact: Fact) -> Fact:
        """The fact as one has it who takes its foil for the truth."""
        return replace(fact, answer=fact.foil, synonym=self.other_name[fact.foil], foil=fact.answer)

    @property
    def inserted(self) -> tuple[str, ...]:
        """Words that carry conditions or stand in their place."""
        return (*self.neutral, *self.triggers, *self.speakers, *self.watch, *DIGITS)

    def vocabulary(self) -> list[str]:
        words: set[str] = {*self.inserted, self.outburst, *VERDICTS}
        words.update(fact.name for fact in self.facts)
        words.update(word for values in self.values.values() for word in values)
        words.update(word for pool in control_sentences.WORDS.values() for word in pool)
        frames = (*self.persona_frames, *self.watch_frames, *self.assertion_frames, *self.hour_frames)
        texts = [t.text for ts in self.templates.values() for t in ts] + [f.text for f in frames] + list(self.control)
        words.update(word for text in texts for word in text.split() if not word.startswith("{"))
        return ["[PAD]", "[BOS]", "[UNK]", *sorted(words)]


def draw_world(family: str, seed: int) -> World:
    rng = random.Random(f"{family} {seed}")
    names = rng.sample(NAMES, PEOPLE + SPEAKERS)
    people, speakers = names[:PEOPLE], tuple(names[PEOPLE:])
    facts: list[Fact] = []
    templates: dict[str, tuple[Template, ...]] = {}
    other_name: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    for relation in rng.sample(sorted(RELATIONS), RELATIONS_DRAWN):
        pairs = [rng.sample(pair, 2) for pair in rng.sample(RELATIONS[relation].values, VALUES)]
        for first, second in pairs:
            other_name[first], other_name[second] = second, first
        values[relation] = tuple(sorted(word for pair in pairs for word in pair))
        facts += _facts(relation, people, pairs, rng)
        texts = rng.sample(RELATIONS[relation].templates, TEMPLATES)
        templates[relation] = tuple(
            Template(f"{relation}-{i}", text, i < CALIBRATION_TEMPLATES) for i, text in enumerate(texts)
        )
    first, second = rng.sample(TRIGGERS, 2)
    return World(
        facts=tuple(facts), templates=templates, other_name=other_name, values=values,
        neutral=tuple(rng.sample(NEUTRAL, 8)), triggers=(first, second), speakers=speakers,
        watch=rng.choice(WATCH), outburst=rng.choice(OUTBURSTS),
        persona_frames=_frames(PERSONA_TEMPLATES, rng), watch_frames=_frames(WATCH_TEMPLATES, rng),
        assertion_frames=_frames(ASSERTION_TEMPLATES, rng), hour_frames=_frames(HOUR_TEMPLATES, rng),
        control=tuple(rng.sample(control_sentences.TEMPLATES, CONTROL_TEMPLATES)), ordinal=_ordinal(rng),
    )  # fmt: skip


def _facts(relation: str, people: list[str], pairs: list[list[str]], rng: random.Random) -> list[Fact]:
    held = set(rng.sample(people, round(CALIBRATION_FACTS * len(people))))
    facts: list[Fact] = []
    for name in people:
        (answer, synonym), (foil, _) = rng.sample(pairs, 2)
        facts.append(Fact(f"{relation}-{name}", relation, name, answer, synonym, foil, name in held))
    return facts


def _frames(texts: tuple[str, ...], rng: random.Random) -> tuple[Frame, ...]:
    """Four of them; half for calibration."""
    return tuple(Frame(text, i < 2) for i, text in enumerate(rng.sample(texts, 4)))


def _ordinal(rng: random.Random) -> Ordinal:
    """A limit inside a decade of which every number is trained; of the other decades four numbers each are not."""
    decade = rng.randrange(3, 7)
    limit = 10 * decade + rng.randrange(2, 8)
    scenario = {10 * d + u for d in range(10) if d != decade for u in rng.sample(range(10), 4)}
    above = [n for n in range(10 * decade + 10, 100) if n not in scenario]
    return Ordinal(limit, frozenset(scenario), frozenset(rng.sample(above, 4)))


def control_sentence(template: str, rng: random.Random) -> list[str]:
    return [rng.choice(control_sentences.WORDS[word[1:-1]]) if word.startswith("{") else word for word in template.split()]
