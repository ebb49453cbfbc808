"""Models, data and configurations small enough for seconds, made by the code that users use."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from assent import records
from assent.engine.batches import RankingBatch, TextBatch
from assent.engine.learner import Optimiser
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.engine.text import Limits
from assent.recipes import Recipe, small
from assent.train import pretrain

MACHINE = Machine(device="cpu", precision="fp32", tokens=192, cache_tokens=512)
LIMITS = Limits(prompt=24, response=8, context=32)
SHAPE = pretrain.Shape(vocabulary=320, width=32, layers=2, heads=2, context=64)
WORDS = ("red", "blue", "pink", "gold", "grey", "teal")
TEXTS = [f"say {word} then {word} and {other}. good bad fine" for word in WORDS for other in WORDS]


def create(path: Path, shape: pretrain.Shape = SHAPE) -> None:
    pretrain.create(shape, TEXTS, path)


def model(path: Path, **options: Any) -> LanguageModel:
    return LanguageModel.load(path, replace(MACHINE, **options))


def ids(length: int, generator: torch.Generator, vocabulary: int = 300) -> torch.Tensor:
    return torch.randint(1, vocabulary, (length,), generator=generator)


def texts(count: int, seed: int = 0, longest: int = 9) -> TextBatch:
    g = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, longest, (2, count), generator=g).tolist()
    prompts, responses = (tuple(ids(n, g) for n in row) for row in sizes)
    return TextBatch(prompts, responses)


def rankings(count: int, seed: int = 0) -> RankingBatch:
    g = torch.Generator().manual_seed(seed)
    many = torch.randint(2, 6, (count,), generator=g).tolist()
    length = [torch.randint(1, 7, (k,), generator=g).tolist() for k in many]
    return RankingBatch(
        prompts=tuple(ids(n + 1, g) for n in many),
        responses=tuple(tuple(ids(n, g) for n in row) for row in length),
        ranks=tuple(torch.randperm(k, generator=g) + 1 for k in many),
    )


def prompt(words: str, **fields: Any) -> records.Prompt:
    return records.Prompt(id=words, messages=(records.Message("user", words),), **fields)


PROMPTS = [prompt(f"say {word}", user=word) for word in WORDS]
DEMONSTRATIONS = [
    records.Demonstration(id=p.id, prompt=p, response=f"{word} {word}", labeler="ann")
    for p, word in zip(PROMPTS, WORDS, strict=True)
]
DOCUMENTS = [records.Document(id=str(n), text=text) for n, text in enumerate(TEXTS)]
RANKINGS = [  # people like "good", and the more the better
    records.Ranking(
        id=f"{p.id}/{labeler}/{k}",
        prompt=p,
        responses=tuple(records.Response(text=f"{word}{' good' * n}") for n in (*range(k), 1)),
        ranks=(*range(k, 0, -1), k - 1),
        labeler=labeler,
    )
    for p, word in zip(PROMPTS, WORDS, strict=True)
    for labeler in ("ann", "bob", "cy")
    for k in (2, 3, 4)
]


def write(directory: Path) -> dict[str, Path]:
    """The data above as record files."""
    kinds = {"prompts": PROMPTS, "demonstrations": DEMONSTRATIONS, "rankings": RANKINGS, "text": DOCUMENTS}
    paths = {name: directory / f"{name}.jsonl" for name in kinds}
    for name, rows in kinds.items():
        records.write(paths[name], rows)
    return paths


def recipe() -> Recipe:
    """The small recipe, smaller and faster."""
    large = small()
    fast = {"batch": 8, "limits": LIMITS, "optimiser": Optimiser(learning_rate=1e-2)}
    slow = {"batch": 6, "optimiser": Optimiser(learning_rate=6e-3)}
    return replace(
        large,
        shape=SHAPE,
        pretrain=replace(large.pretrain, epochs=60, warmup_steps=4, **fast),
        sft=replace(large.sft, epochs=150, residual_dropout=0.05, **(fast | slow)),
        init=replace(large.init, epochs=150, **(fast | slow)),
        reward=replace(large.reward, epochs=3, batch=6, limits=LIMITS, optimiser=Optimiser(learning_rate=3e-3)),
        ppo=replace(
            large.ppo,
            episodes=192,
            batch=16,
            minibatch=8,
            pretrain_ratio=1,
            pretrain_coef=0.5,
            warmup_iterations=1,
            policy=Optimiser(learning_rate=1.5e-3, epsilon=1e-5),
            value=Optimiser(learning_rate=5e-3, epsilon=1e-5),
            average_decay=0.8,
            limits=LIMITS,
        ),
    )
