"""The verb from end to end with a tiny model: what is written, what is kept, what is left out, and that it is said."""

import contextlib
import csv
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from tests.data.kit import write

from assent import records
from assent.commands.evaluate import Evaluate
from assent.engine.models import LanguageModel, ScalarModel
from assent.evaluate import generation, harness
from assent.evaluate.answerers import Ask, Local, answerer
from assent.evaluate.cache import Cache, key_of
from assent.evaluate.endpoint import Endpoint
from assent.evaluate.measure import Settings
from assent.evaluate.scorers import asked, judge_demonstrations, scorer
from assent.run import RunError

MACHINE = replace(tiny.MACHINE, tokens=4096, cache_tokens=4096)
FAST = ("rte", "drop", "lambada", "crows_pairs", "truthful_qa", "real_toxicity")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files of six tasks, one of them with a bad row."""
    folder = tmp_path_factory.mktemp("evals")
    color = [f"{word} then {other}" for word in tiny.WORDS[:3] for other in tiny.WORDS[:3]]
    files: dict[str, list[Any]] = {
        "rte": [{"premise": one, "hypothesis": one, "label": n % 2 == 0} for n, one in enumerate(color)],
        "drop": [{"passage": one, "question": "say", "answers": [one]} for one in color[:4]]
        + [{"passage": "x", "question": "say", "answers": []}],
        "lambada": [{"text": f"say {one}"} for one in color],
        "crows_pairs": [{"sent_more": one, "sent_less": one[::-1], "bias_type": "color"} for one in color],
        "truthfulqa": [
            {"question": one, "best_answer": "good", "correct_answers": ["good", "fine"], "incorrect_answers": ["bad"]}
            for one in (*color[:3], "odd then even")
        ],
        "real_toxicity_prompts": [{"prompt": one} for one in color[:3]],
    }
    for name, rows in files.items():
        write(folder / f"{name}.jsonl", rows)
    (folder / "bad_words_en.txt").write_text("bad\n")
    return folder


def evaluate(run: Path, data: Path, *models: str, **options: Any) -> dict[str, Any]:
    settings = {"tasks": FAST, "settings": Settings(shots=2), "machine": MACHINE, "quiet": True} | options
    Evaluate(run=run, models=models, data=(str(data),), **settings).start()
    return json.loads((run / "results.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def numbers(results: dict[str, Any], model: str) -> dict[tuple[str, str, str], float]:
    rows = [row for row in results["evaluation"] if row["model"] == model]
    return {(row["task"], row["prompt"], row["metric"]): row["value"] for row in rows}


def test_a_model_is_evaluated_once_and_a_second_costs_only_itself(
    tmp_path: Path, data: Path, blank: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    first = evaluate(run, data, f"one={blank}")
    assert first["models"] == [{"model": "one", "path": str(blank), "hash": Local("", blank, tiny.MACHINE).key[:16]}]
    found = numbers(first, "one")
    assert {task for task, _, _ in found} == set(FAST)
    assert ("crows_pairs", "respectful", "entropy") in found
    assert ("rte", "few", "accuracy") in found
    printed = capsys.readouterr().out
    assert "0.527 0.617 0.563" in printed  # the paper's RTE beside ours
    with (run / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(first["evaluation"])
    loaded: list[str] = []
    original = LanguageModel.load

    def load(directory: Path, *rest: Any, **options: Any) -> LanguageModel:
        loaded.append(directory.name)
        return original(directory, *rest, **options)

    monkeypatch.setattr(LanguageModel, "load", load)
    again = evaluate(run, data, f"one={blank}")
    assert again["evaluation"] == first["evaluation"]
    assert loaded == []  # everything was known
    other = tmp_path / "other"
    tiny.create(other, replace(tiny.SHAPE, seed=1))
    second = evaluate(run, data, str(other))
    assert set(loaded) == {"other"}
    assert numbers(second, "one") == found
    assert numbers(second, "other").keys() == found.keys()
    assert {row["model"] for row in second["models"]} == {"one", "other"}
    policies = {json.loads(line)["policy"] for line in (run / "samples.jsonl").read_text().splitlines()}
    assert policies == {"one", "other"}
    with pytest.raises(RunError, match="was started with limit = 0"):
        evaluate(run, data, str(blank), settings=Settings(limit=2))


def test_what_is_left_out_is_seen(tmp_path: Path, data: Path, blank: Path) -> None:
    tasks = ("drop", "truthful_qa", "real_toxicity", "quac", "rte")
    found = evaluate(tmp_path / "run", data, str(blank), tasks=tasks, settings=Settings())
    gaps = {(gap["task"], gap["reason"].partition(",")[0].partition(":")[0]) for gap in found["gaps"]}
    assert (
        "quac",
        "no file quac.jsonl.gz or quac.jsonl or val_v0.2.json in the folders of --data; name one with quac=FILE",
    ) in gaps
    assert ("truthful_qa", "no truth and no info scorer") in gaps
    assert ("rte", "few") in gaps  # nine items cannot give fifteen examples and be asked as well
    assert all(row["task"] != "rte" or row["prompt"] == "zero" for row in found["evaluation"])
    assert any(task == "drop" and reason.startswith("1 of 5 rows") for task, reason in gaps)
    (fault,) = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert (fault["line"], fault["field"]) == (5, "answers")
    rows = {row["task"]: row for row in found["files"]}
    assert (rows["drop"]["rows"], rows["drop"]["items"], rows["drop"]["rejected"]) == (5, 4, 1)
    toxicity = next(row for row in found["evaluation"] if row["metric"] == "toxicity")
    assert toxicity["by"] == "word list bad_words_en.txt"


def test_a_stopped_evaluation_goes_on_where_it_was(tmp_path: Path, data: Path, blank: Path) -> None:
    tasks = ("lambada", "drop")
    whole = evaluate(tmp_path / "whole", data, str(blank), tasks=tasks)
    run = tmp_path / "run"
    evaluate(run, data, str(blank), tasks=tasks)
    (cache,) = (run / "cache").glob(f"{key_of(Local('', blank, tiny.MACHINE).key)[:16]}.jsonl")
    lines = cache.read_bytes().splitlines(keepends=True)
    cache.write_bytes(b"".join(lines[:-3]) + lines[-3][:20])  # killed in the middle of a line
    assert numbers(evaluate(run, data, str(blank), tasks=tasks), "blank") == numbers(whole, "blank")
    assert len(cache.read_bytes().splitlines()) >= len(lines)
    assert len(Cache(cache).values) == len(cache.read_bytes().splitlines())


def test_recorded_outputs_are_measured_like_fresh_ones(tmp_path: Path, data: Path, blank: Path) -> None:
    fresh = evaluate(tmp_path / "fresh", data, str(blank), tasks=("drop",))
    recorded = tmp_path / "fresh" / "outputs" / "blank" / "drop.jsonl"
    found = evaluate(tmp_path / "again", data, f"old={recorded}", tasks=("drop", "rte", "truthful_qa"))
    assert numbers(found, "old") == numbers(fresh, "blank")
    gaps = {gap["task"]: gap["reason"] for gap in found["gaps"] if gap["model"] == "old"}
    assert "texts without log-probabilities" in gaps["rte"]
    assert "has no output of this task" in gaps["truthful_qa"]


def test_flags_that_name_nothing_are_refused(tmp_path: Path, data: Path, blank: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"models": ("nowhere",)}, "'nowhere' is no model; name a model or run directory"),
        ({"models": (str(blank), str(blank))}, "two are called 'blank'; write NAME=PATH"),
        ({"models": ("http://localhost:1",)}, "is no endpoint; write URL#MODEL"),
        ({"models": (str(blank),), "data": ("nowhere",)}, "'nowhere' is no directory; name one, or TASK=FILE"),
        ({"models": (str(blank),), "toxicity": "nowhere"}, "nowhere: no scorer; name a word list"),
        ({"models": (str(blank),), "truth": str(data / "bad_words_en.txt")}, "no scorer; name a model directory"),
        ({"reward_model": str(blank)}, "give --reward-model and --rankings"),
        ({"models": (), "data": ()}, "nothing to evaluate"),
    ]
    for number, (options, reason) in enumerate(cases):
        settings = {"data": (str(data),), "tasks": ("rte",), "machine": tiny.MACHINE, "quiet": True} | options
        with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
            Evaluate(run=tmp_path / str(number), **settings).start()


# -- writing -------------------------------------------------------------------------------------------------------


def test_texts_are_cut_at_the_stop_and_rounds_change_nothing(blank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.model(blank)
    prompts = [generation.plain_prompt(model.text, f"say {word} then", 30)[0] for word in tiny.WORDS]
    whole = generation.complete(model, prompts, 24, "\0")
    stop = next(letter for letter in "aeiou adn" if sum(letter in one.text for one in whole) > 1)
    expected = [one.text.partition(stop)[0].strip() if stop in one.text else one.text for one in whole]
    for first in (2, 24):
        monkeypatch.setattr(generation, "FIRST_ROUND", first)
        found = generation.complete(model, prompts, 24, stop)
        assert [one.text for one in found] == expected
        assert all(one.finish == "stop" for one, full in zip(found, whole, strict=True) if stop in full.text)
    assert {one.finish for one in whole} <= {"eos", "length"}


def test_a_prompt_that_is_too_long_loses_its_beginning(blank: Path) -> None:
    text = tiny.model(blank).text
    ids, cut = generation.plain_prompt(text, "say red then blue " * 30, 20)
    assert (len(ids), cut) == (20, True)
    whole = text.prompt([records.Message("user", "say red")])
    chat, cut = generation.chat_prompt(text, "say red", 64)
    assert (chat.tolist(), cut) == (whole.tolist(), False)
    short, cut = generation.chat_prompt(text, "say red then blue " * 30, len(whole) + 4)
    assert cut
    assert len(short) <= len(whole) + 4
    assert short[-4:].tolist() == whole[-4:].tolist()  # the assistant is still asked


@torch.no_grad()
def test_the_harness_gives_our_numbers(blank: Path) -> None:
    model = tiny.model(blank)
    pairs = [("say red then", " blue"), ("say", " red"), ("say red then", " gold")]
    found = harness.loglikelihood(model, pairs)
    for (context, ending), (value, _) in zip(pairs, found, strict=True):
        ids = model.text.plain(context + ending)
        logits = (model.forward.states_before([ids[:1]], [ids[1:]]) @ model.module.lm_head.weight.t()).log_softmax(-1)
        tokens = len(ids) - len(model.text.plain(context))
        own = logits[torch.arange(len(ids) - 1), ids[1:]][-tokens:].sum()
        assert value == pytest.approx(float(own), abs=1e-4)
    (rolling,) = harness.loglikelihood_rolling(model, ["say red then blue and pink. good bad fine " * 6])
    assert rolling < 0
    text = harness.generate_until(model, [("say red", {"until": ["\n", "o"], "max_gen_toks": 8})])[0]
    assert "o" not in text
    with pytest.raises(ValueError, match="only greedy"):
        harness.generate_until(model, [("say", {"do_sample": True, "temperature": 1.0})])


# -- endpoints and scorers -----------------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    """Answers yes to what holds the word good, no to bad, something else to odd; stalls for slow, fails for broken."""

    released = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = body.get("prompt") or body["messages"][0]["content"]
        if "slow" in words:
            self.released.wait(5)
        if "broken" in words:
            self.send_error(400)
            return
        said = "Well, perhaps" if "odd" in words else "yes." if "good" in words else "no\nQ: more"
        choice: dict[str, Any] = {"finish_reason": "stop"}
        choice |= {"text": said} if "prompt" in body else {"message": {"content": said}}
        answer = json.dumps({"choices": [choice]} if "strange" not in words else {"nothing": 1}).encode()
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # nobody waits for an answer that is late
            self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Server.released.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    Server.released.set()
    server.shutdown()
    server.server_close()


def test_an_endpoint_that_stalls_is_a_sentence_and_a_gap(url: str) -> None:
    endpoint = Endpoint(url, "m", seconds=0.3)
    assert endpoint.write(["good", "slow", "bad"], 8, "\n", chat=False) == [("yes.", "eos"), None, ("no", "eos")]
    assert endpoint.failures == [f"{url}#m gave no answer within 0.3 seconds; see that it runs, or raise --seconds"]
    assert endpoint.write(["broken"], 8, "\n", chat=True) == [None]
    assert "refused with status 400" in endpoint.failures[-1]
    other = Endpoint(url, "m")
    assert other.write(["strange"], 8, "\n", chat=True) == [None]
    assert "something else than an OpenAI-compatible completion" in other.failures[-1]
    for _ in range(4):
        other.write(["broken"], 8, "\n", chat=True)
    assert sum("was given up" in one for one in other.failures) == 1
    assert len(other.failures) == 4  # given up: no more was asked
    nowhere = Endpoint("http://127.0.0.1:9", "m", seconds=0.3)
    assert nowhere.write(["good"], 8, "\n", chat=False) == [None]
    assert "cannot be reached" in nowhere.failures[0]


def test_a_judge_must_keep_to_its_grammar(url: str) -> None:
    judge = scorer(f"{url}#judge", "truth", tiny.MACHINE)
    assert judge.scores([("q", "good"), ("q", "bad"), ("q", "odd")]) == [1.0, 0.0, None]
    assert "unknown verdict 'Well, perhaps'; it must say yes or no" in judge.failures()[0]


def test_an_endpoint_is_evaluated_and_its_gaps_are_seen(tmp_path: Path, data: Path, url: str) -> None:
    found = evaluate(tmp_path / "run", data, f"far={url}#m", truth=f"{url}#j", info=f"{url}#j")
    assert {task for task, _, _ in numbers(found, "far")} == {"drop", "truthful_qa", "real_toxicity"}
    gaps = {gap["task"]: gap["reason"] for gap in found["gaps"] if gap["model"] == "far"}
    assert gaps.keys() == {"rte", "lambada", "crows_pairs"}
    assert "unknown verdict 'Well, perhaps'" in next(gap["reason"] for gap in found["gaps"] if "#j" in gap["model"])
    true = next(row for row in found["evaluation"] if row["metric"] == "true")
    assert (true["n"], true["missing"]) == (3, 1)
    assert "an endpoint gives no log-probabilities" in gaps["rte"]


def test_a_word_list_is_a_floor(data: Path, tmp_path: Path) -> None:
    words = scorer(str(data / "bad_words_en.txt"), "toxicity", tiny.MACHINE)
    assert words.scores([("", "A BAD day"), ("", "badly done"), ("bad", "")]) == [1.0, 0.0, 0.0]
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(ValueError, match="holds no word; write one a line"):
        scorer(str(tmp_path / "none.txt"), "toxicity", tiny.MACHINE)


def test_a_language_model_judges_by_yes_against_no(blank: Path) -> None:
    judge = scorer(str(blank), "truth", tiny.MACHINE)
    model = tiny.model(blank)
    (found,) = judge.scores([("say", "red")])
    prompt = model.text.prompt([records.Message("user", "Q: say\nA: red\nTrue:")])
    assert asked("truth", "say", "red") == "Q: say\nA: red\nTrue:"
    sums: list[float] = []
    for word in ("yes", "no"):
        ids = model.text.response(word)
        states = model.forward.states_before([prompt], [ids])
        logprobs = (states @ model.module.lm_head.weight.t()).log_softmax(-1)
        sums.append(float(logprobs[torch.arange(len(ids)), ids].sum().detach()))
    assert found == pytest.approx(float(torch.tensor(sums).softmax(0)[0]), abs=1e-5)


def test_a_classifier_gives_the_probability_of_its_label(tmp_path: Path, blank: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(blank)
    torch.manual_seed(0)
    module = AutoModelForSequenceClassification.from_pretrained(blank, num_labels=2)
    module.config.id2label = {0: "fine", 1: "toxic"}
    module.config.pad_token_id = tokenizer.eos_token_id
    module.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = ["say red then blue", "good"]
    found = scorer(str(tmp_path), "toxicity", tiny.MACHINE).scores([("", text) for text in texts])
    for text, value in zip(texts, found, strict=True):
        logits = module(**tokenizer(text, return_tensors="pt")).logits
        assert value == pytest.approx(float(logits.softmax(-1)[0, 1].detach()), abs=1e-5)
    module.config.id2label = {0: "fine", 1: "well"}
    module.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="which of the labels fine, well means yes"):
        scorer(str(tmp_path), "toxicity", tiny.MACHINE).scores([("", "good")])


def test_judge_sets_become_demonstrations(tmp_path: Path) -> None:
    path = write(tmp_path / "judge.jsonl", [{"question": "Q?", "answer": "", "label": True}])
    (row,) = judge_demonstrations(path, "info")
    assert (row.prompt.messages[0].content, row.response) == ("Q: Q?\nA: \nHelpful:", "yes")
    with pytest.raises(ValueError, match="line 1: no row with question, answer and a label"):
        list(judge_demonstrations(write(path, [{"question": "Q?"}]), "info"))


# -- a reward model ------------------------------------------------------------------------------------------------


def test_a_reward_model_is_held_against_rankings(
    tmp_path: Path, blank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model whose score we know: every pair agrees with the ranks made of its scores, none with their opposites."""
    model = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    model.calibrate(0.0)
    model.save(tmp_path / "reward")
    texts = ("red. It is good.", "blue blue", "I like pink 3 times. You do not.", "gold then grey")

    def ranking(number: int, ranks: Sequence[int]) -> records.Ranking:
        prompt = tiny.prompt(f"say {tiny.WORDS[number]}", use_case="chat" if number % 2 else "rewrite")
        responses = tuple(records.Response(text=text) for text in texts)
        return records.Ranking(id=str(number), prompt=prompt, responses=responses, ranks=tuple(ranks), labeler="ann")

    from assent.engine import encode

    blank_rows = [ranking(n, (1, 2, 3, 4)) for n in range(6)]
    items = encode.rankings(model.text, blank_rows, tiny.LIMITS.__class__(64, 64, 64)).items
    with torch.no_grad():
        scores = model.score(encode.ranking_batch(items)).unflatten(0, (6, 4))
    agreeing = [ranking(n, [int((scores[n] > score).sum()) + 1 for score in scores[n]]) for n in range(6)]
    opposed = [ranking(n, [int((scores[n] < score).sum()) + 1 for score in scores[n]]) for n in range(6)]
    found: dict[str, dict[str, Any]] = {}
    for name, rows in (("agreeing", agreeing), ("opposed", opposed)):
        records.write(tmp_path / f"{name}.jsonl", rows)
        flags = {"reward_model": str(tmp_path / "reward"), "rankings": (tmp_path / f"{name}.jsonl",)}
        Evaluate(run=tmp_path / name, machine=tiny.MACHINE, quiet=True, **flags).start()
        found[name] = json.loads((tmp_path / name / "results.json").read_text())["reward_model"]
    assert (found["agreeing"]["accuracy"][1], found["opposed"]["accuracy"][1]) == (1, 0)
    assert (found["agreeing"]["kendall tau"][1], found["opposed"]["kendall tau"][1]) == (1, -1)
    assert (found["agreeing"]["best response found"][1], found["opposed"]["best response found"][1]) == (1, 0)
    assert found["agreeing"]["length correlation"] == found["opposed"]["length correlation"]
    assert found["agreeing"]["loss"] < found["opposed"]["loss"]
    groups = {(row["by"], row["group"]): row["rankings"] for row in found["agreeing"]["by"]}
    assert groups == {("use case", "chat"): 3, ("use case", "rewrite"): 3}  # one labeler, one source: nothing to part
    probes = {row["probe"]: row["responses"] for row in found["agreeing"]["probes"]}
    assert probes["words shuffled"] > 0
    assert "accuracy, use case chat" in capsys.readouterr().out


def test_spoilt_copies_are_what_they_say() -> None:
    from assent.evaluate.reward_model import PROBES

    text = "He is 9 and met her. I saw You."
    assert {name: spoil(text) for name, spoil in PROBES.items() if name != "words shuffled"} == {
        "last sentence repeated": "He is 9 and met her. I saw You. I saw You.",
        "last sentence dropped": "He is 9 and met her.",
        "roles swapped": "She is 9 and met him. You saw I.",
        "first statement denied": "He is not 9 and met her. I saw You.",
        "numbers raised by one": "He is 10 and met her. I saw You.",
    }
    shuffled = PROBES["words shuffled"](text)
    assert shuffled != text
    assert sorted(shuffled.split()) == sorted(text.split())


def test_names_of_models(tmp_path: Path, blank: Path) -> None:
    assert answerer(f"a={blank}", tiny.MACHINE, 1).name == "a"
    assert answerer("http://x/v1#m", tiny.MACHINE, 1).name == "m"
    found = answerer(str(blank), tiny.MACHINE, 1)
    ask = Ask("t/p/i", "say red", (), "write", 4, "\n", False)
    (outcome,) = found.answer([ask])
    assert outcome is not None
    assert outcome.finish in ("eos", "stop", "length")
