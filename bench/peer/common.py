"""What all processes of the peer begin with."""

import argparse
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from bench import ASSETS, HOME
from bench.peer.options import Options
from bench.turns import Steps


@dataclass(frozen=True)
class Asked:
    """Which model, and how."""

    model: str
    options: Options

    def directory(self, kind: str = "") -> Path:
        """A model directory of this size: the base model, `policy` or `reward`."""
        return ASSETS / (f"{self.model}-{kind}" if kind else self.model)


def asked() -> Asked:
    """Read the command line and set torch up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--options", required=True)
    found = parser.parse_args()
    options = Options(**json.loads(found.options))
    if options.onednn:
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    return Asked(found.model, options)


class Turn(TrainerCallback):
    """Makes a trainer wait for the driver between steps."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Wait for the first turn."""
        self.steps.before()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Report and wait."""
        self.steps.after()
        self.steps.before()


def trainer_options(options: Options) -> dict[str, Any]:
    """Arguments of every trainer: no logs, no checkpoints; precision and checkpointing only when they are changed."""
    shipped = Options()
    changed: dict[str, Any] = {}
    if options.bf16 != shipped.bf16:
        changed["bf16"] = options.bf16
    if options.checkpointing != shipped.checkpointing:
        changed["gradient_checkpointing"] = options.checkpointing
    return changed | {
        "output_dir": str(HOME / "peer-output"),
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 10**6,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "seed": 0,
    }


def in_order(learning_rate: float) -> dict[str, Any]:
    """Arguments of the trainers that go over a data set: in the order of Assent's stream, at a constant rate."""
    return {
        "max_steps": 10**6,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "constant",
        "train_sampling_strategy": "sequential",
    }
