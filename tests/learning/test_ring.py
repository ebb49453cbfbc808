"""The whole method on a world that can be learned in seconds, through the command line, as a user would run it."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from scripts import kill
from tests import tiny

from assent import records
from assent.engine import encode
from assent.engine.generate import Key
from assent.engine.models import ScalarModel
from assent.evaluate.report import report
from assent.run import Run, RunError, digest

MACHINE = kill.MACHINE


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the data and one finished run of every verb."""
    here = tmp_path_factory.mktemp("ring")
    tiny.write(here)
    for verb in ("pretrain", "sft", "init", "reward", "ppo"):
        kill.assent(verb, here, here / verb)
    return here


def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def logged(run: Path, name: str) -> list[float]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def test_a_base_model_learns_to_predict(ring: Path) -> None:
    loss = logged(ring / "pretrain", "loss")
    assert loss[0] > 5 > 2.5 > loss[-1]


@pytest.mark.parametrize("verb", ["sft", "init"])
def test_a_model_learns_the_demonstrations(ring: Path, verb: str) -> None:
    policy = tiny.model(ring / verb / "model")
    asked = [item.prompt for item in encode.prompts(policy.text, tiny.PROMPTS, tiny.LIMITS).items]
    found = policy.sample(asked, 8, 0, Key(0, 0))
    said = [policy.text.decode(ids) for ids in found.responses]
    wanted = [f"{word} {word}" for word in tiny.WORDS]
    assert sum(a == b for a, b in zip(said, wanted, strict=True)) >= 4, said
    assert (ring / verb / "epochs" / "2" / "model.safetensors").exists()


def test_a_reward_model_learns_the_rankings_and_is_calibrated(ring: Path) -> None:
    found = results(ring / "reward")
    assert found["pair_accuracy"]["estimate"] > 0.95
    assert found["pair_accuracy"]["low"] > 0.9
    assert abs(found["demonstration_mean"]) < 1e-5
    assert math.isfinite(found["calibration"]["error"])
    config = json.loads((ring / "reward" / "model" / "config.json").read_text())
    assert config["reward_bias"] == pytest.approx(found["bias"])


def test_ppo_earns_reward_and_says_what_it_cost(ring: Path) -> None:
    reward = logged(ring / "ppo", "reward")
    assert len(reward) == 12
    assert sum(reward[-3:]) / 3 > sum(reward[:2]) / 2 + 0.3, reward
    kl = logged(ring / "ppo", "kl")
    assert abs(kl[0]) < 1e-3 < 0.5 < kl[-1]
    for name in ("gradient_norm/policy", "gradient_norm/pretrain", "loss/value", "explained_variance", "no_eos"):
        assert len(logged(ring / "ppo", name)) == 12
        assert all(math.isfinite(value) for value in logged(ring / "ppo", name))
    assert logged(ring / "ppo", "validation/reward")
    first = logged(ring / "ppo", "approx_kl/policy")[0]
    assert first < 0.1


