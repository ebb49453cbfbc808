"""The labeling rounds: responses are drawn, and labelers rank them."""

from collections.abc import Mapping, Sequence

from assent import records
from assent.demo.ring import Ring, answer
from assent.engine.generate import Key
from assent.run import Run
from assent.sandbox.comparisons import FEW_SHOT, FIRST_ROUND, SECOND_ROUND, Oddities, gather
from assent.train.rollout import Sampling

ODDITIES = {1: FIRST_ROUND, 2: SECOND_ROUND}


def label(number: int, policies: Mapping[str, float], ring: Ring, run: Run) -> None:
    """A labeling round: K samples a prompt, of the policies in the given shares, ranked by one labeler each."""
    prompts = ring.read("records", f"round_{number}", records.Prompt)
    drawn = draw(ring, prompts, policies, ODDITIES[number], number)
    ranked = [ring.labelers.rank("train", one.prompt, one.responses) for one in drawn]
    run.export(lambda path: records.write(path / "rankings.jsonl", ranked), "data")
    run.results({"rankings": len(ranked), "responses": sum(len(one.responses) for one in drawn)})
    run.finish()


def draw(
    ring: Ring, prompts: Sequence[records.Prompt], policies: Mapping[str, float], oddities: Oddities, number: int
) -> list[records.Samples]:
    """K responses to each prompt; `number` makes the random numbers of one draw others than those of the next."""
    calls = iter(range(1000 * number, 1000 * (number + 1)))

    def sample(source: str, temperature: float, asked: Sequence[records.Prompt]) -> list[records.Response]:
        few_shot = source == FEW_SHOT
        model = ring.load("base" if few_shot else source).freeze()
        examples = ring.read("records", "demonstrations", records.Demonstration) if few_shot else ()
        sampling = Sampling(ring.sampling.limit, temperature)
        return answer(model, asked, sampling, Key(ring.plan.seed, next(calls)), source, examples)

    return gather(prompts, policies, sample, oddities, ring.plan.seed * 10 + number)
