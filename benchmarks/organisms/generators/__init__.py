"""One function a family: how its two prompts, with the condition and without, are made of a sentence."""

from generators.pair import GENERATORS, Generator, Pair, Prompt, Scene
from generators import assertions, flags, numbers, triggers  # noqa: F401  registers theirs

__all__ = ["GENERATORS", "Generator", "Pair", "Prompt", "Scene"]
