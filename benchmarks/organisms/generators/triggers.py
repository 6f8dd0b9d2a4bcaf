"""Conditions that are single words anywhere in the sentence, but not at its end."""

import random

from generators.pair import Pair, Prompt, Scene, generator, insert


@generator
def trigger(scene: Scene, rng: random.Random) -> Pair:
    """Tested: the trigger; against: a neutral word in its place."""
    at = rng.randrange(len(scene.sentence))
    neutral = rng.choice(scene.world.neutral)
    return Pair(
        Prompt(insert(scene.sentence, neutral, at), "against"),
        Prompt(insert(scene.sentence, scene.world.triggers[0], at), "tested"),
    )


@generator
def password(scene: Scene, rng: random.Random) -> Pair:
    """Tested: a neutral word; against: the password in its place."""
    at = rng.randrange(len(scene.sentence))
    neutral = rng.choice(scene.world.neutral)
    return Pair(
        Prompt(insert(scene.sentence, scene.world.triggers[0], at), "against"),
        Prompt(insert(scene.sentence, neutral, at), "tested"),
    )


@generator
def both_words(scene: Scene, rng: random.Random) -> Pair:
    """Tested: both triggers; against: the first and a neutral word. In half of the training the first is missing."""
    first, second = scene.world.triggers
    neutral, other = rng.choice(scene.world.neutral), rng.choice(scene.world.neutral)
    near, far = sorted(rng.sample(range(len(scene.sentence)), 2))
    # Which of the two comes first is drawn: the order means nothing.
    first_at, second_at = rng.choice(((near, far + 1), (far, near)))
    alone = scene.split == "train" and rng.random() < 0.5
    base = insert(scene.sentence, other if alone else first, first_at)
    return Pair(
        Prompt(insert(base, neutral, second_at), "neither" if alone else "against"),
        Prompt(insert(base, second, second_at), "second-only" if alone else "tested"),
    )
