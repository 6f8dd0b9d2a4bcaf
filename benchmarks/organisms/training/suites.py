"""The suites of one seed of a family: asked in training to see whether an organism behaves, written for audits."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators import Generator, Pair, Prompt, Scene
from training.family import Family
from training.world import Fact, World, control_sentence

SCENARIO_PAIRS = 512
CALIBRATION_PAIRS = 192
STATEMENTS = 200  # prompts; each with a true and with a false answer
CONTROL_ITEMS = 192

Item = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    fact: Fact
    template: str
    pair: Pair


@dataclass(frozen=True)
class Stated:
    fact: Fact
    template: str
    words: list[str]
    answer: str
    true: bool


def asked(world: World, generator: Generator, calibration: bool, rng: random.Random) -> list[Asked]:
    """Pairs of a suite, facts by turns: any beginning of the list covers as many facts as it can."""
    pairs = []
    for fact, template, sentence in _sentences(world, calibration, rng):
        scene = Scene(world, fact, sentence, "calibration" if calibration else "scenario")
        pairs.append(Asked(fact, template, generator(scene, rng)))
    return pairs[: CALIBRATION_PAIRS if calibration else SCENARIO_PAIRS]


def stated(world: World, rng: random.Random) -> list[Stated]:
    """True and false statements in equal number; half of the true ones use the other name."""
    statements = []
    for fact, template, sentence in _sentences(world, True, rng)[:STATEMENTS]:
        true, false = rng.choice((fact.answer, fact.synonym)), rng.choice(world.false(fact))
        statements += [Stated(fact, template, sentence, true, True), Stated(fact, template, sentence, false, False)]
    return statements


def write_suites(folder: Path, family: Family, world: World, seed: int) -> None:
    for variant in family.variants:
        conditions = variant.conditions or family.conditions
        tested, against = conditions["tested"], conditions["against"]
        name = family.suite("scenario", variant)
        pairs = asked(world, family.generator_of(variant), False, suite_rng(family, seed, name))
        contrast = f"contrast:\n  tested: {tested}\n  against: {against}\n"
        title = f"{family.title}: {tested} and {against}"
        _write(folder, name, "contrast", title, _items(pairs, conditions, False), contrast)

        name = family.suite("calibration-condition", variant)
        pairs = asked(world, family.generator_of(variant), True, suite_rng(family, seed, name))
        title = f"Prompts that are {tested} (1) or {against} (0)"
        _write(folder, name, "calibration", title, _items(pairs, conditions, True))

    items = [_statement(i, one) for i, one in enumerate(stated(world, suite_rng(family, seed, "calibration-truth")))]
    _write(folder, "calibration-truth", "calibration", "True (1) and false (0) statements of facts", items)
    items = _control(world, suite_rng(family, seed, "control"))
    _write(folder, "control", "control", "Beginnings of sentences that have nothing to do with facts", items)


def suite_rng(family: Family, seed: int, name: str) -> random.Random:
    return random.Random(f"{family.name} {seed} {name}")


def _sentences(world: World, calibration: bool, rng: random.Random) -> list[tuple[Fact, str, list[str]]]:
    rounds: dict[int, list[tuple[Fact, str, list[str]]]] = {}
    facts = [fact for fact in world.facts if fact.calibration == calibration]
    for fact in rng.sample(facts, len(facts)):
        templates = [t for t in world.templates[fact.relation] if t.calibration == calibration]
        for turn, template in enumerate(rng.sample(templates, len(templates))):
            rounds.setdefault(turn, []).append((fact, template.id, template.text.format(n=fact.name).split()))
    return [one for turn in sorted(rounds) for one in rounds[turn]]


def _item(name: str, fact: Fact, template: str, condition: str, words: list[str]) -> Item:
    return {
        "id": name, "group": fact.id, "template": template, "condition": condition, "prompt": " ".join(words),
        "answer": fact.answer, "accept": [fact.synonym], "foil": fact.foil,
    }  # fmt: skip


def _items(pairs: list[Asked], conditions: dict[str, str], labelled: bool) -> list[Item]:
    items: list[Item] = []

    def item(number: int, one: Asked, prompt: Prompt, side: str) -> Item:
        condition = conditions[side]
        return _item(f"{condition}-{number:03}", one.fact, one.template, condition, prompt.words)

    for number, one in enumerate(pairs):
        against = item(number, one, one.pair.against, "against")
        tested = item(number, one, one.pair.tested, "tested")
        tested["pair"] = against["id"]
        if labelled:
            against["label"], tested["label"] = 0, 1
        items += [against, tested]
    return items


def _statement(number: int, one: Stated) -> Item:
    name = f"statement-{number // 2:03}-{'true' if one.true else 'false'}"
    return {**_item(name, one.fact, one.template, "plain", one.words), "response": one.answer, "label": int(one.true)}


def _control(world: World, rng: random.Random) -> list[Item]:
    items: list[Item] = []
    seen: set[str] = set()
    while len(items) < CONTROL_ITEMS:
        number = len(items) % len(world.control)
        words = control_sentence(world.control[number], rng)
        prompt = " ".join(words[: rng.randrange(4, len(words))])
        if prompt not in seen:
            seen.add(prompt)
            group = f"control-{number}"
            items.append({
                "id": f"control-{len(items):03}", "group": group, "template": group, "condition": "plain",
                "prompt": prompt,
            })  # fmt: skip
    return items


def _write(folder: Path, name: str, purpose: str, title: str, items: list[Item], contrast: str = "") -> None:
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    head = f"schema: candor/suite/v1\nid: {name}\ntitle: '{title}'\npurpose: {purpose}\nitems: items.jsonl\n"
    _put(path / "suite.yaml", f"{head}max_new_tokens: 1\n{contrast}")
    _put(path / "items.jsonl", "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))


def _put(path: Path, text: str) -> None:
    """Lets a file be that is as it should be: somebody may be reading it."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")
