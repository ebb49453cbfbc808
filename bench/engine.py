"""The engine against transformers doing the same work padded, as ratios: SFT updates, rankings, sampling.

python bench/engine.py [--repeats 5] [--json bench/results.json]

The two sides run in turn, so that what else the machine does falls on both; the figure is the median of the ratios of
neighbouring runs, with the smallest and the largest. Both sides get the same weights, tokens and threads. transformers
runs as its users write it by hand: fp32, one padded batch, all logits, both sides of every pair, `generate`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from assent.engine.batches import RankingBatch, TextBatch
from assent.engine.generate import Key
from assent.engine.learner import Learner, Optimiser
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, ScalarModel
from assent.train import pretrain
from assent.train.reward import ranked
from assent.train.sft import next_token

SHAPE = pretrain.Shape(vocabulary=4096, width=256, layers=4, heads=4, context=512)
BATCH, RANKINGS, RESPONSES, PROMPTS, LENGTH = 32, 4, 6, 64, 48
RATE = 1e-5


def draw(generator: torch.Generator, mean: int) -> Tensor:
    """Token ids; lengths spread around the mean as those of prompts and answers do."""
    length = max(2, int(mean * (0.3 + 1.4 * torch.rand(1, generator=generator).item())))
    return torch.randint(1, SHAPE.vocabulary, (length,), generator=generator)


def padded(rows: list[Tensor], left: bool = False) -> tuple[Tensor, Tensor]:
    """Ids in a rectangle, and the mask of what is real."""
    width = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), width, dtype=torch.int64), torch.zeros(len(rows), width, dtype=torch.int64)
    for row, (line, inside) in zip(rows, zip(ids, mask, strict=True), strict=True):
        place = slice(width - len(row), None) if left else slice(0, len(row))
        line[place], inside[place] = row, 1
    return ids, mask


Job = tuple[str, int, Callable[[], Any], Callable[[], Any]]  # what is counted, how many, ours, theirs


def sft(directory: Path) -> Job:
    """One update on demonstrations; tokens without padding."""
    from transformers import AutoModelForCausalLM

    g = torch.Generator().manual_seed(0)
    batch = TextBatch(tuple(draw(g, 40) for _ in range(BATCH)), tuple(draw(g, 60) for _ in range(BATCH)))
    learner = Learner(LanguageModel.load(directory, Machine()), Optimiser(learning_rate=RATE), lambda update: 1.0)

    def ours() -> None:
        learner.backward(next_token, batch)
        learner.step()

    model = AutoModelForCausalLM.from_pretrained(directory)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    ids, mask = padded([torch.cat(pair) for pair in zip(batch.prompts, batch.responses, strict=True)])
    labels = ids.masked_fill(mask == 0, -100)
    for row, prompt in zip(labels, batch.prompts, strict=True):
        row[: len(prompt)] = -100

    def theirs() -> None:
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return "SFT, tokens/s", sum(batch.sizes), ours, theirs


def rankings(directory: Path) -> Job:
    """One update on rankings of six responses; theirs scores both sides of all fifteen pairs."""
    from transformers import AutoModelForSequenceClassification

    g = torch.Generator().manual_seed(0)
    responses = tuple(tuple(draw(g, 40) for _ in range(RESPONSES)) for _ in range(RANKINGS))
    ranks = tuple(torch.randperm(RESPONSES, generator=g) + 1 for _ in range(RANKINGS))
    batch = RankingBatch(tuple(draw(g, 60) for _ in range(RANKINGS)), responses, ranks)
    learner = Learner(ScalarModel.fresh(directory, Machine(), seed=0), Optimiser(learning_rate=RATE), lambda u: 1.0)

    def ours() -> None:
        learner.backward(partial(ranked, "pairs"), batch)
        learner.step()

    model = AutoModelForSequenceClassification.from_pretrained(directory, num_labels=1, pad_token_id=0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    chosen: list[Tensor] = []
    rejected: list[Tensor] = []
    for prompt, group, order in zip(batch.prompts, responses, ranks, strict=True):
        for better in range(RESPONSES):
            for worse in range(RESPONSES):
                if order[better] < order[worse]:
                    chosen.append(torch.cat([prompt, group[better]]))
                    rejected.append(torch.cat([prompt, group[worse]]))
    ids, mask = padded(chosen + rejected)

    def theirs() -> None:
        better, worse = model(input_ids=ids, attention_mask=mask).logits[:, 0].chunk(2)
        (-logsigmoid(better - worse).mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return "rankings of 6, rankings/s", RANKINGS, ours, theirs


def sampling(directory: Path) -> Job:
    """Answers to 64 prompts, all of the same length, so that both sides do the same work."""
    from transformers import AutoModelForCausalLM, GenerationConfig

    g = torch.Generator().manual_seed(0)
    prompts = [draw(g, 40) for _ in range(PROMPTS)]
    policy = LanguageModel.load(directory, Machine())
    policy.text.end = -1  # nothing ends early

    def ours() -> None:
        policy.sample(prompts, LENGTH, 1.0, Key(0, 0))

    model = AutoModelForCausalLM.from_pretrained(directory)
    ids, mask = padded(prompts, left=True)
    how = GenerationConfig(
        max_new_tokens=LENGTH, min_new_tokens=LENGTH, do_sample=True, top_k=0, top_p=1.0, pad_token_id=0
    )

    def theirs() -> None:
        model.generate(ids, attention_mask=mask, generation_config=how)

    return "sampling, tokens/s", PROMPTS * LENGTH, ours, theirs


def seconds(work: Callable[[], Any]) -> float:
    """How long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measured(job: Job, repeats: int) -> dict[str, Any]:
    """A row of the table."""
    what, count, ours, theirs = job
    for side in (ours, theirs):  # the first call allocates and compiles
        side()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    ratios = sorted(other / own for own, other in pairs)
    return {
        "job": what,
        "ours": count / statistics.median(own for own, _ in pairs),
        "transformers": count / statistics.median(other for _, other in pairs),
        "ratio": [ratios[0], statistics.median(ratios), ratios[-1]],
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    text = ["a text to make a tokenizer of"]
    with tempfile.TemporaryDirectory() as temporary:
        pretrain.create(SHAPE, text, Path(temporary))
        rows = [measured(job(Path(temporary)), asked.repeats) for job in (sft, rankings, sampling)]
    precision = "bf16" if Machine().bf16 else "fp32"
    print(
        f"torch {torch.__version__}, {Machine().torch_device}, {torch.get_num_threads()} threads, ours in {precision}"
    )
    print(f"{'':28s}{'ours':>10s}{'transformers':>14s}{'ratio':>8s}   smallest and largest")
    for row in rows:
        low, middle, high = row["ratio"]
        print(f"{row['job']:28s}{row['ours']:10.1f}{row['transformers']:14.1f}{middle:8.2f}   {low:.2f} to {high:.2f}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
