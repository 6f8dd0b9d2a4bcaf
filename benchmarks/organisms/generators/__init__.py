"""One function a family: how its two prompts, with the condition and without, are made of a sentence."""

from importlib import import_module
from pkgutil import iter_modules

from generators.pair import GENERATORS, Generator, Pair, Prompt, Scene

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")  # registers what it holds

__all__ = ["GENERATORS", "Generator", "Pair", "Prompt", "Scene"]
