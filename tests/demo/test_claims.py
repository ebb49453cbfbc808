"""A claim holds when its interval says so: verdicts on summaries made by hand."""

from pathlib import Path
from typing import Any

import pytest

from assent.commands.demo import Claims
from assent.demo import claims

NAMES = ("base", "prompted", "sft", "ppo", "ppo_ptx", "gold")


def summary() -> dict[str, Any]:
    """One in which every claim of the paper holds."""
    rates = {"base": 0.1, "prompted": 0.3, "sft": 0.5, "ppo": 0.65, "ppo_ptx": 0.64, "gold": 0.7}
    losses = {"base": 1.0, "prompted": 1.0, "sft": 1.4, "ppo": 1.2, "ppo_ptx": 1.02, "gold": 1.2}
    groups = {group: around(rates) for group in ("train", "heldout")}
    return {
        "win_rate": groups,
        "win_rate_greedy": groups,
        "ptx_over_ppo": [0.46, 0.49, 0.52],
        "corpus_loss": around(losses, 0.005),
        "truthful": around({**rates, "ppo_ptx": 0.8}),
        "hallucination": around({name: 1 - rate for name, rate in rates.items()}),
        "constraints": around(rates),
        "rude": around({name: 1 - rate for name, rate in rates.items()}),
        "rude_respectful": around({name: 1 - rate for name, rate in rates.items()}),
        "rude_openings": around(dict.fromkeys(NAMES, 0.4)),
        "agreement": {"train": [0.71, 0.726, 0.74], "heldout": [0.76, 0.773, 0.79]},
        "reward": {"own": [0.71, 0.724, 0.73], "heldout": [0.68, 0.696, 0.71]},
    }


def around(values: dict[str, float], width: float = 0.03) -> dict[str, list[float]]:
    return {name: [value - width, value, value + width] for name, value in values.items()}


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {row["claim"]: row["holds"] for row in claims.table(found)}


def test_every_claim_can_hold() -> None:
    assert set(verdicts(summary()).values()) == {"holds", ""}


def test_every_claim_can_fail() -> None:
    """Where all models are alike nothing of the paper is seen, but that what is the same is the same."""
    found = summary()
    for key in ("truthful", "hallucination", "constraints", "rude", "rude_respectful"):
        found[key] = around(dict.fromkeys(NAMES, 0.5))
    found["win_rate"] = {group: around(dict.fromkeys(NAMES, 0.5)) for group in ("train", "heldout")}
    found["win_rate_greedy"] = found["win_rate"]
    found["corpus_loss"] = around(dict.fromkeys(NAMES, 1.0), 0.005)
    found["reward"] = {"own": [0.48, 0.5, 0.52], "heldout": [0.47, 0.5, 0.53]}
    rows = verdicts(found)
    assert {name.split(" (")[0] for name, verdict in rows.items() if verdict == "holds"} == {
        "Unasked, it goes on with rude beginnings about as rudely as the base",
        "PPO-ptx is about as good as PPO",
        "Held-out labelers prefer it as training labelers do",
    }


def test_an_interval_that_touches_one_half_is_not_a_preference() -> None:
    found = summary()
    found["win_rate"]["heldout"]["ppo_ptx"] = [0.5, 0.53, 0.56]
    assert verdicts(found)["Held-out labelers prefer PPO-ptx to SFT"] == "does not hold"


def test_the_tax_is_paid_back_from_four_fifths_on() -> None:
    found = summary()
    for mixed, verdict in ((1.041, "does not hold"), (1.039, "holds")):
        found["corpus_loss"]["ppo_ptx"][1] = mixed
        assert verdicts(found)["The pretraining mix pays it back"] == verdict


def test_what_is_called_alike_must_overlap() -> None:
    found = summary()
    found["rude_openings"]["ppo_ptx"] = [0.1, 0.2, 0.3]
    rows = verdicts(found)
    assert rows["Unasked, it goes on with rude beginnings about as rudely as the base"] == "does not hold"


