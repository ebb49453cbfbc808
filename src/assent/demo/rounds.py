"""The labeling rounds: which responses labelers get to see, and their rankings."""

import random
from collections.abc import Sequence
from dataclasses import replace

from assent import records
from assent.demo.ring import Ring, answer
from assent.engine.generate import Key
from assent.run import Run
from assent.train.rollout import Sampling

SMALLEST, LARGEST = 4, 9  # K (paper, section 3.4)
HOT = 1.4  # the temperature of the odd hotter sample
ODD = {"prompted": 0.3, "hot": 0.3, "misplaced": 0.4}  # rankings in which one response is of this kind


def label(number: int, policies: tuple[str, ...], ring: Ring, run: Run) -> None:
    """A labeling round: K samples a prompt, from the policies in turn by chance, ranked by one labeler each."""
    prompts = ring.read("records", f"round_{number}", records.Prompt)
    sets = drawn(ring, prompts, policies, number)
    ranked = [ring.labelers.rank("train", prompt, found) for prompt, found in zip(prompts, sets, strict=True)]
    run.export(lambda path: records.write(path / "rankings.jsonl", ranked), "data")
    run.results({"rankings": len(ranked), "responses": sum(map(len, sets))})
    run.finish()


def drawn(
    ring: Ring, prompts: Sequence[records.Prompt], policies: Sequence[str], number: int, odd: bool = True
) -> list[list[records.Response]]:
    """K responses to each prompt. With `odd`, some sets hold one of a prompted base model, of a higher temperature, or
    the response to another prompt: a reward model that has seen none of these cannot tell what is beside the point."""
    dice = random.Random(f"{ring.plan.seed} {number}")
    wanted: dict[str, list[int]] = {}
    for index in range(len(prompts)):
        kinds = [kind for kind, share in ODD.items() if odd and dice.random() < share]
        for _ in range(dice.randint(SMALLEST, LARGEST) - len(kinds)):
            kinds.append(dice.choice(policies))
        for kind in kinds:
            wanted.setdefault(kind, []).append(index)
    sets: list[list[records.Response]] = [[] for _ in prompts]
    examples = ring.read("records", "demonstrations", records.Demonstration)
    pool: list[records.Response] = []
    for place, kind in enumerate([*dict.fromkeys(policies), *[kind for kind in ("hot", "prompted") if kind in wanted]]):
        model = ring.load({"hot": policies[0], "prompted": "base"}.get(kind, kind))
        sampling = Sampling(ring.sampling.limit, HOT if kind == "hot" else 1.0)
        shown = examples if kind == "prompted" else ()
        key = Key(ring.plan.seed, 1000 * number + place)
        asked = [prompts[index] for index in wanted.get(kind, [])]
        found = answer(model, asked, sampling, key, kind, shown)
        pool += found if kind in policies else []
        for index, response in zip(wanted.get(kind, []), found, strict=True):
            sets[index].append(response)
    for index in wanted.get("misplaced", []):
        sets[index].append(replace(dice.choice(pool), policy="misplaced"))
    return sets
