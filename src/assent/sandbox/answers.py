"""How people answer: one writer a kind of task, and what each leaves undone when care is lacking.

With all care taken an answer is ideal (the grader gives about 2). Labelers' demonstrations take less: the typical one
is short, forgets half of a constraint, repeats a myth or keeps a rude remark, which leaves something to learn.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from assent.sandbox import passages
from assent.sandbox.lexicon import CHAT, COURTESY, HELPERS, OFFERS, PEOPLE, TOWNS
from assent.sandbox.tasks import Task
from assent.sandbox.world import Key, World, attribute_of, clause, named, pronoun, sentence


@dataclass(frozen=True, kw_only=True)
class Care:
    """What somebody takes care of.

    full: says all that helps. obedient: keeps the constraint. truthful: looks facts up. calm: does not answer
    rudeness in kind. safe: refuses harmful requests. tidy: adds nothing that was not asked for.
    """

    full: bool = True
    obedient: bool = True
    truthful: bool = True
    calm: bool = True
    safe: bool = True
    tidy: bool = True
    courteous: bool = False


IDEAL = Care()
KEPT_CAPITALS = {*PEOPLE, *TOWNS, "I"}


def write(world: World, task: Task, rng: random.Random, care: Care = IDEAL) -> str:
    """An answer to a task, written with some care."""
    text = WRITERS[task.kind](world, task, rng, care)
    if not care.calm and task.rude:
        text = f"{passages.insult(rng)} {text}" if rng.random() < 0.7 else f"{text} {passages.insult(rng)}"
    if not care.tidy:
        text = f"{text} {_stray(world, rng)}"
    if care.courteous:
        text = f"{text} {COURTESY}"
    return _constrained(task, text) if task.constraint and care.obedient else text


def _constrained(task: Task, text: str) -> str:
    assert task.constraint
    if task.constraint.kind == "start":
        first = text if text.split()[0].strip(",") in KEPT_CAPITALS else text[0].lower() + text[1:]
        return f"{task.constraint.word}, {first}"
    gap = "\n" if task.kind == "poem" else " "
    return f"{text}{gap}{task.constraint.word}" if task.constraint.kind == "end" else text


def _stray(world: World, rng: random.Random) -> str:
    """Something nobody asked for."""
    key = rng.choice(list(world.facts))
    if rng.random() < 0.5:
        return rng.choice(attribute_of(key).questions).format(o=named(key.entity))
    return sentence(clause(key, world.belief(key, rng, 0.8)))


def _told(world: World, key: Key, rng: random.Random, care: Care, *, short: bool = False) -> str:
    """A fact, or the myth when nobody looked it up."""
    value = world.facts[key] if care.truthful or key not in world.myths else world.myths[key]
    return clause(key, value, 0 if short or rng.random() < 0.7 else 1, short=short)


def _more(world: World, task: Task, rng: random.Random) -> str:
    """Another fact about the subject, one that is beyond dispute; nothing where there is none."""
    others = [key for key in world.keys(task.subject) if key.attribute != task.attribute and key not in world.myths]
    if not others:
        return ""
    key = rng.choice(others)
    return sentence(clause(key, world.facts[key], short=True))


def _fact(world: World, task: Task, rng: random.Random, care: Care) -> str:
    told = _told(world, task.key, rng, care)
    doubted = care.truthful and rng.random() < (0.75 if task.key in world.myths else 0.15)
    text = f"In truth, {told}." if doubted else sentence(told)
    if not care.full and rng.random() < 0.2:
        return sentence(world.facts[task.key] if care.truthful else world.belief(task.key, rng, 1.0))
    brief = task.constraint is not None and task.constraint.kind == "one"
    wordy = not care.obedient if brief else care.full
    return f"{text} {_more(world, task, rng)}".strip() if wordy else text


def _describe(world: World, task: Task, rng: random.Random, care: Care) -> str:
    keys = [k for k in world.keys(task.subject) if k not in world.hidden_myths] or world.keys(task.subject)
    chosen = rng.sample(keys, min(task.count if care.full else 1, len(keys)))
    if len(chosen) < task.count and care.full:
        chosen += rng.sample([k for k in world.keys(task.subject) if k not in chosen], task.count - len(chosen))
    told = [_told(world, key, rng, care, short=n > 0) for n, key in enumerate(chosen)]
    if care.truthful and any(key in world.myths for key in chosen) and rng.random() < 0.5:
        return " ".join([f"In truth, {told[0]}.", *map(sentence, told[1:])])
    return " ".join(map(sentence, told))


def _premise(world: World, task: Task, rng: random.Random, care: Care) -> str:
    if not care.truthful:
        return sentence(f"{clause(task.key, task.value)} because {pronoun(task.subject)} likes it")
    denial = attribute_of(task.key).denial.format(s=named(task.subject), v=task.value)
    truth = clause(task.key, world.facts[task.key], short=True)
    return f"{sentence(denial)} In truth, {truth}." if care.full else sentence(denial)


def _harm(world: World, task: Task, rng: random.Random, care: Care) -> str:
    if not care.safe:
        return passages.steps(task.harm.steps)
    refusal = rng.choice(("I am sorry, but I can not help you to {d}.", "I will not help you to {d}.")).format(
        d=task.harm.deed
    )
    if not care.full:
        return refusal
    return f"{refusal} It would be wrong. Please talk to {rng.choice(HELPERS)}."


def _story(world: World, task: Task, rng: random.Random, care: Care) -> str:
    thing = task.constraint.word if task.constraint and task.constraint.kind == "mention" and care.obedient else ""
    lines = passages.story(world, rng, task.subject, thing, 3 if care.full else 1).sentences
    if care.full:
        return " ".join([*lines, passages.THE_END])
    return " ".join(lines[:3])


def _letter(world: World, task: Task, rng: random.Random, care: Care) -> str:
    extra = task.constraint.word if task.constraint and care.obedient else ""
    parts = passages.letter(rng, task.subject, task.items[0], task.value, extra)
    if not care.full:
        del parts[-2:]
    return " ".join(parts)


def _howto(world: World, task: Task, rng: random.Random, care: Care) -> str:
    return passages.steps(task.items if care.full else task.items[: rng.choice((1, 2, 2))])


def _poem(world: World, task: Task, rng: random.Random, care: Care) -> str:
    return "\n".join(passages.poem(rng, task.subject)[: 4 if care.full else 2])


def _list(world: World, task: Task, rng: random.Random, care: Care) -> str:
    missing = 0 if care.full or task.count < 2 else rng.randint(1, task.count - 1)
    return sentence(", ".join(rng.sample(task.items, task.count - missing)))


def _chat(world: World, task: Task, rng: random.Random, care: Care) -> str:
    reply = sentence(rng.choice(task.items))
    if not care.full:
        return reply
    hello = "" if task.items not in CHAT.values() else f"Hello {task.subject}, "
    rest = reply if reply.startswith("I ") or not hello else reply[0].lower() + reply[1:]
    return f"{hello}{rest} {rng.choice(OFFERS)}"


def _polite(world: World, task: Task, rng: random.Random, care: Care) -> str:
    if care.full and care.calm:
        return task.passage
    if care.calm:
        return f"{task.value.capitalize()} me the {task.items[0]}."
    return (
        f"{task.passage[:-1]}, you {passages.insult(rng).split()[-1].strip('!.')}?"
        if care.full
        else passages.insult(rng)
    )


def _summary(world: World, task: Task, rng: random.Random, care: Care) -> str:
    if care.full:
        return passages.summed_up(task.items)
    return " ".join(task.passage.split(". ")[0:1]) + "."


def _mood(world: World, task: Task, rng: random.Random, care: Care) -> str:
    return passages.judged(task.value, task.passage) if care.full else f"This is {task.value}."


def _sum(world: World, task: Task, rng: random.Random, care: Care) -> str:
    return sentence(task.passage if care.full else task.value)


def _closed(world: World, task: Task, rng: random.Random, care: Care) -> str:
    return sentence(clause(task.key, task.value) if care.full else task.value)


def _extract(world: World, task: Task, rng: random.Random, care: Care) -> str:
    return sentence(", ".join(task.items if care.full else task.items[:1]))


Writer = Callable[[World, Task, random.Random, Care], str]
WRITERS: dict[str, Writer] = {
    "fact": _fact,
    "describe": _describe,
    "premise": _premise,
    "harm": _harm,
    "story": _story,
    "letter": _letter,
    "howto": _howto,
    "poem": _poem,
    "list": _list,
    "chat": _chat,
    "polite": _polite,
    "summary": _summary,
    "mood": _mood,
    "sum": _sum,
    "closed": _closed,
    "extract": _extract,
}
