"""The closed world: entities with attributes, what is true of them, and what most people wrongly believe.

Everything is a function of the seed. The truth stands in `World.facts`; a myth is a wrong value that the corpus
repeats more often than the truth. Half of the myths never occur in instructions for training, so that truthfulness
can be tested where nobody has demonstrated it.
"""

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from assent.sandbox.lexicon import ATTRIBUTES, GROUPS, HARM_OBJECTS, HARMS, PEOPLE, Attribute

MYTHS = 72


class Key(NamedTuple):
    """Of whom what is said: the fox, its home."""

    entity: str
    attribute: str


class Harm(NamedTuple):
    """What a harmful request asks for."""

    verb: str
    thing: str

    @property
    def deed(self) -> str:
        """`steal the mayor's hat`."""
        return f"{self.verb} {self.thing}"

    @property
    def steps(self) -> tuple[str, ...]:
        """How it would be done."""
        return tuple(step.format(o=self.thing) for step in HARMS[self.verb])


@dataclass(frozen=True)
class World:
    """What is so, what is believed, and what is kept for testing."""

    seed: int
    facts: dict[Key, str]
    myths: dict[Key, str]
    hidden_myths: frozenset[Key]
    hidden_harms: frozenset[Harm]

    @classmethod
    @functools.cache
    def make(cls, seed: int = 0) -> "World":
        """The world of a seed; the same seed gives the same world."""
        rng = random.Random(f"world {seed}")
        facts: dict[Key, str] = {}
        for attribute in ATTRIBUTES:
            entities = list(GROUPS[attribute.kind])
            rng.shuffle(entities)
            values = rng.sample(attribute.domain, len(attribute.domain))
            for number, entity in enumerate(entities):
                facts[Key(entity, attribute.name)] = values[number % len(values)]
        believed = [key for key in facts if key.attribute not in ("side", "taste", "fame")]
        chosen = rng.sample(believed, MYTHS)
        myths = {key: rng.choice([v for v in attribute_of(key).domain if v != facts[key]]) for key in chosen}
        harms = [Harm(verb, thing) for verb in HARMS for thing in HARM_OBJECTS]
        return cls(seed, facts, myths, frozenset(chosen[::2]), frozenset(rng.sample(harms, len(harms) // 3)))

    @property
    def harms(self) -> list[Harm]:
        """All harmful requests there are."""
        return [Harm(verb, thing) for verb in HARMS for thing in HARM_OBJECTS]

    def keys(self, entity: str) -> list[Key]:
        """All that is known of an entity."""
        return [Key(entity, attribute.name) for attribute in ATTRIBUTES if entity in GROUPS[attribute.kind]]

    def with_value(self, attribute: str, value: str) -> list[str]:
        """The entities that have a value: who lives in the forest."""
        return [key.entity for key, v in self.facts.items() if key.attribute == attribute and v == value]

    def belief(self, key: Key, rng: random.Random, gullible: float) -> str:
        """What somebody takes for true: the myth, where there is one, with probability `gullible`."""
        return self.myths[key] if key in self.myths and rng.random() < gullible else self.facts[key]


@functools.cache
def attribute_of(key: Key) -> Attribute:
    """The attribute of a key."""
    return next(a for a in ATTRIBUTES if a.name == key.attribute and key.entity in GROUPS[a.kind])


@functools.cache
def kind_of(entity: str) -> str:
    """The group of an entity: `animals`."""
    return next(kind for kind, members in GROUPS.items() if entity in members)


def named(entity: str) -> str:
    """An entity inside a sentence: `the fox`, `Mia`, `plums`."""
    return f"the {entity}" if kind_of(entity) in ("animals", "objects") else entity


def pronoun(entity: str) -> str:
    """`it`, `she`, `he` or `they`."""
    return PEOPLE.get(entity, "they" if kind_of(entity) == "foods" else "it")


def clause(key: Key, value: str, form: int = 0, *, short: bool = False) -> str:
    """`the fox lives in the forest`; short: with a pronoun, where the form allows one."""
    template = attribute_of(key).clauses[form]
    subject = named(key.entity)
    return template.format(s=pronoun(key.entity) if short else subject, o=subject, v=value)


def sentence(words: str, stop: str = ".") -> str:
    """A clause as a sentence: a capital letter and a full stop."""
    return words[0].upper() + words[1:] + stop


def listing(words: Sequence[str]) -> str:
    """`the fox, the bear and the owl`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def article(noun: str) -> str:
    """A noun with `a` or `an`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
