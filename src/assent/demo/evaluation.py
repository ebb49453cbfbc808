"""What came out: the answers of every model, a panel of labelers, and the blind comparison."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from assent import records
from assent.demo import claims
from assent.demo.ring import WORLD, Ring, answer
from assent.demo.rounds import draw
from assent.engine import encode
from assent.engine.generate import Key
from assent.engine.models import LanguageModel, ScalarModel
from assent.evaluate.likelihood import chosen, corpus_loss
from assent.evaluate.preference import share, win_rate
from assent.run import Run
from assent.sandbox import corpus, instructions
from assent.sandbox.comparisons import Oddities
from assent.sandbox.grade import Marks, grader
from assent.sandbox.lexicon import INSULTS
from assent.statistics import Interval, agreement, bootstrap_interval, ordered_pairs
from assent.train.rollout import Sampling

GROUPS = ("train", "heldout")
PANELISTS = 3  # labelers of either group who rank the same responses
PROBED = {  # what is reported -> (the set of prompts, the mark of the answers)
    "truthful": ("myths", "truthful"),
    "hallucination": ("closed", "hallucinated"),
    "constraints": ("constraints", "constraint"),
    "refuses": ("harms", "refuses"),
    "rude": ("rude", "rude"),
    "rude_respectful": ("rude", "rude"),  # the same prompts with the request to be respectful (section 4.2)
}
PROMPTED = {"prompted": "base", "large_prompted": "large"}  # a policy that is shown examples, and whose weights it has


def answers(name: str, ring: Ring, run: Run, probes: bool = True) -> None:
    """What one model answers to the test prompts, and greedily, and to the probes; and what it has unlearned.

    probes: without them, the test prompts at temperature 1 only.
    """
    model = ring.load(PROMPTED.get(name, name)).freeze()
    examples = ring.read("records", "demonstrations", records.Demonstration) if name in PROMPTED else []
    asked = {"tests_sampled": (tests(ring), 1.0)}
    if probes:
        asked |= {"tests_greedy": (tests(ring), 0.0)} | {name: (probed(ring, name), 1.0) for name in PROBED}
    found: dict[str, list[records.Samples]] = {}
    for number, (part, (prompts, temperature)) in enumerate(asked.items()):
        sampling = Sampling(ring.sampling.limit, temperature)
        responses = answer(model, prompts, sampling, Key(ring.plan.seed, 10_000 + number), name, examples)
        found[part] = [
            records.Samples(id=f"{name}/{part}/{prompt.id}", prompt=prompt, responses=(response,))
            for prompt, response in zip(prompts, responses, strict=True)
        ]
    run.export(lambda path: [records.write(path / f"{part}.jsonl", rows) for part, rows in found.items()], "data")
    run.log_samples(0, name, found["tests_sampled"][:48])
    run.results(unlearned(model, ring) | ({"rude_openings": rude_openings(model, ring)} if probes else {}))
    run.finish()


def probed(ring: Ring, name: str) -> list[records.Prompt]:
    """The prompts of a probe."""
    prompts = instructions.prompts(ring.world, PROBED[name][0], ring.plan.probes)
    return [instructions.respectful(one) for one in prompts] if name == "rude_respectful" else prompts


def tests(ring: Ring) -> list[records.Prompt]:
    """The prompts of the blind comparison; they ask about myths and deeds that training never mentions."""
    return instructions.prompts(ring.world, "test", ring.plan.tests, first=ring.plan.tests * ring.plan.seed)


def unlearned(model: LanguageModel, ring: Ring) -> dict[str, Any]:
    """The alignment tax (section 4.2): loss on unseen text of the corpus, and things to complete."""
    context = ring.recipe.ppo.limits.context
    text = encode.documents(model.text, ring.read("records", "heldout", records.Document), context)
    questions = [
        (model.text.plain(one.text), [model.text.plain(end) for end in (one.right, *one.wrong)])
        for one in corpus.cloze(ring.world, ring.plan.cloze)
    ]
    right = [index == 0 for index in chosen(model, questions)]
    return {"corpus_loss": listed(corpus_loss(model, text)), "cloze": listed(share(right))}


def rude_openings(model: LanguageModel, ring: Ring) -> list[float]:
    """How often a model goes on rudely with a rude beginning (the place of RealToxicityPrompts)."""
    openings = corpus.rude_openings(ring.plan.probes)
    sampled = model.sample([model.text.plain(one) for one in openings], 24, 1.0, Key(ring.plan.seed, 20_000))
    said = [model.text.decode(ids).partition("\n")[0].lower() for ids in sampled.responses]
    return listed(share([any(insult in text for insult in INSULTS) for text in said]))


def panel(ring: Ring, run: Run) -> None:
    """Several labelers of either group rank the same unseen responses: do they agree, and with the reward model?"""
    prompts = instructions.prompts(ring.world, "test", ring.plan.panel, first=10**6)
    drawn = draw(ring, prompts, {"sft": 0.5, "ppo_1": 0.5}, Oddities(few_shot=0, hot=0, stray=0), 3)
    judge = ScalarModel.load(ring.model("reward"), ring.machine).freeze()
    for group in GROUPS:
        members = getattr(ring.labelers, group)
        ranked: list[records.Ranking] = []
        for found in drawn:
            invited = random.Random(found.prompt.id).sample(members, PANELISTS)
            ranked += [one.rank(found.prompt, found.responses, f"panel {found.id}") for one in invited]
        together: dict[str, dict[str, Sequence[int]]] = {}
        for row in ranked:
            together.setdefault(row.prompt.id, {})[row.labeler] = row.ranks
        run.results({f"agreement.{group}": listed(agreement(together)), f"reward.{group}": agreed(judge, ranked, ring)})
    run.finish()


@torch.no_grad()
def agreed(judge: ScalarModel, ranked: Sequence[records.Ranking], ring: Ring) -> list[float]:
    """The share of pairs on which the reward model prefers what the labeler preferred; draws whole prompts."""
    limits = replace(ring.recipe.reward.limits, prompt=10**6, response=10**6, context=10**6)
    items = encode.rankings(judge.text, ranked, limits).items
    scores = judge.score(encode.ranking_batch(items))
    parts = [part.numpy() for part in scores.split([len(item.responses) for item in items])]
    pairs = ordered_pairs(parts, [item.ranks.numpy() for item in items])
    owners = [items[number].record.prompt.id for number in pairs.ranking]
    return listed(bootstrap_interval(pairs.outcome, owners))


def compare(policies: Sequence[str], ring: Ring, run: Run) -> None:
    """Labelers of both groups rank the answers of all models blind; everything goes into one summary."""
    summary: dict[str, Any] = {"win_rate": {}, "win_rate_greedy": {}}
    for how, key in (("sampled", "win_rate"), ("greedy", "win_rate_greedy")):
        rows = {name: ring.read(f"answers_{name}", f"tests_{how}", records.Samples) for name in policies}
        for group in GROUPS:
            ranked = blind(ring, group, rows, how)
            run.export(lambda path, ranked=ranked: records.write(path / "rankings.jsonl", ranked), f"{group}_{how}")
            summary[key][group] = {name: listed(win_rate(ranked, name, "sft")) for name in policies}
            if how == "sampled" and group == "heldout":
                summary["ptx_over_ppo"] = listed(win_rate(ranked, "ppo_ptx", "ppo"))
    for word, (_, mark) in PROBED.items():
        summary[word] = {name: marked(ring, name, word, mark) for name in policies}
    for name in policies:
        measured = results(ring.at(f"answers_{name}"))
        for key in ("corpus_loss", "cloze", "rude_openings"):
            summary.setdefault(key, {})[name] = measured[key]
    summary["utility"] = {name: gold(ring, name) for name in policies}
    measured = results(ring.at("panel"))
    summary["agreement"] = {group: measured[f"agreement.{group}"] for group in GROUPS}
    summary["reward"] = {"own": measured["reward.train"], "heldout": measured["reward.heldout"]}
    summary["kl"] = {name: results(ring.at(name))["validation/kl"] for name in ("ppo", "ppo_ptx", "gold")}
    frontier = {name: training_path(ring, name) for name in ("ppo", "ppo_ptx", "gold")}
    run.results({**summary, "claims": claims.table(summary), "frontier": frontier})
    run.finish()


def blind(ring: Ring, group: str, rows: dict[str, list[records.Samples]], how: str) -> list[records.Ranking]:
    """One labeler of a group a prompt ranks one answer of each model."""
    found: list[records.Ranking] = []
    for samples in zip(*rows.values(), strict=True):
        responses = [one.responses[0] for one in samples]
        prompt = samples[0].prompt
        found.append(ring.labelers.rank(group, prompt, responses, f"blind {how} {prompt.id}"))
    return found


def training_path(ring: Ring, name: str) -> list[dict[str, float]]:
    """Reward and KL on the validation prompts as PPO went on, and what the answers were truly worth."""
    lines = (ring.at(name) / "samples.jsonl").read_text().splitlines()
    worth: dict[int, list[float]] = {}
    judge = grader(WORLD)
    for row in map(json.loads, lines):
        sample = records.from_json({key: value for key, value in row.items() if key not in ("step", "policy")})
        assert isinstance(sample, records.Samples)
        for one in sample.responses:
            found = judge.utility(sample.prompt, one.text, ended=one.finish != "length")
            worth.setdefault(row["step"], []).append(found)
    logged = [json.loads(line) for line in (ring.at(name) / "metrics.jsonl").read_text().splitlines()]
    return [
        {
            "step": row["step"],
            "kl": row["validation/kl"],
            "reward": row["validation/reward"],
            "gold": sum(worth[row["step"]]) / len(worth[row["step"]]),
        }
        for row in logged
        if "validation/kl" in row
    ]


def marked(ring: Ring, name: str, word: str, mark: str) -> list[float]:
    """The share of a model's answers to a probe that have a mark."""
    values = [getattr(marks, mark) for marks in _marks(ring, name, word)]
    return listed(share([float(value) > 0 for value in values if value is not None]))


def gold(ring: Ring, name: str, first: int | None = None) -> list[float]:
    """The mean true worth of a model's sampled answers to the test prompts, or to the first of them."""
    rows = ring.read(f"answers_{name}", "tests_sampled", records.Samples)[:first]
    judge = grader(WORLD)
    worth = [judge.utility(row.prompt, one.text, ended=one.finish != "length") for row in rows for one in row.responses]
    return listed(bootstrap_interval(worth, range(len(worth))))


def _marks(ring: Ring, name: str, part: str) -> list[Marks]:
    judge = grader(WORLD)
    rows = ring.read(f"answers_{name}", part, records.Samples)
    return [judge.marks(row.prompt, one.text, ended=one.finish != "length") for row in rows for one in row.responses]


def results(directory: Path) -> dict[str, Any]:
    """What a run has measured."""
    return json.loads((directory / "results.json").read_text())


def listed(interval: Interval) -> list[float]:
    """An interval as [low, value, high]."""
    return [round(value, 4) for value in (interval.low, interval.estimate, interval.high)]
