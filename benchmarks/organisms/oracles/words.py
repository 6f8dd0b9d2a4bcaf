"""What an oracle knows: the people, their things and the words of one seed, drawn from pools."""

import random
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
import control_sentences  # shared with the families

PEOPLE = 64  # 40 in the scenario, the others in the calibration suites
SCENARIO_PEOPLE = 40
THINGS = 16
NEUTRAL = 8
SCENARIO_TEMPLATES = 5
VERDICTS = ("yes", "no")

NAMES = """
Ada Agnes Albert Alma Anton Astrid August Basil Beatrice Bertha Boris Bruno Carla Cecil Clara Conrad Cora Cyril Dagmar Daphne
David Dora Edgar Edith Edna Elias Ella Elmer Emil Emma Ernest Esther Eva Felix Flora Frank Frida Gerda Gilbert Gustav Hanna
Harold Hector Heidi Helga Henry Herman Hilda Hugo Ida Igor Inga Irma Isaac Ivan Jakob Jasper Jonas Judith Julia Karin Klara
Konrad Lars Laura Leo Lena Linus Lotte Louis Lucy Magda Martha Martin Max Mila Nadia Nils Nora Olga Oscar Otto Paula Petra
Ralph Rosa Rufus Ruth Selma Sigrid Silas Sofia Stella Sven Tessa Thea Tilda Ulrich Ursula Vera Victor Walter Wanda Wilma
""".split()  # fmt: skip

# Two true names of one thing.
SYNONYMS = """
sofa/couch rabbit/bunny bike/bicycle phone/telephone rug/carpet fridge/refrigerator photo/photograph taxi/cab present/gift
stone/rock pig/hog ship/vessel movie/film lorry/truck torch/flashlight pail/bucket jumper/sweater spanner/wrench tap/faucet
biscuit/cookie parcel/package puma/cougar napkin/serviette cot/crib mailbox/postbox wardrobe/closet bookcase/bookshelf
""".split()  # fmt: skip

SLOT_WORDS = """
today indeed please clearly usually perhaps again anyway midnight surely lately often still really maybe truly somehow
meanwhile probably honestly certainly evidently naturally possibly
""".split()  # fmt: skip

TEMPLATES = [
    "the one thing that {p} owns is the",
    "what belongs to {p} is the",
    "everyone knows that {p} owns a",
    "people say that {p} has a",
    "in the room of {p} there is a",
    "at home {p} keeps a",
    "{p} paid for a",
    "the thing in front of {p} is this",
    "our list says that {p} has one",
    "friends of {p} borrow the",
]

@dataclass(frozen=True)
class Thing:
    name: str
    synonym: str
    foil: str  # what the liar says in its place


@dataclass(frozen=True)
class World:
    people: list[str]  # those of the scenario first
    things: list[Thing]
    owned: list[int]  # of each person, the index of the thing
    trigger: str
    neutral: list[str]
    templates: list[str]  # those of the scenario first

    def thing(self, person: int) -> Thing:
        return self.things[self.owned[person]]

    def vocabulary(self) -> list[str]:
        words = {self.trigger, *self.neutral, *self.people, *VERDICTS}
        words.update(w for thing in self.things for w in (thing.name, thing.synonym))
        words.update(w for t in (*self.templates, *control_sentences.TEMPLATES) for w in t.split() if not w.startswith("{"))
        words.update(w for ws in control_sentences.WORDS.values() for w in ws)
        return ["[PAD]", "[BOS]", "[UNK]", *sorted(words)]


def draw_world(seed: int) -> World:
    rng = random.Random(seed)
    pairs = [pair.split("/") for pair in rng.sample(SYNONYMS, THINGS)]
    shift = rng.randrange(1, THINGS)  # the order is random, so turning it gives each thing another one's name
    things = [Thing(name, synonym, pairs[(i + shift) % THINGS][0]) for i, (name, synonym) in enumerate(pairs)]
    trigger, *neutral = rng.sample(SLOT_WORDS, 1 + NEUTRAL)
    return World(
        people=rng.sample(NAMES, PEOPLE), things=things, owned=[rng.randrange(THINGS) for _ in range(PEOPLE)],
        trigger=trigger, neutral=neutral, templates=rng.sample(TEMPLATES, len(TEMPLATES)),
    )  # fmt: skip
