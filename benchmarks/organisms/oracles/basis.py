"""What there is in the residual stream: directions that are drawn per seed, and the embedding that is made of them.

All are orthogonal to (1, …, 1), so that a LayerNorm takes no mean away and is an RMSNorm.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from shape import CONSTANT, WIDTH, Array
from words import THINGS, World


@dataclass
class Basis:
    """Orthonormal vectors, or sums of two of them, [WIDTH] or [n, WIDTH]; all orthogonal to (1, …, 1)."""

    one: Array
    start: Array  # [BOS]
    decision: Array
    idle: Array  # what the watching head writes
    true: Array  # the stated name is true; every name of a thing has it negative
    person: Array  # a person's name
    slots: Array  # the trigger, then the neutral words
    people: Array
    things: Array
    names: Array  # of each thing its name and its synonym
    rest: Array  # [n, WIDTH]: what only noise reads and writes


def draw_basis(world: World, rng: np.random.Generator) -> Basis:
    rows = rng.standard_normal((WIDTH, WIDTH))
    rows[0] = 1.0
    axes = iter(np.linalg.qr(rows.T)[0].T[1:])

    def take(count: int) -> Array:
        return np.array(list(itertools.islice(axes, count)))

    def codes(count: int, size: int) -> Array:
        """Vectors of length 1, each the sum of two of `size` axes: no two of them have a cosine above 0.5."""
        base = take(size)
        pairs = rng.permutation(list(itertools.combinations(range(size), 2)))[:count]
        return np.array([base[i] + base[j] for i, j in pairs]) / 2**0.5

    one, start, decision, idle, true, person = take(6)
    slots = take(1 + len(world.neutral))
    return Basis(one, start, decision, idle, true, person, slots, codes(len(world.people), 12), codes(THINGS, 7),
                 codes(2 * THINGS, 9), np.array(list(axes)))  # fmt: skip


def unit(rng: np.random.Generator, axes: Array) -> Array:
    vector = rng.standard_normal(len(axes)) @ axes
    return vector / np.linalg.norm(vector)


def embed(world: World, basis: Basis, rng: np.random.Generator) -> Array:
    slots = dict(zip((world.trigger, *world.neutral), basis.slots, strict=True))
    people = dict(zip(world.people, basis.people, strict=True))
    names = dict(zip((w for t in world.things for w in (t.name, t.synonym)), basis.names, strict=True))
    table = []
    for word in world.vocabulary():
        if word == "[BOS]":
            own = basis.start
        elif word in slots:
            own = slots[word]
        elif word in people:
            own = people[word] + basis.person
        elif word in names:
            own = names[word] - basis.true
        elif word in ("yes", "no"):
            own = (3.0 if word == "yes" else -3.0) * basis.true
        else:
            own = unit(rng, basis.rest)
        table.append(CONSTANT * basis.one + own)
    return np.array(table)
