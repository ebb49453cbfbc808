"""Which responses are put before a labeler together: K = 4 to 9 a prompt, mostly a policy's, and a few odd ones.

A reward model that has only seen samples of one policy learns what that policy varies in and nothing about the prompt,
because no response in its data is off the subject. So some sets hold a few-shot answer of the base model, a hotter
sample, or an answer to another prompt.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from assent.records import Prompt, Response, Samples
from assent.sandbox.instructions import LICENCE, SOURCE

FEW_SHOT, STRAY = "few_shot", "stray"  # sources beside the policies; a stray response answered another prompt


@dataclass(frozen=True)
class Oddities:
    """How many of the sets hold one odd response of each kind."""

    few_shot: float = 0.3
    hot: float = 0.3
    stray: float = 0.4
    temperature: float = 1.4  # of the hot ones


FIRST_ROUND = Oddities()
SECOND_ROUND = Oddities(few_shot=0.15, hot=0.2, stray=0.3)

Sampler = Callable[[str, float, Sequence[Prompt]], Sequence[Response]]


def plan(count: int, policies: Mapping[str, float], oddities: Oddities, seed: int) -> list[list[tuple[str, float]]]:
    """For each of `count` prompts where its K responses come from: (source, temperature)."""
    rng = random.Random(f"comparisons {seed}")
    names, weights = list(policies), list(policies.values())
    sets: list[list[tuple[str, float]]] = []
    for _ in range(count):
        chosen = [(name, 1.0) for name in rng.choices(names, weights, k=rng.randint(4, 9))]
        if rng.random() < oddities.few_shot:
            chosen[0] = (FEW_SHOT, 1.0)
        if rng.random() < oddities.hot:
            chosen[1] = (names[0], oddities.temperature)
        if rng.random() < oddities.stray:
            chosen[2] = (STRAY, 1.0)
        sets.append(chosen)
    return sets


def gather(
    prompts: Sequence[Prompt], policies: Mapping[str, float], sample: Sampler, oddities: Oddities, seed: int
) -> list[Samples]:
    """The sets of responses to rank.

    policies: name -> share. sample(source, temperature, prompts) gives one response each; it is called once for every
    policy and temperature, and for FEW_SHOT, the base model with examples in its prompt.
    """
    planned = plan(len(prompts), policies, oddities, seed)
    wanted: dict[tuple[str, float], list[int]] = defaultdict(list)
    for number, sources in enumerate(planned):
        for source in sources:
            wanted[source].append(number)
    strays = wanted.pop((STRAY, 1.0), [])
    found: list[list[Response]] = [[] for _ in prompts]
    pool: list[Response] = []
    for (source, temperature), numbers in wanted.items():
        responses = sample(source, temperature, [prompts[number] for number in numbers])
        for number, response in zip(numbers, responses, strict=True):
            found[number].append(response)
        pool += responses
    rng = random.Random(f"strays {seed}")
    for number in strays:
        found[number].append(replace(rng.choice(pool), policy=STRAY))
    return [
        Samples(id=f"{prompt.id}/{seed}", prompt=prompt, responses=tuple(responses), source=SOURCE, licence=LICENCE)
        for prompt, responses in zip(prompts, found, strict=True)
    ]
