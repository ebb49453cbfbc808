"""The demo from its first stage to its last, with little of everything."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests import tiny

from assent import recipes, records, sandbox
from assent.commands.demo import claims_table, summary
from assent.demo import claims
from assent.demo.evaluation import results
from assent.demo.experiments import BEST_OF, BETAS, EXPERIMENTS
from assent.demo.perform import stage_in_process
from assent.demo.ring import Plan, Ring
from assent.demo.stages import POLICIES, STAGES
from assent.recipes import Recipe
from assent.sandbox.comparisons import FEW_SHOT, STRAY

PLAN = Plan(
    prompts=400,
    demonstrations=40,
    rankings=12,
    first_episodes=32,
    panel=6,
    tests=8,
    probes=3,
    cloze=8,
    documents=40,
    held_out_documents=8,
)


def shrunk(recipe: Recipe) -> Recipe:
    """As little of every step as shows that it works."""
    short = replace(recipe.ppo.limits, response=24)
    ppo = replace(recipe.ppo, episodes=32, batch=16, minibatch=8, pretrain_ratio=1, validate_every=1, limits=short)
    return replace(recipe, sft=replace(recipe.sft, epochs=1), init=replace(recipe.init, epochs=1), ppo=ppo)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    small = shrunk(recipes.sandbox())
    given = {"base": sandbox.BASE, "large": sandbox.BASE}
    made = Ring(tmp_path_factory.mktemp("demo"), PLAN, small, tiny.MACHINE, given=given)
    for name, stage in STAGES.items():
        stage_in_process(made, name, stage)
    return made


def test_every_stage_waits_for_stages_before_it() -> None:
    seen: set[str] = set()
    for name, stage in STAGES.items():
        assert {*stage.needs} <= seen
        seen.add(name)


def test_the_summary_has_what_the_paper_reports(ring: Ring) -> None:
    found = summary(ring, dict.fromkeys(STAGES, 1.0), total=20.0, workers=1)
    json.dumps(found, allow_nan=False)
    for key in ("win_rate", "win_rate_greedy"):
        for group in ("train", "heldout"):
            assert found[key][group].keys() == set(POLICIES)
            assert found[key][group]["sft"] == [0.5, 0.5, 0.5]
    for key in ("truthful", "rude", "hallucination", "constraints", "corpus_loss", "cloze"):
        assert all(low <= value <= high for low, value, high in found[key].values())
    assert found["corpus_loss"]["prompted"] == found["corpus_loss"]["base"]
    assert {"sft", "init", "reward", "ppo", "ppo_ptx", "evaluate", "total"} <= found["seconds"].keys()
    assert found["agreement"].keys() == {"train", "heldout"}
    assert found["reward"].keys() == {"own", "heldout"}
    assert len(results(ring.at("comparison"))["claims"]) == len(claims.CLAIMS)
    assert claims_table(results(ring.at("comparison"))["claims"]).row_count == len(claims.CLAIMS)


def test_experiments_end_in_claims_for_every_seed(ring: Ring) -> None:
    for name, stage in EXPERIMENTS.items():
        stage_in_process(ring, name, stage)
    found = results(ring.at("gathered"))
    assert found["ptx_over"].keys() == {"large", "large_prompted", "template"}
    assert [row["beta"] for row in found["sweep"] if row["policy"].startswith("beta")] == list(BETAS)
    assert [row["n"] for row in found["best_of"]][-1] == BEST_OF
    promised = [row["proxy"] for row in found["best_of"]]
    assert promised == sorted(promised)  # more to choose from never lowers what the reward model says of the best
    path = found["overoptimisation"]["path"]
    assert path[0]["kl"] == 0
    assert len(path) > 2
    assert 0 < found["crossvalidation"]["held_out"]["accuracy"] < 1
    rows = results(ring.at("comparison"))["claims"] + found["claims"]
    assert len(rows) == len(claims.CLAIMS) + len(claims.EXPERIMENTS)
    several = claims.across({0: rows, 1: rows})
    assert claims_table(several).row_count == len(rows)
    held = {row["claim"]: row["holds"] == "holds" for row in rows if row["holds"]}
    assert all(row["holds"] == f"holds in {2 * held[row['claim']]} of 2" for row in several if row["holds"])


def test_labelers_see_four_to_nine_responses_of_several_kinds(ring: Ring) -> None:
    rows = ring.read("round_2", "rankings", records.Ranking)
    assert len(rows) == PLAN.rankings
    assert all(4 <= len(row.responses) <= 9 for row in rows)
    written = {one.policy for row in rows for one in row.responses}
    assert {"sft", "ppo_1"} <= written <= {"sft", "ppo_1", FEW_SHOT, STRAY}
    asked = [{row.id for row in ring.read("records", f"round_{n}", records.Prompt)} for n in (1, 2)]
    assert not asked[0] & asked[1]


def test_nobody_who_labels_for_training_compares_for_the_held_out(ring: Ring) -> None:
    kept = ring.at("comparison")
    by_group = {
        group: {row.labeler for row in records.read(kept / f"{group}_sampled" / "rankings.jsonl", records.Ranking)}
        for group in ("train", "heldout")
    }
    assert all(name.startswith("train-") for name in by_group["train"])
    assert all(name.startswith("heldout-") for name in by_group["heldout"])


def test_what_is_finished_is_not_performed_again(ring: Ring) -> None:
    before = (ring.at("ppo") / "metrics.jsonl").stat().st_mtime_ns
    stage_in_process(ring, "ppo", STAGES["ppo"])
    assert (ring.at("ppo") / "metrics.jsonl").stat().st_mtime_ns == before


def test_the_control_earns_the_truth(ring: Ring) -> None:
    """What PPO on the gold reward logs as reward is what the world says its answers were worth."""
    path: list[dict[str, float]] = results(ring.at("comparison"))["frontier"]["gold"]
    assert path
    for row in path:
        assert row["reward"] == pytest.approx(row["gold"], abs=1e-5)


def test_a_failing_stage_is_named(ring: Ring, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"raise plan\.prompts"):
        stage_in_process(replace(ring, directory=tmp_path, plan=Plan(prompts=50)), "records", STAGES["records"])


@pytest.mark.timeout(900)  # thirty processes' worth of stages
def test_an_idea_of_ones_own_as_the_document_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten lines of docs/sandbox.md with less of everything; every stage in a process of its own."""
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "perform(" in block)
    small = shrunk(recipes.sandbox())
    monkeypatch.setattr(recipes, "sandbox", lambda: small)
    monkeypatch.chdir(tmp_path)
    assert code.count("Plan(seed=1)") == 1
    code = code.replace("Plan(seed=1)", "replace(SMALL, seed=1)")
    exec(compile(code, "sandbox.md", "exec"), {"__name__": "__main__", "SMALL": PLAN})
    found = results(tmp_path / "runs" / "idea" / "comparison")
    assert found["win_rate"]["heldout"].keys() == set(POLICIES)
    config = json.loads((tmp_path / "runs" / "idea" / "ppo" / "run.json").read_text())["config"]
    assert config["kl_coef"] == 0
