"""A reward model as a judge of pairs: the response with the higher reward is the better one.

A response is scored alone, so that no order is shown and none can matter: each pair is decided once. Rewards are log
odds: a difference of 0.4 says that six of ten labelers would prefer the first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from assent.engine.batches import TextBatch
from assent.engine.machine import Machine
from assent.engine.models import ScalarModel
from assent.evaluate.answerers import precision
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.judge import Pair, Votes, ranking
from assent.records import Response
from assent.run import digest

VERSION = 1  # counts up when what is scored changes
AT_ONCE = 1024  # responses between two writes to the cache


class RewardJudge:
    """A reward-model directory that votes; margin: a pair whose rewards differ by no more is a tie.

    Raises ValueError for a margin below 0.
    """

    def __init__(self, name: str, directory: Path, machine: Machine, margin: float = 0.0) -> None:
        if not 0 <= margin < float("inf"):
            raise ValueError(f"--margin: {margin} is no difference of rewards; 0 makes ties of equal rewards alone")
        self.name, self.directory, self.machine, self.margin = name, directory, machine, margin
        self.key = f"reward:{digest(directory)}:{precision(machine)}"
        self._model: ScalarModel | None = None

    @property
    def model(self) -> ScalarModel:
        """The model, loaded when the first response is really scored."""
        self._model = self._model or ScalarModel.load(self.directory, self.machine).freeze()
        return self._model

    def vote(self, asked: Sequence[Pair], cache: Cache) -> Votes:
        """The votes on some pairs; what is longer than the model can read has none."""
        votes = Votes(f"judge {self.name}", pairs=len(asked), margin=self.margin)
        rewards = self._rewards(asked, cache)
        guideline = f"assent reward judge {VERSION}: the higher reward, a tie within {self.margin:g}"
        for pair in asked:
            one, other = (rewards[_key(pair, response)] for response in pair.responses)
            if pair.responses[0].text == pair.responses[1].text:
                votes.alike += 1
                better = 0
            elif one is None or other is None:
                votes.cut += 1
                continue
            else:
                better = 0 if abs(one - other) <= self.margin else 1 if one > other else -1
            votes.rankings.append(ranking(pair, votes.judge, better, guideline))
        return votes

    def failures(self) -> list[str]:
        """Nothing goes wrong that a pair would not show."""
        return []

    def _rewards(self, asked: Sequence[Pair], cache: Cache) -> dict[str, float | None]:
        """The reward of every response by its key, None where it does not fit; each is scored once."""
        new: dict[str, tuple[Pair, Response]] = {}
        for pair in asked:
            for response in pair.responses:
                if (key := _key(pair, response)) not in cache:
                    new.setdefault(key, (pair, response))
        keys = list(new)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            cache.add(zip(part, self._scored([new[key] for key in part]), strict=True))
        return cache.values

    @torch.no_grad()
    def _scored(self, rows: Sequence[tuple[Pair, Response]]) -> list[float | None]:
        text, room = self.model.text, self.model.positions or 2**40
        prompts = [text.prompt(pair.prompt.messages) for pair, _ in rows]
        responses = [text.response(one.text, ended=one.finish != "length") for _, one in rows]
        fitting = [
            number
            for number, (prompt, response) in enumerate(zip(prompts, responses, strict=True))
            if len(response) and len(prompt) + len(response) <= room
        ]
        found: list[float | None] = [None] * len(rows)
        if fitting:
            batch = TextBatch(tuple(prompts[n] for n in fitting), tuple(responses[n] for n in fitting))
            for number, reward in zip(fitting, self.model.score(batch).tolist(), strict=True):
                found[number] = reward
        return found


def is_reward_model(config: dict[str, Any]) -> bool:
    """Whether a model's configuration is that of a reward model, or of another classifier."""
    return "SequenceClassification" in (config.get("architectures") or [""])[0]


def _key(pair: Pair, response: Response) -> str:
    turns = [(turn.role, turn.content) for turn in pair.prompt.messages]
    return key_of("reward", VERSION, turns, response.text, response.finish == "length")
