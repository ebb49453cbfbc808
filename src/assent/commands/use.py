"""The verbs that use a model: choose among several, write samples, talk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent import records
from assent.commands import Files
from assent.commands.common import Common, Inputs
from assent.engine import encode
from assent.engine.checkpoint import States
from assent.engine.encode import PromptItem
from assent.engine.generate import Key
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.text import Limits
from assent.train import select
from assent.train.rollout import Sampling, answers

AT_A_TIME = 64  # prompts answered between two looks at the progress bar


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Which prompts are answered, and how; identifies a run."""

    count: int = 0
    """How many prompts, from the first; 0 is all."""
    responses: int = 1
    """K, the number of answers to each prompt."""
    temperature: float = 1.0
    """0 takes the likeliest token at every step."""
    limits: Limits = Limits()
    """Brought down to what the model has positions for."""
    seed: int = 0

    def sampling(self, limits: Limits) -> Sampling:
        """How one answer is drawn."""
        return Sampling(limits.response, self.temperature)


def asked(model: LanguageModel, rows: Sequence[records.Prompt], limits: Limits, inputs: Inputs) -> list[PromptItem]:
    """The prompts that leave room for an answer."""
    return inputs.keep(encode.prompts(model.text, rows, limits))


@dataclass(frozen=True, kw_only=True)
class Select(Common):
    """Choose among models, such as the epochs of an SFT run, by reward-model score on validation prompts."""

    models: Files
    reward: Path
    prompts: Files
    answering: Answering = Answering(count=256)

    def work(self) -> None:
        """Run the verb."""
        parents: dict[str, Path | Files] = {"model": self.models, "reward": self.reward, "prompts": self.prompts}
        with self.open("select", self.answering, parents) as run:
            judge, inputs = ScalarModel.load(self.reward, self.machine).freeze(), Inputs()
            rows = inputs.read(self.prompts, records.Prompt)[: self.answering.count or None]
            for step in run.steps(len(self.models), States()):
                path = self.models[step]
                model = LanguageModel.load(path, self.machine).freeze()
                limits = encode.within(self.answering.limits, model.positions)
                items = asked(model, rows, limits, inputs)
                sampling = self.answering.sampling(limits)
                run.log(step, select.mean_reward(run, step, str(path), model, judge, items, sampling))
            table: list[dict[str, Any]] = [
                {"model": str(self.models[row["step"]]), **{name: row[name] for name in select.REWARD_NAMES}}
                for row in run.metrics()
            ]
            best = max(table, key=lambda row: row["reward"])
            run.reject(inputs.rejected)
            run.results({"candidates": table, "chosen": best["model"]})
            run.finish()
            print(f"{best['model']}  reward {best['reward']:.3f} ± {best['standard_error']:.3f}")


@dataclass(frozen=True, kw_only=True)
class Sample(Common):
    """Answer prompts with a model; the answers are records, ready to be ranked."""

    model: Path
    prompts: Files
    name: str = ""
    """What the model is called in the samples; its path when empty."""
    answering: Answering = Answering()

    def work(self) -> None:
        """Run the verb."""
        how, name = self.answering, self.name or str(self.model)
        with self.open("sample", how, {"model": self.model, "prompts": self.prompts}) as run:
            model, inputs = LanguageModel.load(self.model, self.machine).freeze(), Inputs()
            rows = inputs.read(self.prompts, records.Prompt)[: how.count or None]
            limits = encode.within(how.limits, model.positions)
            items = asked(model, rows, limits, inputs)
            run.reject(inputs.rejected)
            for step in run.steps(-(-len(items) // AT_A_TIME), States()):
                first = step * AT_A_TIME
                part = [item for item in items[first : first + AT_A_TIME] for _ in range(how.responses)]
                key = Key(how.seed, 0, first * how.responses)
                drawn = model.sample([item.prompt for item in part], limits.response, how.temperature, key)
                run.log_samples(step, name, answers(drawn, part, model.text, name, how.temperature))
            run.finish()


@dataclass(frozen=True, kw_only=True)
class Chat:
    """Talk to a model in the terminal; an empty line ends it."""

    model: Path
    temperature: float = 1.0
    limit: int = 256
    """The longest answer, in tokens."""
    seed: int = 0
    machine: Machine = Machine()

    def start(self) -> None:
        """Run the verb."""
        model = LanguageModel.load(self.model, self.machine).freeze()
        limits = encode.within(Limits(prompt=model.positions or 2**20, response=self.limit), model.positions)
        turns: list[records.Message] = []
        while words := _typed():
            turns.append(records.Message("user", words))
            prompt = model.text.prompt(turns)
            while len(prompt) > limits.prompt and len(turns) > 1:  # what no longer fits is forgotten, oldest first
                turns = turns[2:]
                prompt = model.text.prompt(turns)
            if len(prompt) > limits.prompt:
                print(f"({len(prompt)} tokens; this model reads at most {limits.prompt} and answers the rest)")
                turns.clear()
                continue
            drawn = model.sample([prompt], limits.response, self.temperature, Key(self.seed, len(turns)))
            turns.append(records.Message("assistant", model.text.decode(drawn.responses[0])))
            print(turns[-1].content)


def _typed() -> str:
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return ""
