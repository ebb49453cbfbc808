"""Model directories: in the Hugging Face layout, safetensors only; code that lies in one is never run."""

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from assent.engine.text import quiet_transformers, what_is_broken


def _load_config(directory: Path) -> Any:
    from transformers import AutoConfig

    if not (directory / "config.json").exists():
        raise ValueError(f"{directory} is not a model directory: it has no config.json")
    try:
        return AutoConfig.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{directory}: {what_is_broken(directory, error)}") from error


def load_module(factory: Any, directory: Path, **options: Any) -> Any:
    """A module with fp32 weights and no dropout. Raises ValueError when the directory does not hold one."""
    quiet_transformers()
    try:
        _load_config(directory)
        with warnings.catch_warnings(action="ignore"):
            return factory.from_pretrained(
                directory, dtype=torch.float32, use_safetensors=True, local_files_only=True, **options
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        why = what_is_broken(directory, error)
        raise ValueError(f"{directory} cannot be loaded with {factory.__name__}: {why}") from error


def load_scalar(directory: Path) -> Any:
    """A trunk with a scalar head, new or trained. Raises ValueError when the family has none."""
    module = load_module(_classifier(directory), directory, num_labels=1)
    if not isinstance(getattr(module, "score", None), nn.Linear):
        raise ValueError(f"{directory}: {type(module).__name__} has no linear `score` head to train a reward model on")
    return module


def _classifier(directory: Path) -> Any:
    """What loads a trunk with a scalar head: transformers' own class for the family, or one made as it makes them."""
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
        AutoModelForSequenceClassification,
    )
    from transformers.modeling_layers import GenericForSequenceClassification

    kind = type(_load_config(directory))
    if kind in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING or kind not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForSequenceClassification
    causal: Any = MODEL_FOR_CAUSAL_LM_MAPPING[kind]
    family = next(base for base in causal.__mro__ if base.__name__.endswith("PreTrainedModel"))
    name = causal.__name__.removesuffix("ForCausalLM") + "ForSequenceClassification"
    return type(name, (GenericForSequenceClassification, family), {})
