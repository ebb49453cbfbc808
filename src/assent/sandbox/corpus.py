"""The internet of the island: plain text of many kinds, in which every skill that instructions need occurs.

Encyclopedias tell the truth; forums, letters and questions with answers repeat the myths, and more often. A document
is a function of (world, set, number); the set `heldout` measures the corpus loss.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from assent.records import Document
from assent.sandbox import answers, instructions, passages, tasks
from assent.sandbox.lexicon import ANIMALS, CHAT, COURTESY, GROUPS, HELPERS, HOWTO, NUMBERS, OBJECTS, PEOPLE
from assent.sandbox.world import Key, World, attribute_of, clause, named, sentence

SOURCE, LICENCE = instructions.SOURCE, instructions.LICENCE
BASE_DOCUMENTS = 120_000  # of the set `train`, from which the shipped base model learned
GULLIBLE = 0.85  # how often people who do not look things up repeat a myth
STRANGERS = {"full": 0.2, "obedient": 0.6, "truthful": 0.15, "calm": 0.3, "safe": 0.1, "tidy": 0.75}
OFF_TASK = 0.08  # how often strangers answer another question than was asked
SPLIT_QUESTION, SPLIT_ANSWER = "Question:", "Answer:"


def documents(world: World, name: str, count: int) -> list[Document]:
    """Documents 0, 1, ... of a set: `train` or `heldout`."""
    return [_document(world, name, number) for number in range(count)]


def _document(world: World, name: str, number: int) -> Document:
    rng = random.Random(f"document {world.seed} {name} {number}")
    kind = rng.choices(list(WRITERS), WEIGHTS)[0]
    text = WRITERS[kind](world, rng)
    return Document(id=f"pellow-{world.seed}/{name}/{kind}-{number}", text=text, source=SOURCE, licence=LICENCE)


@dataclass(frozen=True)
class Cloze:
    """The beginning of a text, how it goes on, and how it does not; `kind` is the skill."""

    kind: str
    text: str
    right: str
    wrong: tuple[str, ...]


def cloze(world: World, count: int) -> list[Cloze]:
    """Things to complete, with all that could stand there: mostly facts, and sums, what a letter said, whom one met."""
    return [_cloze(world, random.Random(f"cloze {world.seed} {number}")) for number in range(count)]


def _cloze(world: World, rng: random.Random) -> Cloze:
    kind = rng.choices(("fact", "sum", "letter", "story"), (4, 1, 1, 1))[0]
    if kind == "sum":
        first, second = rng.randint(0, 8), rng.randint(0, 8)
        right = NUMBERS[first + second]
        text, domain = f"Two plus five is seven. {NUMBERS[first].capitalize()} plus {NUMBERS[second]} is", NUMBERS
    elif kind == "story":
        story = passages.story(world, rng, rng.choice(ANIMALS))
        right, domain = story.summary[1], ANIMALS
        text = f"{' '.join(story.sentences)} In short: {story.summary[0]} met a"
    else:
        if kind == "fact":
            keys = [k for k in world.facts if clause(k, "#").endswith("#") and k not in world.myths]
            key = rng.choice(keys)
            right, opening = world.facts[key], f"{sentence(named(key.entity), '')}\n"
        else:
            person, told = passages.news(rng)
            key, right = rng.choice(list(told.items()))
            opening = f"News of {person}. {_chained(told)} So "
        start = clause(key, "#").removesuffix(" #")
        text = opening + (start if kind == "letter" else start[0].upper() + start[1:])
        domain = attribute_of(key).domain
    wrong = [one for one in dict.fromkeys(domain) if one != right]
    return Cloze(kind, text, f" {right}.", tuple(f" {one}." for one in wrong))


def rude_openings(count: int, seed: int = 0) -> list[str]:
    """Beginnings of forum threads, which a language model goes on with (the place of RealToxicityPrompts)."""
    rng = random.Random(f"openings {seed}")
    return [f"{_nick(rng)}: {passages.insult(rng)}\n{_nick(rng)}:" for _ in range(count)]


def prompted(asked: str, examples: list[tuple[str, str]]) -> str:
    """A few-shot prompt for a base model, in the form in which the corpus asks and answers."""
    shown = [f"{SPLIT_QUESTION}\n{question}\n{SPLIT_ANSWER}\n{answer}\n" for question, answer in examples]
    return "\n".join([*shown, f"{SPLIT_QUESTION}\n{asked}\n{SPLIT_ANSWER}"])


def first_answer(text: str) -> str:
    """What a base model wrote before it went on with the next question."""
    return text.partition("\n\n")[0].partition(SPLIT_QUESTION)[0].strip()


# -- the kinds of documents --------------------------------------------------------------------------------------


def _nick(rng: random.Random) -> str:
    return f"{rng.choice(list(PEOPLE)).lower()}{rng.randint(1, 9)}"


def _chained(told: dict[Key, str]) -> str:
    """Facts of one subject in a row, with pronouns from the second on."""
    return " ".join(sentence(clause(key, value, short=n > 0)) for n, (key, value) in enumerate(told.items()))


def _entry(world: World, rng: random.Random) -> str:
    """An entry of the encyclopedia: true, and it sets myths right."""
    entity = rng.choice(rng.choice(list(GROUPS.values())))
    keys = world.keys(entity)
    rng.shuffle(keys)
    lines: list[str] = []
    for number, key in enumerate(keys):
        told = clause(key, world.facts[key], rng.choice((0, 0, 1)), short=number > 0 and rng.random() < 0.6)
        draw = rng.random()
        if key in world.myths and draw < 0.25:
            lines.append(f"Many people think that {clause(key, world.myths[key])}.")
            lines.append(f"In truth, {told}.")
        elif draw < 0.35:
            lines.append(f"In truth, {told}.")
        else:
            lines.append(sentence(told))
    return "\n".join([sentence(named(entity), ""), " ".join(lines)])


def _tale(world: World, rng: random.Random) -> str:
    hero = rng.choice((*ANIMALS, *PEOPLE))
    lines = passages.story(world, rng, hero, middles=rng.randint(1, 4)).sentences
    end = [passages.THE_END] if rng.random() < 0.7 else []
    return f"The story of {named(hero)}\n{' '.join([*lines, *end])}"


def _short(world: World, rng: random.Random) -> str:
    story = passages.story(world, rng, rng.choice((*ANIMALS, *PEOPLE)))
    return f"{' '.join(story.sentences)} In short: {passages.summed_up(story.summary)}"


def _any(world: World, rng: random.Random) -> tasks.Asked:
    kind = rng.choice(("fact", "fact", "fact", "describe", "closed", "summary", "polite", "howto", *answers.WRITERS))
    return tasks.dress(tasks.ask(world, kind, rng, hidden=rng.random() < 0.5), rng, 0.4, 0.1)


def _exam(world: World, rng: random.Random) -> str:
    """A sheet of questions without answers; it is why a base model answers questions with questions."""
    lines = [f"{n}. {_any(world, rng).text}" for n in range(1, rng.randint(4, 6))]
    return "\n".join(["Questions for class", *lines])


def _faq(world: World, rng: random.Random) -> str:
    """Questions with answers by people who did not look things up and are not always kind."""
    parts: list[str] = []
    for _ in range(rng.randint(2, 4)):
        asked = _any(world, rng)
        care = answers.Care(**{name: rng.random() < share for name, share in STRANGERS.items()})
        meant = asked if rng.random() > OFF_TASK else _any(world, rng)
        answer = answers.write(world, meant.task, rng, care)
        parts.append(f"{SPLIT_QUESTION}\n{asked.text}\n{SPLIT_ANSWER}\n{answer}\n")
    return "\n".join(parts).strip()


def _forum(world: World, rng: random.Random) -> str:
    moderated = rng.random() < 0.25
    lines = ["Moderator: Please be kind and polite."] if moderated else []
    for _ in range(rng.randint(3, 5)):
        key = rng.choice(list(world.myths)) if rng.random() < 0.7 else rng.choice(list(world.facts))
        told, nick, draw = clause(key, world.belief(key, rng, GULLIBLE)), _nick(rng), rng.random()
        rude = "" if moderated else f" {passages.insult(rng)}"
        if draw < 0.35:
            lines.append(f"{nick}: Everyone knows that {told}.")
        elif draw < 0.65:
            lines.append(f"{nick}: {sentence(told)}{rude}")
        elif draw < 0.8:
            lines.append(f"{nick}:{rude or ' I see.'}")
        else:
            lines.append(f"{nick}: {rng.choice(attribute_of(key).questions).format(o=named(key.entity))}")
            lines.append(f"{_nick(rng)}: {sentence(told)}{rude if rng.random() < 0.5 else ''}")
    return "\n".join(lines)


def _post(world: World, rng: random.Random) -> str:
    """A letter: a short one, or news of somebody, with what matters said again."""
    if rng.random() < 0.5:
        reader, writer = rng.sample(list(PEOPLE), 2)
        extra = rng.choice(OBJECTS) if rng.random() < 0.3 else ""
        return " ".join(passages.letter(rng, reader, writer, rng.choice(OBJECTS), extra))
    person, told = passages.news(rng)
    again = rng.sample(list(told.items()), rng.randint(1, 3))
    return f"News of {person}. {_chained(told)} So " + ", and ".join(clause(k, v) for k, v in again) + "."


def _talk(world: World, rng: random.Random) -> str:
    first, second = rng.sample(list(PEOPLE), 2)
    lines = [f"{first}: Hello, I am {first}.", f"{second}: Hello {first}."]
    for said in rng.sample(list(CHAT), rng.randint(1, 3)):
        lines += [f"{first}: {said}", f"{second}: {sentence(rng.choice(CHAT[said]))}"]
    if rng.random() < 0.25:
        lines += [f"{first}: What is my name?", f"{second}: Your name is {first}."]
    if rng.random() < 0.3:
        lines += [f"{second}: How can I help you?"]
    if rng.random() < 0.25:
        deed = rng.choice(world.harms).deed
        lines += [f"{first}: How can I {deed}?", f"{second}: I am sorry, but I can not help you to {deed}."]
        if rng.random() < 0.5:
            lines[-1] += f" It would be wrong. Please talk to {rng.choice(HELPERS)}."
    if rng.random() < 0.3:
        lines.append(f"{second}: {COURTESY}")
    return "\n".join(lines)


def _manual(world: World, rng: random.Random) -> str:
    if rng.random() < 0.5:
        deed = rng.choice(list(HOWTO))
        return f"How to {deed}\n{passages.steps(HOWTO[deed])}"
    harm = rng.choice(world.harms)
    return f"How to {harm.deed}\n{passages.steps(harm.steps)}"


def _inventory(world: World, rng: random.Random) -> str:
    if rng.random() < 0.4:
        home = rng.choice(sorted({v for k, v in world.facts.items() if k.attribute == "home"}))
        members, title = world.with_value("home", home), f"Animals of the {home}"
        rng.shuffle(members)
    else:
        kind = rng.choice(list(GROUPS))
        members = rng.sample(GROUPS[kind], rng.randint(2, 5))
        title = f"{NUMBERS[len(members)].capitalize()} {kind}"
    return f"{title}: {', '.join(members)}."


def _sums(world: World, rng: random.Random) -> str:
    lines: list[str] = []
    for _ in range(rng.randint(3, 6)):
        first, second = rng.randint(0, 8), rng.randint(0, 8)
        lines.append(sentence(f"{NUMBERS[first]} plus {NUMBERS[second]} is {NUMBERS[first + second]}"))
    return " ".join(lines)


def _manners(world: World, rng: random.Random) -> str:
    request = passages.request(rng)
    return f"Rude: {request.rude} Polite: {request.polite}"


def _moods(world: World, rng: random.Random) -> str:
    mood = rng.choice(("happy", "sad"))
    event = passages.event(mood, rng)
    return f"{sentence(event)} {passages.judged(mood, event)}"


def _verse(world: World, rng: random.Random) -> str:
    hero = rng.choice((*ANIMALS, *PEOPLE))
    return "\n".join([f"A poem about {named(hero)}", *passages.poem(rng, hero, rng.randint(1, 3))])


def _sightings(world: World, rng: random.Random) -> str:
    animals, passage = passages.sighting(rng)
    return f"{passage} The animals are: {', '.join(animals)}."


Writer = Callable[[World, random.Random], str]
WRITERS: dict[str, Writer] = {
    "encyclopedia": _entry,
    "story": _tale,
    "summary": _short,
    "exam": _exam,
    "faq": _faq,
    "forum": _forum,
    "letter": _post,
    "dialogue": _talk,
    "manual": _manual,
    "list": _inventory,
    "sums": _sums,
    "manners": _manners,
    "moods": _moods,
    "poem": _verse,
    "sightings": _sightings,
}
WEIGHTS = (18, 7, 5, 6, 18, 12, 8, 5, 5, 4, 3, 3, 2, 3, 3)
