"""Every test checks the shapes that signatures promise; one thread each, so that tests can run side by side."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from jaxtyping import install_import_hook

ENGINE = [f"assent.engine.{name}" for name in ("batches", "layout", "logits", "models")]
TYPED = ["assent.objectives", "assent.statistics", "assent.train.rollout", *ENGINE]
install_import_hook(TYPED, "tests.check")

import warnings
from pathlib import Path

import pytest
import torch

from tests import tiny

torch.set_num_threads(1)
warnings.filterwarnings("ignore", category=DeprecationWarning)  # while packages are imported


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory: two layers, 320 tokens, freshly initialised."""
    path = tmp_path_factory.mktemp("models") / "blank"
    tiny.create(path)
    return path
