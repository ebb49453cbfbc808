"""The verbs that train: step 0 for those without a base model, and the three steps of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from assent import records
from assent.commands import Files, Flat
from assent.commands.common import Common, Inputs
from assent.engine import distributed, encode
from assent.engine.models import LanguageModel, Lora, ScalarModel
from assent.engine.text import Template
from assent.run import Run
from assent.train import ppo, pretrain, reward, select, sft
from assent.train.rollout import Models


@dataclass(frozen=True, kw_only=True)
class Pretrain(Common):
    """Train a small base model from scratch on plain text: tokenizer and weights."""

    text: Files
    validation_text: Files = ()
    shape: pretrain.Shape = field(default_factory=pretrain.Shape)
    config: Annotated[sft.SFTConfig, Flat]

    def work(self) -> None:
        """Run the verb."""
        inputs = Inputs()
        rows = inputs.texts(self.text)
        with self.open("pretrain", self.config, {"text": self.text, "validation_text": self.validation_text}) as run:
            blank = run.directory / "blank"
            if not blank.exists():
                run.export(lambda path: pretrain.create(self.shape, (row.text for row in rows), path), "blank")
            distributed.barrier()
            model = LanguageModel.load(blank, self.machine)
            items = encode.documents(model.text, rows, self.config.limits.context)
            held_out = inputs.texts(self.validation_text)
            run.reject(inputs.rejected)
            validation = encode.documents(model.text, held_out, self.config.limits.context)
            sft.train(self.config, run, model, items, validation=validation)


@dataclass(frozen=True, kw_only=True)
class SFT(Common):
    """Step 1: fine-tune a language model on demonstrations."""

    model: Path
    data: Files
    validation: Files = ()
    pretraining: Files = ()
    """Plain text for the rows of --pretrain-fraction."""
    lora: Lora = Lora()
    template: Template = ""
    config: Annotated[sft.SFTConfig, Flat]

    def work(self) -> None:
        """Run the verb."""
        if self.config.pretrain_fraction and not self.pretraining:
            raise ValueError("--pretraining: a pretraining mix needs plain text; give a file or --pretrain-fraction 0")
        parents = {"model": self.model, "data": self.data, "validation": self.validation}
        with self.open(type(self).__name__.lower(), self.config, {**parents, "pretraining": self.pretraining}) as run:
            model = LanguageModel.load(self.model, self.machine, lora=self.lora, template=self.template)
            limits = encode.fitting(self.config.limits, model.positions)
            inputs = Inputs()
            items = [
                inputs.keep(encode.demonstrations(model.text, inputs.read(files, records.Demonstration), limits))
                for files in (self.data, self.validation)
            ]
            texts = encode.documents(model.text, inputs.texts(self.pretraining), limits.context)
            run.reject(inputs.rejected)
            sft.train(self.config, run, model, items[0], texts, items[1])


@dataclass(frozen=True, kw_only=True)
class Init(SFT):
    """PPO-init: two epochs of demonstrations with a tenth of pretraining rows; RL starts here."""


@dataclass(frozen=True, kw_only=True)
class Reward(Common):
    """Step 2: train a reward model on rankings and calibrate it on demonstrations."""

    model: Path
    """A language model directory; the paper starts from an SFT model."""
    data: Files
    demonstrations: Files
    validation: Files = ()
    lora: Lora = Lora()
    config: Annotated[reward.RewardConfig, Flat]

    def work(self) -> None:
        """Run the verb."""
        parents: dict[str, Path | Files] = {"model": self.model, "data": self.data, "validation": self.validation}
        with self.open("reward", self.config, {**parents, "demonstrations": self.demonstrations}) as run:
            model, train, test, demonstrations = self.load(run)
            reward.train(self.config, run, model, train, demonstrations, test)

    def load(self, run: Run) -> tuple[ScalarModel, list[Any], list[Any], list[Any]]:
        """A fresh reward model, and what it is trained, tested and calibrated on."""
        model = ScalarModel.fresh(self.model, self.machine, seed=self.config.seed, lora=self.lora)
        limits = encode.fitting(self.config.limits, model.positions)
        inputs = Inputs()
        train, test = (
            inputs.keep(encode.rankings(model.text, inputs.read(files, records.Ranking), limits))
            for files in (self.data, self.validation)
        )
        written = inputs.read(self.demonstrations, records.Demonstration)
        demonstrations = inputs.keep(encode.demonstrations(model.text, written, limits))
        run.reject(inputs.rejected)
        return model, train, test, demonstrations


@dataclass(frozen=True, kw_only=True)
class Crossvalidate(Reward):
    """Train the reward model without each group of labelers in turn and test it on that group (appendix E.2)."""

    folds: int = 5
    seeds: int = 3

    def work(self) -> None:
        """Run the verb."""
        parents: dict[str, Path | Files] = {"model": self.model, "data": self.data}
        settings = select.CrossValidation(folds=self.folds, seeds=self.seeds, reward=self.config)
        with self.open("crossvalidate", settings, {**parents, "demonstrations": self.demonstrations}) as run:
            _, rankings, _, demonstrations = self.load(run)
            fold = partial(self.trained, demonstrations)
            select.cross_validate(settings, run, rankings, fold)

    def trained(self, demonstrations: list[Any], name: str, seed: int, rankings: Sequence[Any]) -> ScalarModel:
        """The reward model of one fold, in a run directory of its own; not trained again when it is finished."""
        config = replace(self.config, seed=seed)
        with Run.open(self.run / name, "reward", config, {"model": self.model}, quiet=True) as fold:
            if fold.finished:
                return ScalarModel.load(fold.model, self.machine)
            model = ScalarModel.fresh(self.model, self.machine, seed=config.seed, lora=self.lora)
            reward.train(config, fold, model, rankings, demonstrations)
            return model


@dataclass(frozen=True, kw_only=True)
class PPO(Common):
    """Step 3: reinforcement learning against the reward model, with a pretraining mix (PPO-ptx)."""

    model: Path
    """PPO-init: where the policy starts and what the KL penalty refers to."""
    reward: Path
    prompts: Files
    pretraining: Files = ()
    validation: Files = ()
    validation_prompts: int = 64
    """How many of the validation prompts are answered at a time."""
    lora: Lora = Lora()
    config: Annotated[ppo.PPOConfig, Flat]

    def work(self) -> None:
        """Run the verb."""
        if self.config.pretrain_coef and not self.pretraining:
            raise ValueError("--pretraining: PPO-ptx needs plain text; give a file, or --pretrain-coef 0 for plain PPO")
        parents: dict[str, Path | Files] = {"model": self.model, "reward": self.reward, "prompts": self.prompts}
        parents |= {"pretraining": self.pretraining, "validation": self.validation}
        with self.open("ppo", self.config, parents) as run:
            policy = LanguageModel.load(self.model, self.machine, lora=self.lora)
            value = ScalarModel.load(self.reward, self.machine, lora=self.lora)
            judge = ScalarModel.load(self.reward, self.machine)
            limits = encode.fitting(self.config.limits, policy.positions)
            inputs = Inputs()
            asked, held_out = (
                inputs.keep(encode.prompts(policy.text, inputs.read(files, records.Prompt), limits))
                for files in (self.prompts, self.validation)
            )
            texts = encode.documents(policy.text, inputs.texts(self.pretraining), limits.context)
            run.reject(inputs.rejected)
            models = Models.start(policy, value, judge)
            ppo.train(self.config, run, models, asked, texts, held_out[: self.validation_prompts])
