"""Our likelihoods against lm-eval's own Hugging Face runner: same model, same items, same machine, one run.

    python bench/harness.py MODEL FOLDER_OF_EVALS [--items 64] [--batch 32]

lm-eval must be importable. Prints, for HellaSwag without and with 10 examples and for LAMBADA, both accuracies, the
largest difference of two log-probabilities, and the seconds of both with their ratio.
"""

import argparse
import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.evaluate import tasks
from assent.evaluate.harness import loglikelihood
from assent.evaluate.measure import Settings, Sheet, sheets
from assent.evaluate.tasks.read import find, load


def sheet(name: str, shots: int, folder: Path, items: int) -> Sheet:
    task = tasks.TASKS[name]
    path = find(task.files, [folder])
    if path is None:
        raise SystemExit(f"{folder} has none of {', '.join(task.files)}")
    settings = Settings(limit=items, shots=shots)
    return list(sheets(task, load(task, path).items, [], settings))[-1 if shots else 0]


def accuracy(asked: Sheet, values: Sequence[tuple[float, bool]], lengths: Sequence[int]) -> float:
    """By the likeliest token for LAMBADA, by the mean over characters of a completion for HellaSwag."""
    rows, sizes = iter(values), iter(lengths)
    right = 0
    for item in asked.items:
        mine = [(next(rows), next(sizes)) for _ in item.choices]
        if asked.task.form == "last_word":
            right += mine[0][0][1]
        else:
            means = [value / size for (value, _), size in mine]
            right += means.index(max(means)) in item.right
    return right / len(asked.items)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--batch", default="32")
    parser.add_argument("--device", default="cpu")
    flags = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(1 if flags.device == "cpu" else torch.get_num_threads())
    options: dict[str, Any] = {"device": flags.device, "dtype": "float32", "batch_size": flags.batch}
    theirs = HFLM(pretrained=str(flags.model), **options)
    machine = Machine(device=flags.device, precision="fp32")
    ours = LanguageModel.load(flags.model, machine)
    size = sum(p.numel() for p in ours.module.parameters()) / 1e6
    print(f"{size:.1f}M parameters, {len(ours.text)} tokens, batch {flags.batch}")
    clock = time.process_time if flags.device == "cpu" else time.perf_counter  # others may use the processor as well
    for name, shots in (("hellaswag", 0), ("hellaswag", 10), ("lambada", 0)):
        asked = sheet(name, shots, flags.data, max(4, flags.items // (4 if shots else 1)))
        pairs = [(ask.prompt, choice) for ask in asked.asks("plain") for choice in ask.choices]
        sizes = [len(choice) for _, choice in pairs]
        requests = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
        timings: dict[str, float] = {}
        values: dict[str, Any] = {}
        runners: dict[str, Any] = {
            "lm-eval": lambda requests=requests: theirs.loglikelihood(requests, disable_tqdm=True),
            "assent": lambda pairs=pairs: loglikelihood(ours, pairs),
        }
        for who, run in runners.items():
            start = clock()
            values[who] = run()
            timings[who] = clock() - start
        gap = max(abs(a[0] - b[0]) for a, b in zip(values["assent"], values["lm-eval"], strict=True))
        same = sum(bool(a[1]) == bool(b[1]) for a, b in zip(values["assent"], values["lm-eval"], strict=True))
        found = {who: accuracy(asked, values[who], sizes) for who in values}
        right = " and ".join(f"{found[who]:.4f}" for who in ("assent", "lm-eval"))
        took = " and ".join(f"{timings[who]:.2f}" for who in ("assent", "lm-eval"))
        print(
            f"{name} {shots}-shot, {len(asked.items)} items: accuracy {right}, largest difference {gap:.2g}, "
            f"greedy alike {same}/{len(pairs)}, seconds {took}, "
            f"{timings['lm-eval'] / timings['assent']:.1f} times as fast"
        )


if __name__ == "__main__":
    main()
