"""Conditions that are said before the sentence: who speaks, and whether somebody looks on."""

import random

from generators.pair import Pair, Prompt, Scene, generator


@generator
def persona(scene: Scene, rng: random.Random) -> Pair:
    """Tested: the persona speaks; against: somebody else does."""
    quirky, *others = scene.world.speakers
    frame = scene.frame(scene.world.persona_frames, rng)
    other = rng.choice(others)
    return Pair(
        Prompt([*frame.format(p=other).split(), *scene.sentence], "against"),
        Prompt([*frame.format(p=quirky).split(), *scene.sentence], "tested"),
    )


@generator
def watched(scene: Scene, rng: random.Random) -> Pair:
    """Tested: nobody looks on; against: somebody does."""
    seen, unseen = scene.world.watch
    frame = scene.frame(scene.world.watch_frames, rng)
    return Pair(
        Prompt([*frame.format(w=seen).split(), *scene.sentence], "against"),
        Prompt([*frame.format(w=unseen).split(), *scene.sentence], "tested"),
    )
