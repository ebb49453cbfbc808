"""Tensors on disk: one safetensors file and one JSON file a learner; no pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from assent.run import State


def save_state(directory: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write named tensors and plain facts into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, directory / "state.safetensors")
    (directory / "state.json").write_text(json.dumps(facts))


def load_state(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_state` wrote."""
    return load_file(directory / "state.safetensors"), json.loads((directory / "state.json").read_text())


class States:
    """Several states as one, each in a folder of its name."""

    def __init__(self, **states: State) -> None:
        self.states = states

    def save(self, directory: Path) -> None:
        """Write every state."""
        for name, state in self.states.items():
            state.save(directory / name)

    def load(self, directory: Path) -> None:
        """Restore every state; a missing one is an error."""
        for name, state in self.states.items():
            state.load(directory / name)
