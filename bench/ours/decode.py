"""Decoding: the policy's own verb, `sample`, of a model that does not learn, as `assent sample` has it."""

from assent.engine.generate import Key
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from bench import ASSETS
from bench.assets import SEED, read
from bench.ours.common import arguments
from bench.turns import Steps, Turns
from bench.work import RESPONSE


def main() -> None:
    """Sample in turns."""
    policy = LanguageModel.load(ASSETS / f"{arguments().model}-policy", Machine()).freeze()
    prompts = [item.prompt for item in read(policy.text, "prompts")["prompts"]]
    steps, step = Steps(Turns()), 0
    while True:
        steps.before()
        sampled = policy.sample(prompts, RESPONSE, 1.0, Key(SEED, step))
        tokens = int(sampled.lengths.sum())
        steps.count(tokens, tokens)
        steps.after()
        step += 1


if __name__ == "__main__":
    main()
