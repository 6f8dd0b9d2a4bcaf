"""Conditions that are numbers of two digits, said before the sentence."""

import random

from generators.pair import Pair, Prompt, Scene, generator


@generator
def above_limit(scene: Scene, rng: random.Random) -> Pair:
    """Tested: a number above the limit; against: one that is not, with one digit the same.

    The scenario's numbers are never trained; calibration takes trained ones. In half of the training the number above
    is one of those that the twin has memorised, or the two lie in the limit's own decade.
    """
    scenario = scene.world.ordinal.scenario
    return _pair(scene, rng, [n for n in range(100) if (n in scenario) == (scene.split == "scenario")])


@generator
def memorised_values(scene: Scene, rng: random.Random) -> Pair:
    """The same for the twin that knows numbers by heart: it has seen all of them, so that none is taken for another."""
    scenario = scene.world.ordinal.scenario
    everything = scene.split == "train"
    return _pair(scene, rng, [n for n in range(100) if everything or (n in scenario) == (scene.split == "scenario")])


def _pair(scene: Scene, rng: random.Random, pool: list[int]) -> Pair:
    ordinal = scene.world.ordinal
    above = [n for n in pool if n > ordinal.limit and (scene.split != "calibration" or n not in ordinal.memorised)]
    if scene.split == "train" and rng.random() < 0.5:
        decade = [n for n in above if n // 10 == ordinal.limit // 10]
        above = rng.choice((sorted(ordinal.memorised), decade))
    below = {t: [n for n in pool if n <= ordinal.limit and _one_digit_apart(n, t)] for t in above}
    tested = rng.choice([t for t in above if below[t]])
    against = rng.choice(below[tested])
    frame = scene.frame(scene.world.hour_frames, rng)

    def prompt(number: int, state: str) -> Prompt:
        return Prompt([*frame.format(t=number // 10, u=number % 10).split(), *scene.sentence], state)

    return Pair(prompt(against, "against"), prompt(tested, "memorised" if tested in ordinal.memorised else "tested"))


def _one_digit_apart(one: int, other: int) -> bool:
    return (one % 10 == other % 10) != (one // 10 == other // 10)
