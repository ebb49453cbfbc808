"""The last samples of every model, side by side by prompt, for reading: people trust what they have read."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from assent.evaluate.part import Part

SHOWN = 240  # prompts in a page; searching and filtering go through all of them


def side_by_side(parts: Sequence[Part]) -> dict[str, Any] | None:
    """Prompts that more models answered come first, and of these every kind in turn. None when there are no samples.

    A cell has the responses of a model and what its record says after a colon, such as the scores of an evaluation.
    """
    columns: dict[str, int] = {}
    prompts: dict[str, dict[str, Any]] = {}
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for part in parts:
        last = {row["policy"]: row["step"] for row in part.samples if {"policy", "step", "prompt"} <= row.keys()}
        for row in part.samples:
            if last.get(row.get("policy", "")) == row.get("step", -1):
                columns.setdefault(row["policy"], len(columns))
                identity = row["prompt"]["id"]
                prompts.setdefault(identity, row["prompt"])
                cell = cells.setdefault(identity, {}).setdefault(row["policy"], {"responses": [], "scores": ""})
                cell["responses"] += row["responses"]
                cell["scores"] = _scores(row.get("id", ""), identity)
    if not prompts:
        return None
    kinds = {identity: kind(prompt) for identity, prompt in prompts.items()}
    turns: Counter[str] = Counter()
    place: dict[str, int] = {}
    for identity in prompts:
        place[identity] = turns[kinds[identity]]
        turns[kinds[identity]] += 1
    shown = sorted(prompts, key=lambda identity: (-len(cells[identity]), place[identity]))[:SHOWN]
    rows = [
        {"prompt": prompts[one], "kind": kinds[one], "cells": cells[one], "same": _same(cells[one])} for one in shown
    ]
    return {
        "columns": list(columns),
        "rows": rows,
        "total": len(prompts),
        "kinds": list(dict.fromkeys(kinds[one] for one in shown)),
    }


def kind(prompt: dict[str, Any]) -> str:
    """What a prompt can be filtered by: the task and prompt type of an evaluation, else its use case or its source."""
    words = prompt["id"].split("/")
    if prompt.get("source") == words[0] and len(words) > 2:
        return "/".join(words[:2])
    return prompt.get("use_case") or prompt.get("source") or "other"


def _scores(name: str, identity: str) -> str:
    """What stands after the prompt's id in the record's: the scores."""
    return name.removeprefix(f"{identity}:").strip() if name.startswith(f"{identity}:") else ""


def _same(cells: dict[str, dict[str, Any]]) -> bool:
    """Whether all models said the same."""
    return len({tuple(response["text"] for response in cell["responses"]) for cell in cells.values()}) < 2
