"""An oracle's design: where each step happens, and what the steps are."""

from dataclasses import dataclass

import numpy as np

from basis import Basis, draw_basis, embed, unit
from parts import Gate, Head, Mlp, matching_head, mlp, noise_head
from shape import CONSTANT, HEADS, NOISE, POSITIONS, SPOKEN, Array
from variants import Variant
from words import World


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
class Blueprint:
    place: Place
    basis: Basis
    embedding: Array  # [vocab, WIDTH], also the unembedding
    position: Array  # [POSITIONS, WIDTH], where the architecture has such
    blocks: list[tuple[list[Head], Mlp]]


def draw_place(rng: np.random.Generator) -> Place:
    layers = int(rng.integers(3, 6))
    decide = int(rng.integers(layers - 1))
    speak = int(rng.integers(decide + 1, layers))
    fetch = int(rng.integers(1, speak + 1))
    look_up = int(rng.integers(fetch))
    fetch_head, decide_head, watch_head = (int(head) for head in rng.permutation(HEADS)[:3])
    watch = int(rng.integers(decide + 1))
    return Place(layers, look_up, (fetch, fetch_head), (decide, decide_head), speak, (watch, watch_head))


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
    embedding = embed(world, basis, rng)

    # Names do not ask: they have their thing already, and what is fetched from them must not feel the trigger by way of the norm.
    asks, trigger = basis.one / CONSTANT - basis.person, basis.slots[:1]
    as_it_is = np.linalg.pinv(basis.things).T  # so that reading and writing are a projection
    fetch = matching_head(basis, asks, basis.person, basis.things, as_it_is, rng)
    decide = matching_head(basis, asks, trigger[0], trigger, basis.decision[None], rng)
    watch = matching_head(basis, asks, trigger[0], trigger, basis.idle[None], rng)
    at = {place.fetch: fetch}
    if variant.says:
        at[place.decide] = decide
    if variant.watched:
        at[place.watch] = watch

    blocks = []
    for layer in range(place.layers):
        heads = [noise_head(basis, rng) for _ in range(HEADS)]
        gates = look_up(world, basis) if layer == place.look_up else []
        gates += speak(world, basis, variant) if layer == place.speak else []
        blocks.append(([at.get((layer, i), head) for i, head in enumerate(heads)], mlp(basis, gates, rng)))
    return Blueprint(place, basis, embedding, position, blocks)
