"""Simulated labelers: each has a true utility, judges with noise, and writes demonstrations of uneven quality.

Two groups, as in the paper: those who labeled for training, and those who were held out and differ a little. All noise
is a function of (world, labeler, judgement, response): drawn afresh for each judgement, and the same when asked again.
"""

import functools
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import NormalDist

from assent.records import Demonstration, Prompt, Ranking, Rating, Response
from assent.sandbox import answers, instructions, tasks
from assent.sandbox.grade import GOLD, Grader, Marks, Weights, flags, grader, utility
from assent.sandbox.world import World

GUIDELINE = "pellow-1"
TRAINING, HELD_OUT = 40, 10
NOISE = {"train": 0.8, "heldout": 0.65}  # standard deviation of a judgement; an ideal answer is worth 2
STEP = 0.4  # what is nearer together than this is often a tie
FLAG_ERRORS = 0.03
CARE = {  # how often a labeler of middling diligence takes care of something in a demonstration
    "full": 0.33,
    "obedient": 0.6,
    "truthful": 0.55,
    "calm": 0.6,
    "safe": 0.7,
    "tidy": 0.94,
}
OFF_TASK, COURTEOUS = 0.03, 0.06

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Labeler:
    """Somebody who judges. diligence: above 1, demonstrations are better than usual."""

    name: str
    world: World
    weights: Weights
    noise: float
    diligence: float

    def score(self, marks: Marks, judgement: str, text: str) -> float:
        """What a response seems worth to this labeler, this time; equal texts seem equal."""
        return utility(marks, self.weights) + self.noise * self._gauss(judgement, text)

    def rank(self, prompt: Prompt, responses: Sequence[Response], judgement: str = "") -> Ranking:
        """Order responses, blind to who wrote them; what seems about equal is tied.

        judgement: makes this ranking another one than the last of the same prompt; the prompt's id when empty.
        """
        key = judgement or prompt.id
        levels = [round(score / STEP) for score in self._scores(prompt, responses, key)]
        order = {level: rank for rank, level in enumerate(sorted(set(levels), reverse=True), start=1)}
        return Ranking(
            id=f"{key}/{self.name}",
            prompt=prompt,
            responses=tuple(responses),
            ranks=tuple(order[level] for level in levels),
            seconds=self._seconds(key, 20.0 * len(responses)),
            **self._facts(),
        )

    def rate(self, prompt: Prompt, response: Response, judgement: str = "") -> Rating:
        """Judge one response: overall 1 to 7, and the eleven flags, of which a few are ticked wrongly."""
        key = judgement or prompt.id
        score = self._scores(prompt, [response], key)[0]
        found = flags(instructions.task_of(self.world, prompt), self._marks(prompt, response))
        for name, value in found.items():
            if value is not None and self._uniform(key, response.text, name) < FLAG_ERRORS:
                found[name] = not value
        return Rating(
            id=f"{key}/{self.name}/rating",
            prompt=prompt,
            response=response,
            overall=max(1, min(7, round(4 + 1.5 * score))),
            flags=found,
            seconds=self._seconds(key, 30.0),
            **self._facts(),
        )

    def demonstrate(self, prompt: Prompt) -> Demonstration:
        """Answer a prompt oneself, with no more care than one has."""
        rng = random.Random(f"demonstration {self.name} {prompt.id}")
        task = instructions.task_of(self.world, prompt)
        if rng.random() < OFF_TASK:  # a misunderstanding
            task = tasks.ask(self.world, rng.choice(list(answers.WRITERS)), rng).task
        taken = {name: rng.random() < share ** (1 / self.diligence) for name, share in CARE.items()}
        care = answers.Care(**taken, courteous=rng.random() < COURTEOUS)
        return Demonstration(
            id=f"{prompt.id}/{self.name}",
            prompt=prompt,
            response=answers.write(self.world, task, rng, care),
            seconds=self._seconds(prompt.id, 90.0),
            **self._facts(),
        )

    def _scores(self, prompt: Prompt, responses: Sequence[Response], key: str) -> list[float]:
        return [self.score(self._marks(prompt, response), key, response.text) for response in responses]

    def _marks(self, prompt: Prompt, response: Response) -> Marks:
        return self._grader.marks(prompt, response.text, ended=response.finish != "length")

    @property
    def _grader(self) -> Grader:
        return grader(self.world.seed)

    def _facts(self) -> dict[str, str]:
        return {
            "labeler": self.name,
            "guideline": GUIDELINE,
            "source": instructions.SOURCE,
            "licence": instructions.LICENCE,
        }

    def _seconds(self, key: str, typical: float) -> float:
        return round(typical * exp(0.5 * self._gauss(key, "seconds")), 1)

    def _gauss(self, *parts: str) -> float:
        return _NORMAL.inv_cdf(self._uniform(*parts))

    def _uniform(self, *parts: str) -> float:
        """A number in (0, 1) that depends on the world, the labeler and the parts, and on nothing else."""
        text = "\x1f".join((str(self.world.seed), self.name, *parts)).encode(errors="surrogatepass")
        return (int.from_bytes(hashlib.blake2b(text, digest_size=6).digest()) + 0.5) / 2.0**48


@dataclass(frozen=True)
class Labelers:
    """Everybody who labels in a world."""

    train: tuple[Labeler, ...]
    heldout: tuple[Labeler, ...]

    @classmethod
    @functools.cache
    def make(cls, seed: int = 0) -> "Labelers":
        """The labelers of the world of a seed."""
        return cls(
            tuple(_labeler(seed, "train", number) for number in range(TRAINING)),
            tuple(_labeler(seed, "heldout", number) for number in range(HELD_OUT)),
        )

    def rank(self, group: str, prompt: Prompt, responses: Sequence[Response], judgement: str = "") -> Ranking:
        """A ranking by one labeler of the group `train` or `heldout`, chosen by the judgement."""
        return self.chosen(group, judgement or prompt.id).rank(prompt, responses, judgement)

    def demonstrate(self, prompt: Prompt) -> Demonstration:
        """A demonstration by one of the training labelers."""
        return self.chosen("train", prompt.id).demonstrate(prompt)

    def chosen(self, group: str, judgement: str) -> Labeler:
        """Who does a piece of work."""
        members = self.train if group == "train" else self.heldout
        digest = hashlib.blake2b(f"{group} {judgement}".encode(), digest_size=4).digest()
        return members[int.from_bytes(digest) % len(members)]


def _labeler(seed: int, group: str, number: int) -> Labeler:
    rng = random.Random(f"labeler {seed} {group} {number}")
    spread = 0.25 if group == "train" else 0.35
    weights = Weights(**{name: getattr(GOLD, name) * exp(rng.gauss(0, spread)) for name in GOLD.__dict__})
    courtesy = abs(rng.gauss(0.4, 0.2)) if group == "train" else rng.gauss(0.2, 0.25)
    tastes = replace(weights, courteous=courtesy, length=rng.gauss(0.25, 0.3))
    noise = NOISE[group] * exp(rng.gauss(0, 0.15))
    return Labeler(f"{group}-{number:02d}", World.make(seed), tastes, noise, exp(rng.gauss(0, 0.35)))
