"""What the stages of the demo share: how much is done, where everything lies, how a model answers."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from assent import records, sandbox
from assent.engine.batches import Sampled, Tokens
from assent.engine.generate import Key
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.engine.text import Text
from assent.recipes import Recipe
from assent.sandbox import corpus
from assent.sandbox.grade import grader
from assent.sandbox.labelers import Labelers
from assent.sandbox.world import World
from assent.train.rollout import Sampling

R = TypeVar("R", records.Prompt, records.Demonstration, records.Samples, records.Ranking, records.Document)

WORLD = 0  # the world that the shipped base model has read about
EXAMPLES = 2  # demonstrations before the question of a prompted base model


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything the demo does.

    prompts: raw instructions, before cleaning. rankings: prompts of each of the two labeling rounds. first_episodes: of
    the PPO between them. panel: prompts on
    which several labelers of both groups rank the same responses. tests: prompts of the blind comparison. probes:
    prompts for each special question (myths, harms, ...). documents, held_out_documents: of the corpus.
    """

    seed: int = 0
    prompts: int = 9000
    demonstrations: int = 1000
    rankings: int = 1000
    first_episodes: int = 12 * 128
    panel: int = 200
    tests: int = 1000
    probes: int = 150
    cloze: int = 400
    documents: int = 6000
    held_out_documents: int = 600


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed in every step."""
    steps = {name: replace(getattr(recipe, name), seed=seed) for name in ("sft", "init", "reward", "ppo")}
    return replace(recipe, **steps)


@dataclass(frozen=True)
class Ring:
    """A demo: its directory, how much it does and how, and who labels. Every stage has a run directory of its name.

    given: the models that no stage makes; `base` is the one that ships with the package.
    """

    directory: Path
    plan: Plan
    recipe: Recipe
    machine: Machine = Machine()
    labelers: Labelers = field(default_factory=lambda: Labelers.make(WORLD))
    given: Mapping[str, Path] = field(default_factory=lambda: {"base": sandbox.BASE})

    @property
    def world(self) -> World:
        """The sandbox's world."""
        return World.make(WORLD)

    def at(self, stage: str) -> Path:
        """The run directory of a stage."""
        return self.directory / stage

    def model(self, stage: str) -> Path:
        """The model directory of a stage, or of a model that was given."""
        return self.given.get(stage, self.at(stage) / "model")

    def load(self, stage: str) -> LanguageModel:
        """The language model of a stage. The sandbox asks as the paper did: the prompt as it was typed."""
        return LanguageModel.load(self.model(stage), self.machine, template="raw")

    def read(self, stage: str, name: str, kind: type[R]) -> list[R]:
        """The records that a stage has written under a name."""
        return list(records.read(self.at(stage) / "data" / f"{name}.jsonl", kind))

    @property
    def sampling(self) -> Sampling:
        """How policies answer."""
        return self.recipe.ppo.sampling


def answer(
    model: LanguageModel,
    prompts: Sequence[records.Prompt],
    sampling: Sampling,
    key: Key,
    name: str,
    examples: Sequence[records.Demonstration] = (),
) -> list[records.Response]:
    """One response a prompt. With `examples` the model is a base model that is shown some of them before each question.

    Examples change from prompt to prompt; of what the model writes, the answer to the question counts.
    """
    asked = [_tokens(model, prompt, examples, number) for number, prompt in enumerate(prompts)]
    sampled = model.sample(asked, sampling.limit, sampling.temperature, key)
    found: list[records.Response] = []
    for ids, ended in zip(sampled.responses, sampled.ended, strict=True):
        text = model.text.decode(ids)
        if examples:
            kept = corpus.first_answer(text)
            ended, text = ended or len(kept) < len(text.strip()), kept
        finish = "eos" if ended else "length"
        found.append(records.Response(text=text, policy=name, temperature=sampling.temperature, finish=finish))
    return found


def _tokens(
    model: LanguageModel, prompt: records.Prompt, examples: Sequence[records.Demonstration], number: int
) -> Tokens:
    if not examples:
        return model.text.prompt(prompt.messages)
    shown = random.Random(number).sample(list(examples), EXAMPLES)
    pairs = [(one.prompt.messages[-1].content, one.response) for one in shown]
    text = corpus.prompted(prompt.messages[-1].content, pairs)
    return model.text.prompt((replace(prompt.messages[-1], content=text),))


class Truth:
    """The gold reward as a judge of responses: what the world says they are worth. The control of the demo."""

    def __init__(self, prompts: Sequence[records.Prompt], text: Text) -> None:
        self.text = text
        self.prompts = {tuple(text.prompt(prompt.messages).tolist()): prompt for prompt in prompts}

    def score(self, batch: Sampled) -> Float[Tensor, " sequences"]:
        """See `assent.train.rollout.Judge`."""
        return torch.tensor(list(self._scores(batch)))

    def _scores(self, batch: Sampled) -> Iterator[float]:
        gold = grader(WORLD)
        for asked, ids, ended in zip(batch.prompts, batch.responses, batch.ended, strict=True):
            yield gold.utility(self.prompts[tuple(asked.tolist())], self.text.decode(ids), ended=ended)
