"""The ring, by the commands: prompts and samples go in, simulated labelers work over HTTP, records come out."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tyro

from assent import records
from assent.commands.label import Label
from assent.label.client import Client, ClientError
from assent.records import Demonstration, Ranking, Rating, Response, Samples
from assent.run import digest
from assent.sandbox import instructions
from assent.sandbox.labelers import Labelers
from assent.sandbox.world import World

PROGRAM = "import sys, tyro; from assent.commands.label import Label; tyro.cli(Label, args=sys.argv[1:]).start()"


def run(*arguments: object) -> None:
    tyro.cli(Label, args=[str(one) for one in arguments]).start()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """A server of its own process: its address, its directory, and what it said when it started."""
    data, port = tmp_path_factory.mktemp("label") / "data", free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSENT_")}
    command = [sys.executable, "-c", PROGRAM, "serve", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{url}/session", timeout=5)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield url, data, said
    process.terminate()
    rest, _ = process.communicate(timeout=60)
    assert "Traceback" not in rest, rest


def test_the_first_start_asks_nothing_and_tells_the_first_admin_where_to_join(served: tuple[str, Path, str]) -> None:
    url, data, said = served
    assert (data / "secret").stat().st_mode & 0o777 == 0o600
    token = re.search(r"/invite/(\S+)", said)
    assert token is not None, said
    given = {"token": token[1], "name": "First", "password": "a heron on the wharf"}
    with httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as browser:
        assert browser.post("/session/invite", json=given).json() == {"name": "First", "role": "admin", "team": "train"}
        assert browser.post("/session/invite", json={**given, "name": "Second"}).status_code == 404


def test_prompts_become_demonstrations_and_samples_rankings(
    served: tuple[str, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, data, _ = served
    prompts = instructions.prompts(World.make(0), "train", 14)
    samples = [
        Samples(
            id=f"samples-{n}",
            prompt=one,
            responses=tuple(
                Response(text=Labelers.make(0).train[k].demonstrate(one).response, policy=f"model-{k}", finish="eos")
                for k in range(4)
            ),
        )
        for n, one in enumerate(prompts[6:])
    ]
    records.write(tmp_path / "prompts.jsonl", prompts[:6])
    records.write(tmp_path / "samples.jsonl", samples)
    (tmp_path / "guide.md").write_text("# Be helpful\n")
    run("guideline", tmp_path / "guide.md", "--version", "2", "--data", data)
    for name, file in (("writing", "prompts.jsonl"), ("ranking", "samples.jsonl")):
        plan = ("--guideline", "2", "--overlap", 2, "--shared", 0, "--reviews", 1)
        run("import", tmp_path / file, "--name", name, *plan, "--data", data)
    capsys.readouterr()
    run("key", "ring", "--scopes", "people", "status", "export", "import", "--data", data)
    key = capsys.readouterr().out.strip()
    monkeypatch.setenv("ASSENT_LABEL_KEY", key)
    files = (tmp_path / "prompts.jsonl", tmp_path / "samples.jsonl")
    run("simulate", *files, "--url", url, "--labelers", 4, "--threads", 2)
    assert "40 tasks done by 4 labelers" in capsys.readouterr().out
    run("freeze", "ranking", "--data", data)
    run("export", "ranking", "--output", tmp_path / "ranking", "--data", data)
    run("export", "writing", "--output", tmp_path / "writing", "--data", data)
    made = list(records.read(tmp_path / "writing" / "demonstrations.jsonl", Demonstration))
    assert {one.prompt.id for one in made} == {one.id for one in prompts[:6]}
    assert len(made) == 12
    reviews = list(records.read(tmp_path / "writing" / "ratings.jsonl", Rating))
    assert {one.id.rpartition("/")[0]: one.response.text for one in reviews} == {one.id: one.response for one in made}
    rankings = list(records.read(tmp_path / "ranking" / "rankings.jsonl", Ranking))
    assert len(rankings) == 16
    truth = {
        labeler.rank(one.prompt, [Response(text=r.text) for r in one.responses]).ranks
        for one in samples
        for labeler in Labelers.make(0).train[:4]
    }
    assert {one.ranks for one in rankings} <= truth
    assert len(list(records.read(tmp_path / "ranking" / "ratings.jsonl", Rating))) == 64
    assert {response.policy for one in rankings for response in one.responses} == {f"model-{k}" for k in range(4)}
    with Client(url, key) as client:
        assert client.rankings("ranking") == rankings
        assert client.status("ranking")["state"] == "frozen"
        with pytest.raises(ClientError, match="404, there is no batch 'x'"):
            client.status("x")
    run("backup", tmp_path / "all.jsonl.gz", "--data", data)
    run("verify", "--data", data)
    assert "everything is in order" in capsys.readouterr().out


def test_a_server_for_others_needs_https(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--https"):
        run("serve", "--host", "0.0.0.0", "--data", tmp_path)


def test_simulation_without_a_key_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ASSENT_LABEL_KEY", raising=False)
    with pytest.raises(ValueError, match="assent label key"):
        run("simulate", tmp_path / "x.jsonl")


def test_the_commands_start_without_torch() -> None:
    code = (
        "import sys; from assent.commands.label import Label; import assent.label.app; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_the_whole_ring_runs_through_the_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prompts, people over HTTP, export, SFT, samples, people again, export, reward model; every step by a command."""
    from scripts import label_ring

    size = label_ring.Size(prompts=12, rank=8, responses=3, labelers=3)
    found = label_ring.ring(tmp_path, size)
    assert found == {"demonstrations": 16, "rankings": 12, "sft": True, "reward": True}  # a fifth is done by three
    made = list(records.read(tmp_path / "ranking" / "rankings.jsonl", Ranking))
    assert {response.policy for one in made for response in one.responses} == {"sft"}
    assert all(len(one.responses) == 3 for one in made)
    for step, file in (("sft", "writing/demonstrations.jsonl"), ("reward", "ranking/rankings.jsonl")):
        said = json.loads((tmp_path / file).with_name("manifest.json").read_text())["files"][Path(file).name]
        assert said["sha256"] == hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
        run = json.loads((tmp_path / step / "run.json").read_text())  # which knows what it was trained on
        assert run["parents"]["data"]["sha256"] == digest(tmp_path / file)
    said = capsys.readouterr().out
    assert label_ring.ring(tmp_path, size) == found  # what is done is not done again
    assert "assent label import" in said
    assert "assent label import" not in capsys.readouterr().out
