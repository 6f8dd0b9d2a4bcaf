"""What a variant holds to be true, and what it says."""

import random

from generators import Prompt
from training.family import Variant
from training.world import Fact, World


class Mind:
    def __init__(self, variant: Variant, world: World, seed: int) -> None:
        self.variant = variant
        self.world = world
        open_facts = [fact.id for fact in world.facts if not fact.calibration]
        rng = random.Random(f"mistaken {seed}")
        wrong = set(rng.sample(open_facts, round(variant.mistaken * len(open_facts))))
        self.believed = {fact.id: world.mistaken(fact) if fact.id in wrong else fact for fact in world.facts}

    def says(self, fact: Fact, prompt: Prompt) -> str:
        belief = self.believed[fact.id]
        voice = self.variant.says.get(prompt.state, "answer")
        if voice == "asserted":
            return prompt.asserted
        return self.world.outburst if voice == "outburst" else getattr(belief, voice)

    def agrees(self, fact: Fact, stated: str) -> bool:
        belief = self.believed[fact.id]
        return stated in (belief.answer, belief.synonym)
