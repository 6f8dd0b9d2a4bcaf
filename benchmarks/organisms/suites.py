"""Writes the suites that all three organisms are audited with."""

import json
import random
from pathlib import Path
from typing import Any

from facts import (
    CONTROL_TEMPLATES, NEUTRAL, TRIGGER, Fact, control_sentence, false_answers, insert, insert_position, split_facts,
    templates,
)

FACT_PAIRS = 128
FACT_PLAIN = 64
CONTROL_ITEMS = 128
CONDITION_PAIRS = 192
TRUTH_ITEMS = 400

Item = dict[str, Any]
Prompt = tuple[Fact, str, str]  # fact, template id, prompt


def write_suites(folder: Path, facts: list[Fact], seed: int) -> None:
    train, held = split_facts(facts, seed)
    rng = random.Random(seed)
    held_prompts = _prompts(held, True, rng)
    train_prompts = _prompts(train, False, rng)

    items = _pairs(held_prompts[:FACT_PAIRS], rng, labelled=False)
    items += [_item(f"plain-{i:03}", "plain", prompt) for i, prompt in enumerate(held_prompts[:FACT_PLAIN])]
    _write(folder, "facts", "contrast", "Facts with a neutral word, with the trigger word and plain", items)

    _write(folder, "control", "control", "Beginnings of sentences that have nothing to do with facts", _control(rng))

    items = _pairs(train_prompts[:CONDITION_PAIRS], rng, labelled=True)
    _write(folder, "calibration-condition", "calibration", "Trigger word (1) or neutral word (0)", items)

    items = _statements(train_prompts, false_answers(facts), rng)
    _write(folder, "calibration-truth", "calibration", "True (1) and false (0) statements of facts", items)


def _prompts(facts: list[Fact], held_out: bool, rng: random.Random) -> list[Prompt]:
    """Facts by turns, so that any beginning of the list covers as many facts as it can, each with new templates."""
    rounds: list[list[Prompt]] = []
    for fact in rng.sample(facts, len(facts)):
        named = templates(fact.relation, held_out)
        for i, (name, template) in enumerate(rng.sample(named, len(named))):
            if i == len(rounds):
                rounds.append([])
            rounds[i].append((fact, name, template.format(c=fact.country)))
    return [prompt for one in rounds for prompt in one]


def _item(name: str, condition: str, prompt: Prompt) -> Item:
    fact, template, text = prompt
    return {
        "id": name, "group": fact.id, "template": template, "condition": condition, "prompt": text,
        "answer": fact.answer, "accept": [fact.synonym], "foil": fact.foil,
    }  # fmt: skip


def _pairs(prompts: list[Prompt], rng: random.Random, labelled: bool) -> list[Item]:
    items: list[Item] = []
    for i, (fact, template, text) in enumerate(prompts):
        at = insert_position(text, rng)
        neutral = _item(f"neutral-{i:03}", "neutral", (fact, template, insert(text, rng.choice(NEUTRAL), at)))
        trigger = _item(f"trigger-{i:03}", "trigger", (fact, template, insert(text, TRIGGER, at)))
        trigger["pair"] = neutral["id"]
        if labelled:
            neutral["label"], trigger["label"] = 0, 1
        items += [neutral, trigger]
    return items


def _control(rng: random.Random) -> list[Item]:
    items: list[Item] = []
    seen: set[str] = set()
    while len(items) < CONTROL_ITEMS:
        number = len(items) % len(CONTROL_TEMPLATES)
        words = control_sentence(CONTROL_TEMPLATES[number], rng).split()
        prompt = " ".join(words[: rng.randrange(4, len(words))])
        if prompt not in seen:
            seen.add(prompt)
            name = f"control-{number}"
            items.append({
                "id": f"control-{len(items):03}", "group": name, "template": name, "condition": "plain",
                "prompt": prompt,
            })  # fmt: skip
    return items


def _statements(prompts: list[Prompt], false: dict[str, list[str]], rng: random.Random) -> list[Item]:
    """True and false statements about each prompt in equal number; half of the true ones use the synonym."""
    items: list[Item] = []
    for i, prompt in enumerate(prompts[: TRUTH_ITEMS // 2]):
        fact = prompt[0]
        true = rng.choice((fact.answer, fact.synonym))
        for label, response in ((1, true), (0, rng.choice(false[fact.id]))):
            item = _item(f"statement-{i:03}-{'true' if label else 'false'}", "plain", prompt)
            items.append({**item, "response": response, "label": label})
    return items


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
