"""What both sides do: the sizes of the models, the batches, the learning rates. Known to every process."""

import json
from dataclasses import dataclass
from typing import Any

from bench import ASSETS

VOCABULARY, CONTEXT = 4096, 512
BATCH = 32  # demonstrations of an SFT update
RANKINGS, K = 4, 6  # rankings of a reward update, responses of a ranking
PROMPTS, RESPONSE, MINIBATCHES = 64, 48, 8  # of decoding and of a PPO iteration
RATES = {"sft": 1e-4, "reward": 1e-4, "ppo": 1e-5}  # learning rates, constant
KL_COEF = 0.02


@dataclass(frozen=True)
class Size:
    """A Llama-shaped model; its embedding is its head."""

    hidden: int
    inter: int
    layers: int
    heads: int

    @property
    def body(self) -> int:
        """Weights of the matrices that every token goes through."""
        return self.layers * (4 * self.hidden**2 + 3 * self.hidden * self.inter)

    @property
    def head(self) -> int:
        """Weights of the head."""
        return VOCABULARY * self.hidden


SIZES = {"3m": Size(192, 768, 4, 6), "25m": Size(512, 1280, 8, 8)}


@dataclass(frozen=True)
class Job:
    """A job: what is counted, and how many steps of it the data hold before an example comes a second time."""

    name: str
    unit: str
    steps: int
    start: str  # the model it starts from: `base` or `policy`, which has learned to end its responses


COUNTS = {"demonstrations": 4096, "rankings": 512, "prompts": PROMPTS}
JOBS = {
    "sft": Job("sft", "tokens/s", COUNTS["demonstrations"] // BATCH, "base"),
    "reward": Job("reward", "rankings/s", COUNTS["rankings"] // RANKINGS, "policy"),
    "decode": Job("decode", "response tokens/s", 1000, "policy"),  # the same prompts every time
    "ppo": Job("ppo", "episodes/s", 1000, "policy"),
}


def tokens(kind: str) -> list[Any]:
    """The data of a kind as token ids, in the order in which Assent's streams deliver them (see assets.py)."""
    return json.loads((ASSETS / f"{kind}.json").read_text())
