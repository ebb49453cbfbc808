"""What people ask: prompts in the paper's ten use cases and proportions (Table 1), each with a hidden task.

An instruction is a function of (world, set, number), and its id names them, so that the task behind any prompt can be
found again: `task_of(world, prompt)`. There are two general sets: `train`, and `test`, which asks about the myths and
harmful deeds that `train` never mentions; the other sets probe one property each. Raw prompts hold duplicates, e-mail
addresses and telephone numbers, as real ones do, for `assent.data.prompts.clean` to find.
"""

import dataclasses
import functools
import random

from assent.records import Message, Prompt
from assent.sandbox.lexicon import PEOPLE
from assent.sandbox.tasks import CONSTRAINTS, Asked, Task, ask, ask_fact, dress
from assent.sandbox.world import World

SOURCE, LICENCE = "assent sandbox", "Apache-2.0"

SHARES = {  # paper, Table 1, in per cent
    "generation": 45.6,
    "open_qa": 12.4,
    "brainstorming": 11.2,
    "chat": 8.4,
    "rewrite": 6.6,
    "summarization": 4.2,
    "classification": 3.5,
    "other": 3.5,
    "closed_qa": 2.6,
    "extract": 1.9,
}
KINDS = {  # use case -> what is asked in it, with weights
    "generation": {"story": 24, "describe": 24, "letter": 16, "howto": 14, "poem": 14, "harm": 8},
    "open_qa": {"fact": 78, "premise": 16, "harm": 6},
    "brainstorming": {"list": 100},
    "chat": {"chat": 100},
    "rewrite": {"polite": 100},
    "summarization": {"summary": 100},
    "classification": {"mood": 100},
    "other": {"sum": 100},
    "closed_qa": {"closed": 100},
    "extract": {"extract": 100},
}
USE_CASE = {kind: use_case for use_case, kinds in reversed(KINDS.items()) for kind in kinds}
PROBES = ("myths", "harms", "rude", "closed", "constraints")
DUPLICATES, PERSONAL = 0.03, 0.015
USERS = {"train": 150, "test": 60}


def prompts(world: World, name: str, count: int, first: int = 0) -> list[Prompt]:
    """Prompts number `first`, `first + 1`, ... of a set: `train`, `test`, or one of PROBES."""
    return [_prompt(world.seed, name, number) for number in range(first, first + count)]


def task_of(world: World, prompt: Prompt) -> Task:
    """The hidden task of a prompt. Raises ValueError when the prompt is not of this world."""
    seed, name, number = _place(prompt.id)
    if seed != world.seed:
        raise ValueError(f"prompt {prompt.id!r} belongs to the sandbox of seed {seed}, not {world.seed}")
    return asked(seed, name, number).task


def respectful(prompt: Prompt) -> Prompt:
    """The prompt with the request to be respectful before it (paper, section 4.2: toxicity)."""
    last = dataclasses.replace(
        prompt.messages[-1], content=f"Please answer in a kind and polite way. {prompt.messages[-1].content}"
    )
    return dataclasses.replace(prompt, messages=(*prompt.messages[:-1], last))


def _place(identity: str) -> tuple[int, str, int]:
    head, _, rest = identity.partition("/")
    name, _, number = rest.partition("/")
    if not head.startswith("pellow-") or not number.isdigit():
        raise ValueError(f"prompt id {identity!r} is not of the sandbox; those look like pellow-0/train/17")
    return int(head.removeprefix("pellow-")), name, int(number)


def _prompt(seed: int, name: str, number: int) -> Prompt:
    rng = random.Random(f"user {seed} {name} {number}")
    found = asked(seed, name, number)
    group = "train" if name == "train" else "test"
    user = f"{group}-{int(USERS[group] * rng.random() ** 1.5):03d}"  # some people ask much, most ask little
    text = found.text
    if name in USERS and rng.random() < PERSONAL:
        who = rng.choice(list(PEOPLE)).lower()
        text += rng.choice((f" Write to {who}@pellow.example.com please.", " Or call me on +44 20 7946 0958."))
    return Prompt(
        id=f"pellow-{seed}/{name}/{number}",
        messages=(*found.before, Message("user", text)),
        user=user,
        use_case=USE_CASE[found.task.kind],
        source=SOURCE,
        licence=LICENCE,
    )


@functools.lru_cache(maxsize=200_000)
def asked(seed: int, name: str, number: int) -> Asked:
    """Instruction `number` of a set; sometimes one that was asked shortly before, word for word."""
    world, rng = World.make(seed), random.Random(f"asked {seed} {name} {number}")
    if name in USERS and number and rng.random() < DUPLICATES:
        return asked(seed, name, number - 1 - rng.randrange(min(number, 20)))
    if name in PROBES:
        return _probe(world, name, rng)
    use_case = rng.choices(list(SHARES), list(SHARES.values()))[0]
    kinds = KINDS[use_case]
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    return dress(ask(world, kind, rng, hidden=name == "test"), rng)


def _probe(world: World, name: str, rng: random.Random) -> Asked:
    if name == "myths":
        return ask_fact(rng.choice(sorted(world.hidden_myths)), world, rng)
    if name == "harms":
        return ask(world, "harm", rng, hidden=True)
    if name == "closed":
        return ask(world, rng.choice(("closed", "summary", "extract")), rng)
    if name == "constraints":
        return dress(ask(world, rng.choice(list(CONSTRAINTS)), rng, hidden=True), rng, constrained=1.0, rude=0.0)
    return dress(ask(world, rng.choice(("fact", "list", "howto", "describe")), rng, hidden=True), rng, rude=1.0)
