"""Sizes of an oracle and lengths in its residual stream."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

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
