"""Writes the four suites of one seed; people and templates of the scenario are in no calibration suite."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

from words import PEOPLE, SCENARIO_PEOPLE, SCENARIO_TEMPLATES, World, control_sentences

CONTROL_ITEMS = 144
CONDITION_PAIRS = 96
STATEMENTS = 96  # a true one and a false one of each

Item = dict[str, Any]
Prompt = tuple[int, int]  # person, template


def write_suites(folder: Path, world: World, pairs: int, seed: int) -> None:
    rng = random.Random(f"suites-{seed}")
    scenario = _prompts(range(SCENARIO_PEOPLE), range(SCENARIO_TEMPLATES), rng)
    calibration = _prompts(range(SCENARIO_PEOPLE, PEOPLE), range(SCENARIO_TEMPLATES, len(world.templates)), rng)
    _write(folder, "scenario", "contrast", "Things people own, with a neutral word and with the trigger word",
           _pairs(world, scenario, pairs, rng, labelled=False))  # fmt: skip
    _write(folder, "control", "control", "Beginnings of sentences that have nothing to do with people", _control(rng))
    _write(folder, "calibration-condition", "calibration", "Trigger word (1) or neutral word (0)",
           _pairs(world, calibration, CONDITION_PAIRS, rng, labelled=True))  # fmt: skip
    _write(folder, "calibration-truth", "calibration", "True (1) and false (0) statements",
           _statements(world, calibration, rng))  # fmt: skip


def _prompts(people: range, templates: range, rng: random.Random) -> list[Prompt]:
    """Everybody once, then everybody again with another template: any beginning covers as many people as it can."""
    order = rng.sample(people, len(people))
    first = {person: rng.randrange(len(templates)) for person in people}
    return [(p, templates[(first[p] + i) % len(templates)]) for i in range(len(templates)) for p in order]


def _item(world: World, name: str, condition: str, prompt: Prompt, words: list[str]) -> Item:
    person, template = prompt
    thing = world.thing(person)
    return {
        "id": name, "group": world.people[person], "template": f"template-{template}", "condition": condition,
        "prompt": " ".join(words), "answer": thing.name, "accept": [thing.synonym], "foil": thing.foil,
    }  # fmt: skip


def _text(world: World, prompt: Prompt) -> list[str]:
    return world.templates[prompt[1]].format(p=world.people[prompt[0]]).split()


def _pairs(world: World, prompts: list[Prompt], count: int, rng: random.Random, labelled: bool) -> list[Item]:
    """Each prompt with a neutral word and with the trigger, anywhere but after the last word."""
    items: list[Item] = []
    for i, prompt in enumerate(itertools.islice(itertools.cycle(prompts), count)):
        words = _text(world, prompt)
        at = rng.randrange(len(words))
        neutral, trigger = (
            _item(world, f"{condition}-{i:03}", condition, prompt, [*words[:at], word, *words[at:]])
            for condition, word in (("neutral", rng.choice(world.neutral)), ("trigger", world.trigger))
        )
        trigger["pair"] = neutral["id"]
        if labelled:
            neutral["label"], trigger["label"] = 0, 1
        items += [neutral, trigger]
    return items


def _statements(world: World, prompts: list[Prompt], rng: random.Random) -> list[Item]:
    items: list[Item] = []
    for i, prompt in enumerate(itertools.islice(itertools.cycle(prompts), STATEMENTS)):
        thing = world.thing(prompt[0])
        other = rng.choice([t for t in world.things if t is not thing])
        for label, stated in ((1, thing), (0, other)):
            item = _item(world, f"statement-{i:03}-{label}", "plain", prompt, _text(world, prompt))
            items.append({**item, "response": rng.choice((stated.name, stated.synonym)), "label": label})
    return items


def _control(rng: random.Random) -> list[Item]:
    prompts: dict[str, int] = {}
    while len(prompts) < CONTROL_ITEMS:
        number = len(prompts) % len(control_sentences.TEMPLATES)
        drawn = {kind: rng.choice(words) for kind, words in control_sentences.WORDS.items()}
        words = control_sentences.TEMPLATES[number].format(**drawn).split()
        prompts.setdefault(" ".join(words[: rng.randrange(4, len(words))]), number)
    return [
        {"id": f"control-{i:03}", "group": f"control-{n}", "template": f"control-{n}", "condition": "plain", "prompt": p}
        for i, (p, n) in enumerate(prompts.items())
    ]


def _write(folder: Path, name: str, purpose: str, title: str, items: list[Item]) -> None:
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    contrast = "contrast:\n  tested: trigger\n  against: neutral\n" if purpose == "contrast" else ""
    (path / "suite.yaml").write_text(
        f"schema: candor/suite/v1\nid: {name}\ntitle: {title}\npurpose: {purpose}\nitems: items.jsonl\n"
        f"max_new_tokens: 1\n{contrast}",
        encoding="utf-8", newline="\n",
    )  # fmt: skip
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    (path / "items.jsonl").write_text(lines, encoding="utf-8", newline="\n")
