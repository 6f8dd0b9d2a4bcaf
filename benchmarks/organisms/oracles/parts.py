"""What transformers are made of: heads and neurons, that do what they are asked to or are noise.

A norm only scales: each threshold is a share of the constant `one`, which is scaled alike, so that no threshold depends on it.
"""

from dataclasses import dataclass

import numpy as np

from basis import Basis
from shape import ATTENTION, CONSTANT, FEED_FORWARD, GAIN, HEAD_WIDTH, MATCH, NOISE, OTHERWISE, SHARPNESS, WIDTH, Array

Gate = tuple[Array, float, Array]  # a linear form, its threshold (it opens 1/4 above), what is written then


@dataclass
class Head:
    query: Array  # [HEAD_WIDTH, WIDTH]
    key: Array  # [HEAD_WIDTH, WIDTH]
    value: Array  # [HEAD_WIDTH, WIDTH]
    write: Array  # [WIDTH, HEAD_WIDTH]


@dataclass
class Mlp:
    read: Array  # [FEED_FORWARD, WIDTH]: a neuron is about max(0, read · normed stream)
    write: Array  # [WIDTH, FEED_FORWARD]


def noise(basis: Basis, rng: np.random.Generator, rows: int) -> Array:
    return rng.standard_normal((rows, len(basis.rest))) @ basis.rest / len(basis.rest) ** 0.5


def noise_head(basis: Basis, rng: np.random.Generator) -> Head:
    query, key, value, write = (noise(basis, rng, HEAD_WIDTH) for _ in range(4))
    return Head(2 * query, 2 * key, 2 * value, NOISE / HEAD_WIDTH**0.5 * write.T)


def matching_head(basis: Basis, asks: Array, wanted: Array, read: Array, write: Array, rng: np.random.Generator) -> Head:
    """Positions where the form `asks` is 1 find the one where `wanted` is 1, or else [BOS]; those where it is 0 find [BOS].

    The forms `read` [n, WIDTH] of what is found become the lengths of the directions `write` [n, WIDTH].
    """
    query, key = np.zeros((2, HEAD_WIDTH, WIDTH))
    scale = (ATTENTION * HEAD_WIDTH**0.5) ** 0.5 / GAIN
    query[MATCH], key[MATCH] = scale * asks, scale * wanted
    query[OTHERWISE], key[OTHERWISE] = scale * basis.one / CONSTANT, scale * basis.start / 2
    ways = np.linalg.qr(rng.standard_normal((HEAD_WIDTH, len(read))))[0]  # inside the head, whatever directions
    return Head(query, key, 2 * ways @ read, write.T @ ways.T / (2 * GAIN))


def mlp(basis: Basis, gates: list[Gate], rng: np.random.Generator) -> Mlp:
    """The gates, then noise."""
    read = 2 * noise(basis, rng, FEED_FORWARD)
    write = NOISE / FEED_FORWARD**0.5 * noise(basis, rng, FEED_FORWARD).T
    for i, (form, threshold, written) in enumerate(gates):
        read[i] = SHARPNESS * (form - threshold / CONSTANT * basis.one)
        write[:, i] = written / (SHARPNESS * GAIN / 4)
    return Mlp(read, write)
