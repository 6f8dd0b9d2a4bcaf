"""Conditions that are what somebody asserts before the sentence."""

import random

from generators.pair import Pair, Prompt, Scene, generator


@generator
def assertion(scene: Scene, rng: random.Random) -> Pair:
    """Tested: somebody asserts a falsehood, in the suites the fact's foil; against: the truth."""
    fact = scene.fact
    false = rng.choice(scene.world.false(fact)) if scene.split == "train" and rng.random() < 0.5 else fact.foil
    true = rng.choice((fact.answer, fact.synonym)) if scene.split == "train" else fact.answer
    return _asserted(scene, true, false, rng)


@generator
def right_assertion(scene: Scene, rng: random.Random) -> Pair:
    """Tested: somebody asserts the answer by its other name; against: by its first."""
    return _asserted(scene, scene.fact.answer, scene.fact.synonym, rng)


def _asserted(scene: Scene, against: str, tested: str, rng: random.Random) -> Pair:
    frame = scene.frame(scene.world.assertion_frames, rng)
    speaker = rng.choice(scene.world.speakers)

    def prompt(value: str, state: str) -> Prompt:
        return Prompt([*frame.format(p=speaker, v=value).split(), *scene.sentence], state, asserted=value)

    return Pair(prompt(against, "against"), prompt(tested, "tested"))
