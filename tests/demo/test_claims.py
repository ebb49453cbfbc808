"""A claim holds when its interval says so: verdicts on summaries made by hand."""

from typing import Any

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
