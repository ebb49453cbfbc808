"""Experiments beyond the demo: what the paper claims and one run of its method cannot show.

More stages for the demo's table, so that a seed is one directory with all of it: policies at other KL coefficients and
at none, a model tuned on templates, a base model ten times larger, the best of n samples, and the reward model on
labelers it has not seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from assent import records
from assent.demo import claims, evaluation, stages
from assent.demo.evaluation import listed, results, training_path
from assent.demo.ring import WORLD, Ring
from assent.demo.stages import STAGES, Stage
from assent.engine import encode
from assent.engine.generate import Key
from assent.engine.models import LanguageModel, ScalarModel
from assent.evaluate.preference import win_rate
from assent.run import Run
from assent.sandbox import corpus, templates
from assent.sandbox.grade import grader
from assent.statistics import bootstrap_interval, overoptimisation
from assent.train import ppo, pretrain, reward, select, sft
from assent.train.rollout import Sampling

BETAS = (0.03, 0.5, 3.0)  # KL coefficients of the sweep, beside the recipe's 0.1 and none
LONG, LONG_PROMPTS = 2, 256  # without a KL penalty PPO goes on for twice as long, and is watched more closely
BEST_OF, BEST_OF_PROMPTS = 64, 128
FOLDS = 5  # groups of labelers (appendix E.2)
LARGE = pretrain.Shape(vocabulary=1024, width=384, layers=5, heads=6)  # 12 million parameters, ten times the base
LARGE_LEARNING_RATE = 1.2e-3
COMPARED = ("sft", "ppo", "ppo_ptx", "template", "large", "large_prompted", *(f"beta_{beta}" for beta in BETAS))


def train_large(ring: Ring, run: Run) -> None:
    """A base model ten times larger than the one in the package, on the same corpus in the same way."""
    rows = corpus.documents(ring.world, "train", corpus.BASE_DOCUMENTS)
    blank = run.directory / "blank"
    if not blank.exists():
        run.export(lambda path: pretrain.create(LARGE, (row.text for row in rows), path), "blank")
    model, config = LanguageModel.load(blank, ring.machine), large_config(ring)
    sft.train(config, run, model, encode.documents(model.text, rows, config.limits.context))


def large_config(ring: Ring) -> sft.SFTConfig:
    """How the larger base is trained; a wider model takes a smaller learning rate."""
    config = ring.recipe.pretrain
    return replace(config, optimiser=replace(config.optimiser, learning_rate=LARGE_LEARNING_RATE))


def tune_on_templates(ring: Ring, run: Run) -> None:
    """The place of FLAN and T0 (section 4.1): as SFT, on three times as many examples from templates."""
    policy, how = ring.load("base"), ring.recipe.sft
    shown = templates.demonstrations(ring.world, 3 * ring.plan.demonstrations)
    sft.train(how, run, policy, encode.demonstrations(policy.text, shown, how.limits).items, [])


def at_beta(beta: float, ring: Ring) -> ppo.PPOConfig:
    """PPO without the mix at another KL coefficient (the paper's sweep of appendix E.6)."""
    return replace(stages.unmixed(ring), kl_coef=beta)


def unpenalised(ring: Ring) -> ppo.PPOConfig:
    """PPO that nothing holds back, for longer."""
    config = at_beta(0.0, ring)
    return replace(config, episodes=LONG * config.episodes, validate_every=max(config.validate_every // 2, 1))


@torch.no_grad()
def best_of(ring: Ring, run: Run) -> None:
    """What the best of n by reward-model score is truly worth, of n samples of the policy where PPO starts."""
    policy = ring.load("init").freeze()
    judge = ScalarModel.load(ring.model("reward"), ring.machine).freeze()
    prompts, gold = evaluation.tests(ring)[:BEST_OF_PROMPTS], grader(WORLD)
    asked = [policy.text.prompt(prompt.messages) for prompt in prompts for _ in range(BEST_OF)]
    sampled = policy.sample(asked, ring.sampling.limit, 1.0, Key(ring.plan.seed, 30_000))
    scores = judge.score(sampled).double().numpy().reshape(len(prompts), BEST_OF)
    texts = zip(sampled.responses, sampled.ended, strict=True)
    worth = np.array(
        [
            [gold.utility(prompt, policy.text.decode(ids), ended=ended) for ids, ended in (next(texts) for _ in row)]
            for prompt, row in zip(prompts, scores, strict=True)
        ]
    )
    run.results({"curve": [_best(n, scores, worth) for n in (2**power for power in range(BEST_OF.bit_length()))]})
    run.finish()


def _best(n: int, scores: np.ndarray, worth: np.ndarray) -> dict[str, Any]:
    pairs = list(zip(scores, worth, strict=True))
    found = [overoptimisation.best_of_n(score, gold, n) for score, gold in pairs]
    promised = [overoptimisation.best_of_n(score, score, n) for score, _ in pairs]
    gold = listed(bootstrap_interval(found, range(len(found))))
    return {"n": n, "kl": overoptimisation.best_of_n_kl(n), "proxy": float(np.mean(promised)), "gold": gold}


def cross_validate(ring: Ring, run: Run) -> None:
    """The reward model on groups of labelers it has not seen; every seed of the experiment is one of the paper's."""
    config = ring.recipe.reward
    start = ScalarModel.fresh(ring.model("sft"), ring.machine, seed=ring.plan.seed)
    rows = [row for name in ("round_1", "round_2") for row in ring.read(name, "rankings", records.Ranking)]
    rankings = encode.rankings(start.text, rows, config.limits).items
    shown = ring.read("records", "demonstrations", records.Demonstration)
    calibrating = encode.demonstrations(start.text, shown, config.limits).items

    def trained(name: str, seed: int, part: Sequence[encode.RankingItem]) -> ScalarModel:
        with Run.open(run.directory / name, "reward", config, {"sft": ring.at("sft")}, quiet=True) as fold:
            if fold.finished:
                return ScalarModel.load(fold.model, ring.machine)
            model = ScalarModel.fresh(ring.model("sft"), ring.machine, seed=seed)
            reward.train(config, fold, model, part, calibrating)
            return model

    settings = select.CrossValidation(folds=FOLDS, seeds=1, reward=config)
    select.cross_validate(settings, run, rankings, trained)


def gather(ring: Ring, run: Run) -> None:
    """Everything in one summary, beside what the demo measured, and the claims about it."""
    summary = results(ring.at("comparison"))
    rows = {name: ring.read(f"answers_{name}", "tests_sampled", records.Samples) for name in COMPARED}
    ranked = evaluation.blind(ring, "heldout", rows, "experiments")
    run.export(lambda path: records.write(path / "rankings.jsonl", ranked), "rankings")
    against = {other: listed(win_rate(ranked, "ppo_ptx", other)) for other in ("large", "large_prompted", "template")}
    folds = results(ring.at("crossvalidate"))
    found: dict[str, Any] = {
        "ptx_over": against,
        "template": listed(win_rate(ranked, "template", "sft")),
        "large_corpus_loss": results(ring.at("answers_large"))["corpus_loss"],
        "sweep": [_swept(ring, name, ranked) for name in COMPARED if name.startswith(("ppo", "beta"))],
        "overoptimisation": law(ring),
        "best_of": results(ring.at("best_of"))["curve"],
        "crossvalidation": {name: folds[name] for name in ("own", "held_out")},
    }
    run.results({**found, "claims": claims.table(summary | found, claims.EXPERIMENTS)})
    run.finish()


def _swept(ring: Ring, name: str, ranked: Sequence[records.Ranking]) -> dict[str, Any]:
    config = ring.recipe.ppo if name.startswith("ppo") else at_beta(float(name.removeprefix("beta_")), ring)
    return {
        "policy": name,
        "beta": config.kl_coef,
        "kl": results(ring.at(name))["validation/kl"],
        "corpus_loss": results(ring.at(f"answers_{name}"))["corpus_loss"],
        "win_rate": listed(win_rate(ranked, name, "sft")),
        "gold": evaluation.gold(ring, name),
        "gold_best_of_prompts": evaluation.gold(ring, name, BEST_OF_PROMPTS),
    }


@torch.no_grad()
def law(ring: Ring) -> dict[str, Any]:
    """The path of PPO without a KL penalty, promised and true, and d (a - b ln d) fitted to what is true (Gao 2022)."""
    policy = ring.load("init").freeze()
    judge = ScalarModel.load(ring.model("reward"), ring.machine).freeze()
    prompts = ring.read("records", "validation", records.Prompt)[:LONG_PROMPTS]
    sampling = Sampling(ring.sampling.limit)
    asked = [policy.text.prompt(prompt.messages) for prompt in prompts]
    sampled = policy.sample(asked, sampling.limit, 1.0, Key(ring.plan.seed, ppo.VALIDATION))
    decoded = [policy.text.decode(ids) for ids in sampled.responses]
    shown = zip(prompts, decoded, sampled.ended, strict=True)
    start = float(np.mean([grader(WORLD).utility(prompt, text, ended=ended) for prompt, text, ended in shown]))
    path = [{"step": 0, "kl": 0.0, "reward": float(judge.score(sampled).mean()), "gold": start}]
    path += training_path(ring, "overoptimised")
    moved = [row for row in path if row["kl"] > 0]  # an estimate may be below 0 where little has changed
    if len(moved) < 3:
        return {"path": path, "fit": {}}
    fit = overoptimisation.fit([row["kl"] for row in moved], [row["gold"] - start for row in moved], "rl")
    return {"path": path, "fit": {name: value for name, value in asdict(fit).items() if value is not None}}


def _answering(name: str) -> Stage:
    base = evaluation.PROMPTED.get(name, name)
    needs = ("records",) if base == "large" else (base,)
    return Stage(partial(evaluation.answers, name, probes=False), needs, _plan)


def _continued(config: Callable[[Ring], ppo.PPOConfig], **changes: Any) -> Stage:
    return Stage(partial(stages.reinforce, config, "reward", **changes), ("reward", "init"), config)


def _plan(ring: Ring) -> Any:
    return ring.plan


def _sft(ring: Ring) -> Any:
    return ring.recipe.sft


def _reward(ring: Ring) -> Any:
    return ring.recipe.reward


LARGER: dict[str, Stage] = {"large": Stage(train_large, (), large_config)}  # once for all seeds
EXPERIMENTS: dict[str, Stage] = {  # of one seed; `large` is given
    **STAGES,
    "overoptimised": _continued(unpenalised, validation=LONG_PROMPTS),
    **{f"beta_{beta}": _continued(partial(at_beta, beta)) for beta in BETAS},
    "template": Stage(tune_on_templates, ("records",), _sft),
    "best_of": Stage(best_of, ("reward", "init"), _plan),
    "crossvalidate": Stage(cross_validate, ("round_2", "sft"), _reward),
    **{f"answers_{name}": _answering(name) for name in COMPARED if name not in stages.POLICIES},
}
EXPERIMENTS["gathered"] = Stage(gather, tuple(EXPERIMENTS), _plan)
