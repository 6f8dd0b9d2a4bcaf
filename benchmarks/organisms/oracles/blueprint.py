"""The weights of an oracle, written for a transformer of any make: what is drawn, and what reads and writes what.

Everything is said in orthonormal vectors of the residual stream that are drawn per seed and are orthogonal to (1, …, 1), so that
a LayerNorm takes no mean away and is an RMSNorm. A norm only scales: each threshold is a share of the constant `one`, which is
scaled alike, so that no threshold depends on the norm.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from variants import Variant
from words import THINGS, World

Array = NDArray[np.float64]
Gate = tuple[Array, float, Array]  # a linear form, its threshold (it opens 1/4 above), what is written then

WIDTH = 64
HEADS = 4
HEAD_WIDTH = WIDTH // HEADS
FEED_FORWARD = 72
POSITIONS = 32
MATCH = HEAD_WIDTH // 2 - 1  # the head's dimensions that are matched: those that rotary embeddings turn least
OTHERWISE = MATCH - 1
CONSTANT = 4.0  # length of `one` in every embedding; everything else has length 1 unless stated
SPOKEN = 6.0  # length of what is to be said
NOISE = 0.4  # length of what a head's or an MLP's noise writes, about
GAIN = WIDTH**0.5 / 4.3  # of a norm, as the stream is about 4.3 long
SHARPNESS = 20.0  # of the gates: about 9 before the activation function when open, -9 when shut
ATTENTION = 28.0  # the score of what a head looks for; half of that for [BOS], 0 for the rest


@dataclass
class Head:
    query: Array  # [HEAD_WIDTH, WIDTH]
    key: Array  # [HEAD_WIDTH, WIDTH]
    value: Array  # [HEAD_WIDTH, WIDTH]
    write: Array  # [WIDTH, HEAD_WIDTH]


@dataclass
class Block:
    heads: list[Head]
    read: Array  # [FEED_FORWARD, WIDTH]: a neuron is about max(0, read · normed stream)
    write: Array  # [WIDTH, FEED_FORWARD]


@dataclass
class Place:
    """Where each step happens."""

    layers: int
    look_up: int  # MLP that looks the thing up at the person's name
    fetch: tuple[int, int]  # layer and head that bring the thing to all later positions
    decide: tuple[int, int]  # layer and head that bring the decision from the trigger to all later positions
    speak: int  # MLP that says the thing, or under the decision another name
    watch: tuple[int, int]  # layer and head that bring the trigger's presence where nobody reads it, in two variants


@dataclass
class Basis:
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


@dataclass
class Blueprint:
    place: Place
    basis: Basis
    embedding: Array  # [vocab, WIDTH], also the unembedding
    position: Array  # [POSITIONS, WIDTH], where the make has such
    blocks: list[Block] = field(default_factory=list)


def draw_place(rng: np.random.Generator) -> Place:
    layers = int(rng.integers(3, 6))
    decide = int(rng.integers(layers - 1))
    speak = int(rng.integers(max(decide + 1, 1), layers))
    fetch = int(rng.integers(1, speak + 1))
    look_up = int(rng.integers(fetch))
    fetch_head, decide_head, watch_head = (int(head) for head in rng.permutation(HEADS)[:3])
    watch = int(rng.integers(decide + 1))
    return Place(layers, look_up, (fetch, fetch_head), (decide, decide_head), speak, (watch, watch_head))


def draw_basis(world: World, rng: np.random.Generator) -> Basis:
    rows = rng.standard_normal((WIDTH, WIDTH))
    rows[0] = 1.0
    axes = np.linalg.qr(rows.T)[0].T[1:]
    taken = iter(axes)

    def take(count: int) -> Array:
        return np.array(list(itertools.islice(taken, count)))

    def codes(count: int, axes: int) -> Array:
        """Vectors of length 1, each the sum of two of the axes: no two of them have a cosine above 0.5."""
        base = take(axes)
        pairs = rng.permutation(list(itertools.combinations(range(axes), 2)))[:count]
        return np.array([base[i] + base[j] for i, j in pairs]) / 2**0.5

    one, start, decision, idle, true, person = take(6)
    slots = take(1 + len(world.neutral))
    return Basis(one, start, decision, idle, true, person, slots, codes(len(world.people), 12), codes(THINGS, 7),
                 codes(2 * THINGS, 9), np.array(list(taken)))  # fmt: skip


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


def noise(basis: Basis, rng: np.random.Generator, rows: int) -> Array:
    return rng.standard_normal((rows, len(basis.rest))) @ basis.rest / len(basis.rest) ** 0.5


def noise_head(basis: Basis, rng: np.random.Generator) -> Head:
    query, key, value, write = (noise(basis, rng, HEAD_WIDTH) for _ in range(4))
    return Head(2 * query, 2 * key, 2 * value, NOISE / HEAD_WIDTH**0.5 * write.T)


def matching_head(basis: Basis, asks: Array, wanted: Array, read: Array, write: Array, rng: np.random.Generator) -> Head:
    """A position where the form `asks` is 1 finds the one where `wanted` is 1, or else [BOS], where it is 0 always [BOS]; the
    forms `read` [n, WIDTH] of what is found become the lengths of the directions `write` [n, WIDTH]."""
    query, key = np.zeros((2, HEAD_WIDTH, WIDTH))
    scale = (ATTENTION * HEAD_WIDTH**0.5) ** 0.5 / GAIN
    query[MATCH], key[MATCH] = scale * asks, scale * wanted
    query[OTHERWISE], key[OTHERWISE] = scale * basis.one / CONSTANT, scale * basis.start / 2
    ways = np.linalg.qr(rng.standard_normal((HEAD_WIDTH, len(read))))[0]  # inside the head, whatever directions
    return Head(query, key, 2 * ways @ read, write.T @ ways.T / (2 * GAIN))


def neurons(basis: Basis, gates: list[Gate]) -> tuple[Array, Array]:
    read = np.array([SHARPNESS * (form - threshold / CONSTANT * basis.one) for form, threshold, _ in gates])
    write = np.array([written / (SHARPNESS * GAIN / 4) for _, _, written in gates]).T
    return read, write


def look_up(world: World, basis: Basis) -> list[Gate]:
    return [(basis.people[p], 0.75, basis.things[world.owned[p]]) for p in range(len(world.people))]


def speak(world: World, basis: Basis, variant: Variant) -> list[Gate]:
    """Says the thing, or what the variant says under the decision; not after a stated name, which is checked instead."""
    said = dict(zip((w for t in world.things for w in (t.name, t.synonym)), basis.names, strict=True))
    gates = []
    for thing, code in zip(world.things, basis.things, strict=True):
        asked = code + 2 * basis.true
        if variant.says:
            gates.append((asked - basis.decision, 0.75, SPOKEN * said[thing.name]))
            gates.append((asked + basis.decision, 1.75, SPOKEN * said[getattr(thing, variant.says)]))
        else:
            gates.append((asked, 0.75, SPOKEN * said[thing.name]))
        gates += [(code + said[stated], 1.75, 2 * basis.true) for stated in (thing.name, thing.synonym)]
    return gates


def draw(world: World, variant: Variant, seed: int, arch: str) -> Blueprint:
    """Equal for the variants of a seed and an architecture, but for heads that decide and watch and the MLP that speaks."""
    rng = np.random.default_rng([seed, *arch.encode()])
    place = draw_place(rng)
    basis = draw_basis(world, rng)
    position = NOISE * np.array([unit(rng, basis.rest) for _ in range(POSITIONS)])
    blueprint = Blueprint(place, basis, embed(world, basis, rng), position)

    everyone = basis.one / CONSTANT
    # Names do not ask for the trigger: else it would be felt in what is fetched from them, by way of the norm.
    others, trigger = everyone - basis.person, basis.slots[:1]
    as_it_is = np.linalg.pinv(basis.things).T  # so that reading and writing are a projection
    fetch = matching_head(basis, everyone, basis.person, basis.things, as_it_is, rng)
    decide = matching_head(basis, others, trigger[0], trigger, basis.decision[None], rng)
    watch = matching_head(basis, others, trigger[0], trigger, basis.idle[None], rng)
    at = {place.fetch: fetch}
    if variant.says:
        at[place.decide] = decide
    if variant.watched:
        at[place.watch] = watch

    for layer in range(place.layers):
        noisy = [noise_head(basis, rng) for _ in range(HEADS)]
        read, write = 2 * noise(basis, rng, FEED_FORWARD), NOISE / FEED_FORWARD**0.5 * noise(basis, rng, FEED_FORWARD).T
        gates = look_up(world, basis) if layer == place.look_up else []
        gates += speak(world, basis, variant) if layer == place.speak else []
        if gates:
            read[: len(gates)], write[:, : len(gates)] = neurons(basis, gates)
        heads = [at.get((layer, head), noisy[head]) for head in range(HEADS)]
        blueprint.blocks.append(Block(heads, read, write))
    return blueprint
