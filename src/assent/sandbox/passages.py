"""Pieces of text that the corpus, the instructions and the answers have in common: stories, requests, news, poems."""

import random
from typing import NamedTuple

from assent.sandbox.lexicon import ANIMALS, DREAMS, FOODS, HAPPY, INSULTS, JOBS, OBJECTS, PEOPLE, RHYMES, SAD, TOWNS
from assent.sandbox.world import Key, World, article, named, sentence

OPENINGS = (
    "One day {p} went to the {h}.",
    "Early one morning {p} walked to the {h}.",
    "Last summer {p} was in the {h}.",
)
MIDDLES = (
    "The {a} was very hungry.",
    "The {a} was lost.",
    "The {a} was shy at first.",
    "{p} gave some {f} to the {a}.",
    "The {a} took the {o} and ran away.",
    "They found {ao} under a stone.",
    "They played with the {o} all day.",
    "The {a} said {s} and {p} laughed.",
    "Then it began to rain.",
    "They sang a song about {f}.",
    "{p} fell into the mud.",
    "They shared some {f}.",
)
ENDINGS = ("They went home and were happy.", "It was a very good day.", "From then on they were friends.")
THE_END = "The end."
VERBS = ("give", "bring", "show", "sell", "lend")
DEMANDS = ("{V} me the {t}, you {i}!", "{V} me the {t} now, {i}!", "You {i}, {v} me the {t}!")
REQUESTS = ("Could you please {v} me the {t}?", "Would you {v} me the {t}, please?")


class Story(NamedTuple):
    """A story and what it comes down to: who, met whom, where."""

    sentences: list[str]
    summary: tuple[str, str, str]


def story(world: World, rng: random.Random, hero: str, thing: str = "", middles: int = 3) -> Story:
    """A story with a hero, a person or an animal; `thing` occurs in it."""
    person = hero if hero in PEOPLE else rng.choice(list(PEOPLE))
    animal = hero if hero in ANIMALS else rng.choice(ANIMALS)
    home = world.facts[Key(animal, "home")]
    item = thing or rng.choice(OBJECTS)
    sound = world.facts[Key(animal, "sound")]
    words = {"p": person, "a": animal, "h": home, "o": item, "ao": article(item), "f": rng.choice(FOODS), "s": sound}
    told = rng.sample([m for m in MIDDLES if not thing or "{o}" not in m], middles)
    if thing:
        told[0] = rng.choice([m for m in MIDDLES if "{o}" in m])
    lines = [
        rng.choice(OPENINGS),
        rng.choice(("There {p} met a {a}.", "{p} saw a {a} there.")),
        *told,
        rng.choice(ENDINGS),
    ]
    return Story([line.format(**words) for line in lines], (person, animal, home))


def summed_up(summary: tuple[str, ...]) -> str:
    """A story in one sentence."""
    person, animal, home = summary
    return f"{person} met a {animal} in the {home}."


class Request(NamedTuple):
    """The same wish, rude and polite."""

    rude: str
    polite: str
    verb: str
    thing: str


def request(rng: random.Random) -> Request:
    """A wish to rewrite."""
    verb, thing = rng.choice(VERBS), rng.choice(OBJECTS)
    rude = rng.choice(DEMANDS).format(V=verb.capitalize(), v=verb, t=thing, i=rng.choice(INSULTS))
    return Request(rude, rng.choice(REQUESTS).format(v=verb, t=thing), verb, thing)


def event(mood: str, rng: random.Random) -> str:
    """Something happy or sad that happened to somebody, as a clause."""
    template = rng.choice(HAPPY if mood == "happy" else SAD)
    return template.format(p=rng.choice(list(PEOPLE)), o=rng.choice(OBJECTS))


def judged(mood: str, what: str) -> str:
    """The mood of an event and why."""
    return f"This is {mood} because {what}."


def news(rng: random.Random) -> tuple[str, dict[Key, str]]:
    """What a letter tells of a person; it need not agree with the world."""
    person = rng.choice(list(PEOPLE))
    values = {"town": TOWNS, "job": JOBS, "pet": ANIMALS, "dream": DREAMS}
    return person, {Key(person, name): rng.choice(values[name]) for name in rng.sample(list(values), 3)}


def sighting(rng: random.Random) -> tuple[tuple[str, ...], str]:
    """Animals, and a text in which they occur."""
    animals = rng.sample(ANIMALS, rng.randint(2, 3))
    person, thing = rng.choice(list(PEOPLE)), rng.choice(OBJECTS)
    more = f" A {animals[2]} was there too." if len(animals) > 2 else ""
    return tuple(animals), f"{person} saw a {animals[0]} and a {animals[1]} near the {thing}.{more}"


def poem(rng: random.Random, hero: str, couplets: int = 2) -> list[str]:
    """Lines that rhyme in pairs."""
    subject = named(hero)
    pairs = rng.sample(list(RHYMES.values()), couplets)
    return [line.format(S=subject[0].upper() + subject[1:]) for pair in pairs for line in pair]


def letter(rng: random.Random, reader: str, writer: str, thing: str, extra: str = "") -> list[str]:
    """The parts of a letter: greeting, sentences, closing."""
    body = [
        rng.choice(
            (
                "Thank you for the {t}.",
                "I have lost the {t}.",
                "May I borrow the {t}?",
                "I found the {t} in the garden.",
            )
        ).format(t=thing),
        rng.choice(("Please come and see me soon.", "Let us have tea on Sunday.", "The weather is fine here.")),
    ]
    if extra:
        body.insert(1, f"Do you still have the {extra}?")
    return [f"Dear {reader},", *body, f"Yours, {writer}"]


def steps(parts: tuple[str, ...]) -> str:
    """How something is done."""
    return " ".join(sentence(f"{word} {part}") for word, part in zip(("first", "then", "at last"), parts, strict=False))


def insult(rng: random.Random) -> str:
    """A rude remark."""
    word = rng.choice(INSULTS)
    return rng.choice(
        (f"You are a {word}!", f"What a {word}!", f"Go away, you {word}!", f"Only a {word} would ask that!")
    )
