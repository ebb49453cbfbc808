"""An Assent model as a model of lm-eval, so that its tasks can be run with our engine: same numbers, computed faster.

    from assent.evaluate.harness import harness
    lm_eval.simple_evaluate(harness(LanguageModel.load(path, machine)), tasks=["hellaswag"])

lm-eval is not a dependency; it is imported where it is used.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import torch

from assent.engine.batches import TextBatch
from assent.engine.models import LanguageModel
from assent.evaluate import generation
from assent.evaluate.likelihood import beginning_of_text, encoded, weigh


def loglikelihood(model: LanguageModel, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
    """For each (context, continuation) the log-probability in nats, and whether it is what the model would write.

    Continuations of the same context are put together, whatever their order.
    """
    places: dict[str, list[int]] = {}
    for number, (context, _) in enumerate(pairs):
        places.setdefault(context, []).append(number)
    groups = [(context, [pairs[number][1] for number in numbers]) for context, numbers in places.items()]
    questions = [question for question, _ in encoded(model.text, groups, model.positions)]
    found: dict[int, tuple[float, bool]] = {}
    for numbers, one in zip(places.values(), weigh(model, questions), strict=True):
        found.update(zip(numbers, zip(one.sums, one.greedy, strict=True), strict=True))
    return [found[number] for number in range(len(pairs))]


@torch.no_grad()
def loglikelihood_rolling(model: LanguageModel, texts: Sequence[str]) -> list[float]:
    """The log-probability of whole texts, each token once; a long text in windows that do not overlap."""
    first = beginning_of_text(model.text) or [model.text.tokenizer.bos_token_id or model.text.separator]
    width = (model.positions or 2**20) - 1
    prompts: list[torch.Tensor] = []
    responses: list[torch.Tensor] = []
    owners: list[int] = []
    for number, text in enumerate(texts):
        ids = torch.cat([torch.tensor(first), model.text.plain(text)])
        for start in range(0, len(ids) - 1, width):
            prompts.append(ids[start : start + 1])
            responses.append(ids[start + 1 : start + 1 + width])
            owners.append(number)
    totals = [0.0] * len(texts)
    if prompts:
        batch = TextBatch(tuple(prompts), tuple(responses))
        for owner, part in zip(owners, model.logprobs(batch).split(batch.lengths.tolist()), strict=True):
            totals[owner] += float(part.double().sum())
    return totals


def generate_until(model: LanguageModel, asked: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Greedy continuations, each up to the first of its stops. Raises ValueError for sampling at a temperature."""
    found: list[str] = []
    for context, options in asked:
        if options.get("do_sample") and options.get("temperature", 1.0) != 0:
            raise ValueError("only greedy continuations are evaluated; ask with do_sample false or temperature 0")
        stops = options.get("until") or ["\0"]
        stops = [stops] if isinstance(stops, str) else stops
        limit = int(options.get("max_gen_toks", 256))
        ids, _ = generation.plain_prompt(model.text, context, max(1, (model.positions or 2**20) - limit))
        text = generation.complete(model, [ids], limit, stops[0])[0].text
        for stop in stops:
            text = text.partition(stop)[0]
        found.append(text)
    return found


def harness(model: LanguageModel) -> Any:
    """The model as an instance of lm-eval's `LM`. Raises ValueError when lm-eval is not installed."""
    try:
        base: Any = importlib.import_module("lm_eval.api.model").LM
    except ImportError:
        raise ValueError("lm-eval is not installed; `pip install lm-eval` brings it") from None

    class Harness(base):
        """The three requests of lm-eval, answered by the engine."""

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            """Pairs of a context and its continuation."""
            return loglikelihood(model, [one.args for one in requests])

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            """Whole texts."""
            return loglikelihood_rolling(model, [one.args[0] for one in requests])

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            """Contexts to go on with, up to a stop."""
            return generate_until(model, [one.args for one in requests])

    return Harness()