def test_the_averaged_policy_is_exported_and_transformers_loads_it(ring: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    policy = AutoModelForCausalLM.from_pretrained(ring / "ppo" / "model")
    assert policy.num_parameters() > 0
    assert AutoModelForSequenceClassification.from_pretrained(ring / "ppo" / "value").config.reward_bias is not None
    state = load_file(ring / "ppo" / "checkpoints" / "step-00000012" / "policy" / "state.safetensors")
    exported = load_file(ring / "ppo" / "model" / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    assert (exported[name] == state[f"average/{name}"]).all()
    assert not (exported[name] == state[f"weights/{name}"]).all()


def test_the_other_verbs(ring: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [*MACHINE, "--answering.limits.response", "6"]
    epochs = [str(ring / "sft" / "epochs" / n) for n in ("1", "150")]
    judge = ["--reward", str(ring / "reward" / "model"), "--prompts", str(ring / "prompts.jsonl")]
    run(["select", "--models", *epochs, *judge, "--run", str(tmp_path / "select"), *small])
    chosen = results(tmp_path / "select")
    assert chosen["chosen"] == max(chosen["candidates"], key=lambda row: row["reward"])["model"]
    assert [row["model"] for row in chosen["candidates"]] == epochs
    asked = [
        "--prompts",
        str(ring / "prompts.jsonl"),
        "--answering.responses",
        "3",
        "--run",
        str(tmp_path / "sample"),
        *small,
    ]
    run(["sample", "--model", str(ring / "sft" / "model"), *asked])
    rows = [json.loads(line) for line in (tmp_path / "sample" / "samples.jsonl").read_text().splitlines()]
    samples = [records.from_json({k: v for k, v in row.items() if k not in ("step", "policy")}) for row in rows]
    assert [len(one.responses) for one in samples if isinstance(one, records.Samples)] == [3] * 6
    kill.assent("crossvalidate", ring, tmp_path / "cv", "--folds", "3", "--seeds", "2")
    found = results(tmp_path / "cv")
    assert len(found["models"]) == 6
    assert min(found["own"]["accuracy"], found["held_out"]["accuracy"]) > 0.9  # these labelers want the same
    capsys.readouterr()
    kill.assent("sft", ring, ring / "sft")
    assert "is finished" in capsys.readouterr().out


def run(arguments: list[str]) -> None:
    kill.call(arguments)


def test_clean_and_import(ring: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["clean", str(ring / "prompts.jsonl"), str(ring / "prompts.jsonl"), "--output", str(tmp_path / "clean")])
    assert "6  messages: begins like an earlier prompt" in capsys.readouterr().out
    counts = [len((tmp_path / "clean" / f"{name}.jsonl").read_text().splitlines()) for name in ("train", "rejected")]
    assert 0 < counts[0] <= 6 == counts[1]
    (tmp_path / "theirs.json").write_text('[{"instruction": "a", "output": "b"}, {"instruction": "c"}]')
    output = str(tmp_path / "mine.jsonl")
    run(["import", str(tmp_path / "theirs.json"), "--kind", "demonstration", "--output", output])
    assert len(list(records.read(Path(output), records.Demonstration))) == 1
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["line"] == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sft", "--model", "nowhere", "--data", "{d}", "--run", "{t}"], "nowhere does not exist"),
        (["ppo", "--model", "m", "--reward", "r", "--prompts", "p", "--run", "{t}"], "--pretrain-coef 0 for plain PPO"),
        (["sft", "--recipe", "grande"], "'grande' is not one of"),
        (["dance"], "unknown verb 'dance'"),
        (["report", "{t}"], "is not a run directory"),
        (["import", "{d}", "--kind", "poem", "--output", "{t}/x"], "'poem' is not one of"),
    ],
)
def test_a_mistake_ends_in_a_sentence(ring: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    filled = [word.format(d=ring / "demonstrations.jsonl", t=tmp_path) for word in arguments]
    with pytest.raises(SystemExit) as caught:
        run(filled)
    assert says in str(caught.value)


# -- resuming, splitting, adapting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["sft", "reward", "ppo"])
@pytest.mark.parametrize("place", [0.2, 0.8])
def test_a_run_that_was_interrupted_ends_in_the_same_bytes(
    ring: Path, verb: str, place: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = len(logged(ring / verb, "learning_rate"))
    log: Callable[..., None] = Run.log

    def stop(self: Run, step: int, metrics: Any) -> None:
        log(self, step, metrics)
        if step == int(place * total):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", stop)
        with pytest.raises(KeyboardInterrupt):
            kill.assent(verb, ring, tmp_path / verb)
    kill.assent(verb, ring, tmp_path / verb)
    assert digest(tmp_path / verb / "model") == digest(ring / verb / "model")
    assert logged(tmp_path / verb, "gradient_norm/total") == logged(ring / verb, "gradient_norm/total")
    one, other = ((run / "samples.jsonl") for run in (tmp_path / verb, ring / verb))
    assert one.exists() == other.exists()
    assert not one.exists() or one.read_bytes() == other.read_bytes()


def test_a_run_that_was_killed_ends_in_the_same_bytes(ring: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of SFT; `make kill` does it ten times to each of the three steps."""
    assert kill.survives("sft", ring, tmp_path, times=1, seed=0) == 1


@pytest.mark.parametrize("verb", ["sft", "reward", "ppo"])
def test_two_processes_do_the_same_sums(ring: Path, verb: str, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    command = [*torchrun, "scripts.kill", "step", *kill.words(verb, ring, tmp_path / verb)]
    done = subprocess.run(command, cwd=kill.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = (load_file(run / verb / "model" / "model.safetensors") for run in (ring, tmp_path))
    first = (logged(run / verb, "gradient_norm/total")[0] for run in (ring, tmp_path))
    assert next(first) == pytest.approx(next(first), rel=1e-4)
    if verb != "ppo":  # over many updates rounding grows; rollouts then differ in a token
        assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 2e-3


def test_the_python_of_the_readme_runs(ring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (kill.ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "base").symlink_to(ring / "pretrain")
    (tmp_path / "runs" / "init").symlink_to(ring / "init")
    for path in ring.glob("*.jsonl"):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("assent.recipes.small", tiny.recipe)
    monkeypatch.setattr("assent.engine.machine.Machine", lambda: tiny.MACHINE)
    for block in blocks:
        exec(block, {})
    for name in ("sft", "reward", "ppo"):
        assert (tmp_path / "runs" / name / "model" / "model.safetensors").exists()
    assert results(tmp_path / "runs" / "reward")["demonstration_mean"] == pytest.approx(0, abs=1e-5)


def test_a_reward_model_with_adapters(ring: Path, tmp_path: Path) -> None:
    kill.assent("reward", ring, tmp_path / "reward", "--lora.rank", "8", "--optimiser.learning-rate", "0.01")
    assert results(tmp_path / "reward")["pair_accuracy"]["estimate"] > 0.9
    judge = ScalarModel.load(tmp_path / "reward" / "model", tiny.MACHINE)  # the adapter is merged in
    assert abs(float(judge.bias.detach()) - results(tmp_path / "reward")["bias"]) < 1e-6


def test_ppo_with_adapters(ring: Path, tmp_path: Path) -> None:
    """The reference is the policy with its adapter off: the KL starts at 0, and the reward rises."""
    kill.assent("ppo", ring, tmp_path / "ppo", "--lora.rank", "8", "--policy.learning-rate", "0.005")
    reward, kl = (logged(tmp_path / "ppo", name) for name in ("reward", "kl"))
    assert abs(kl[0]) < 1e-3 < abs(kl[-1])
    assert sum(reward[-3:]) / 3 > sum(reward[:2]) / 2
    assert tiny.model(tmp_path / "ppo" / "model").module.num_parameters() > 0


# -- the report ----------------------------------------------------------------------------------------------------


def test_the_report_shows_all_of_it_and_needs_nothing_else(ring: Path, tmp_path: Path) -> None:
    runs = [ring / name for name in ("pretrain", "sft", "init", "reward", "ppo")]
    page = report(runs, tmp_path / "r.html").read_text()
    for words in ("reward against KL", "gradient norms of both parts", "say red", "Time and memory", "pair_accuracy"):
        assert words in page
    for fetched in ("src=", "<link", "@import", "url(http"):
        assert fetched not in page
    assert page == report(runs, tmp_path / "s.html").read_text()


def test_the_report_of_a_broken_run_says_what_is_broken_and_escapes_what_models_write(tmp_path: Path) -> None:
    config = replace(tiny.recipe().sft, seed=3)
    with Run.open(tmp_path / "run $x$ <b>", "sft", config, {}, quiet=True) as run:
        evil = records.Response(text="<script>alert(1)</script>", policy="p", finish="length")
        run.log_samples(0, "p", [records.Samples(id="s", prompt=tiny.prompt("<img>"), responses=(evil,))])
        run.log(0, {"loss": 1.0})
        run.reject([{"id": "r", "field": "response", "reason": "the response has 99 tokens, the limit is 8"}])
    with (run.directory / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "lo')
    page = report([run.directory], tmp_path / "r.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    broken = "metrics.jsonl: 1 lines cannot be read"
    for words in ("not finished", broken, "the response has N tokens", "cut at the limit"):
        assert words in page
    with pytest.raises(RunError, match="not a run directory"):
        report([tmp_path], tmp_path / "r.html")