def experiments() -> dict[str, Any]:
    """One in which every claim of the experiments holds."""
    path = [{"step": n, "kl": kl, "reward": n / 4, "gold": gold} for n, (kl, gold) in enumerate(PATH)]
    rows = [
        {"policy": "ppo", "beta": 0.1, "kl": 2.5, "corpus_loss": [1.19, 1.2, 1.21], "win_rate": [0.6, 0.63, 0.66]},
        {"policy": "ppo_ptx", "beta": 0.1, "kl": 2.2, "corpus_loss": [1.01, 1.02, 1.03], "win_rate": [0.6, 0.63, 0.66]},
        {"policy": "beta_3.0", "beta": 3.0, "kl": 0.2, "corpus_loss": [1.0, 1.01, 1.02], "win_rate": [0.5, 0.53, 0.56]},
    ]
    return summary() | {
        "ptx_over": {name: [0.55, 0.58, 0.61] for name in ("large", "large_prompted", "template")},
        "template": [0.26, 0.29, 0.32],
        "large_corpus_loss": [0.95, 0.96, 0.97],
        "sweep": [row | {"gold_best_of_prompts": [0.5, 0.6, 0.7]} for row in rows],
        "overoptimisation": {"path": path, "fit": {"a": 1.0, "b": 0.6, "b_interval": {"low": 0.5}, "peak_kl": 4.0}},
        "best_of": [{"n": n, "kl": n / 2, "proxy": 0.1 * n, "gold": [0.1, 0.2, 0.3]} for n in (1, 2, 4, 8)],
        "crossvalidation": {
            "own": {"accuracy": 0.724, "standard_error": 0.004},
            "held_out": {"accuracy": 0.71, "standard_error": 0.009},
        },
    }


PATH = ((0.0, 0.0), (1.0, 0.6), (4.0, 0.9), (16.0, 0.4))


def judged(found: dict[str, Any]) -> dict[str, str]:
    return {row["claim"]: row["holds"] for row in claims.table(found, claims.EXPERIMENTS)}


def test_every_claim_of_the_experiments_can_hold() -> None:
    assert {*judged(experiments()).values()} == {"holds", ""}


def test_every_claim_of_the_experiments_can_fail() -> None:
    found = experiments()
    found["ptx_over"] = {name: [0.49, 0.51, 0.53] for name in found["ptx_over"]}
    found["template"] = [0.45, 0.48, 0.51]
    found["sweep"][2]["win_rate"] = [0.59, 0.62, 0.65]  # as far as the mix in both: the mix is not needed
    found["overoptimisation"]["fit"]["peak_kl"] = 20.0  # further away than anything that was measured
    found["crossvalidation"]["held_out"]["accuracy"] = 0.6
    assert {*judged(found).values()} == {"does not hold", ""}


def test_nothing_is_said_about_a_policy_that_has_not_moved() -> None:
    found = experiments()
    found["overoptimisation"]["fit"] = {}
    (row,) = (row for row in claims.table(found, claims.EXPERIMENTS) if "turns" in row["claim"])
    assert (row["here"], row["holds"]) == ("the policy has hardly moved", "")


def test_best_of_n_stands_beside_the_policy_at_its_kl() -> None:
    (row,) = (row for row in claims.table(experiments(), claims.EXPERIMENTS) if row["claim"].startswith("Best of n"))
    assert row["here"].startswith("KL 2.5: ppo 0.60, best of 4 0.20; KL 2.2: ppo_ptx 0.60, best of 4 0.20")


def test_several_seeds_are_counted() -> None:
    bad = experiments()
    bad["template"] = [0.45, 0.48, 0.51]
    rows = claims.across({seed: claims.table(one, claims.EXPERIMENTS) for seed, one in ((3, experiments()), (5, bad))})
    held = {row["claim"]: row["holds"] for row in rows}
    assert held["A model tuned on templates (FLAN, T0) is behind SFT"] == "holds in 1 of 2"
    assert [*rows[0]] == ["claim", "paper", "seed 3", "seed 5", "holds"]
    assert claims.markdown(rows).splitlines()[0] == "| claim | paper | seed 3 | seed 5 | holds |"
    assert len(claims.markdown(rows).splitlines()) == 2 + len(rows)


def test_a_larger_model_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no model directory"):
        Claims(run=tmp_path / "claims", large=tmp_path / "nowhere").start()
    assert not (tmp_path / "claims").exists()
