"""Contracts 1, 2 and 4: layout, splitting and neighbours never change a number."""

import math
import shutil
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny
from torch import Tensor

from assent.engine import decoding, generate
from assent.engine.batches import RankingBatch, TextBatch, in_order, micro_batches
from assent.engine.choice import choose
from assent.engine.decoding import Steps, pick
from assent.engine.forward import PlainForward, RowForward
from assent.engine.generate import Key, uniforms
from assent.engine.learner import Learner, NotFiniteError, Optimiser
from assent.engine.logits import chosen_logprobs
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, Lora, ScalarModel
from assent.objectives import TextTerms, next_token_loss
from assent.train.reward import ranked

COMMON = {"vocab_size": 300, "pad_token_id": None, "bos_token_id": None, "eos_token_id": 0}
SMALL = COMMON | {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SMALL | {"num_key_value_heads": 2}


def foreign(family: str) -> Any:
    """A small model of another family."""
    import transformers as hf

    torch.manual_seed(0)
    if family == "gpt2":
        return hf.GPT2LMHeadModel(hf.GPT2Config(**COMMON, n_embd=16, n_layer=2, n_head=2, n_positions=64)).eval()
    if family == "bloom":
        return hf.BloomForCausalLM(hf.BloomConfig(**COMMON, hidden_size=16, n_layer=2, n_head=2)).eval()
    if family == "neox":
        return hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SMALL)).eval()
    if family == "granite":  # its logits are scaled, and transformers has no classifier for it
        return hf.GraniteForCausalLM(hf.GraniteConfig(**GROUPED, logits_scaling=3.0)).eval()
    if family == "mistral":
        return hf.MistralForCausalLM(hf.MistralConfig(**GROUPED, sliding_window=4)).eval()
    return hf.LlamaForCausalLM(hf.LlamaConfig(**GROUPED)).eval()


def gradients(module: Any, loss: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def weigh(values: Tensor) -> Tensor:
    """A number that every entry moves differently, so that a swap shows."""
    flat = values.flatten()
    return (flat * torch.linspace(0.5, 1.5, len(flat), dtype=flat.dtype)).sum()


# -- contract 1: layout --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "neox"])
@pytest.mark.parametrize("verb", ["logprobs", "states_before", "states_at_end"])
def test_a_row_gives_the_numbers_and_gradients_of_single_sequences(family: str, verb: str) -> None:
    module = foreign(family).double()
    batch = tiny.rankings(4) if verb == "states_at_end" else tiny.texts(7, longest=12)
    arguments: tuple[Any, ...] = (batch.prompts, batch.responses, *((0.7,) if verb == "logprobs" else ()))
    plain = getattr(PlainForward(module, tiny.MACHINE), verb)(*arguments)
    expected = gradients(module, weigh(plain))
    forward = choose(module, tiny.MACHINE, pytest.fail)
    assert isinstance(forward, RowForward)
    row = getattr(forward, verb)(*arguments)
    found = gradients(module, weigh(row))
    torch.testing.assert_close(row, plain, atol=1e-9, rtol=1e-9)
    assert expected.keys() == found.keys()
    close = {"atol": 1e-9, "rtol": 1e-7} if family == "gpt2" else {"atol": 1e-6, "rtol": 1e-5}  # Llama norms in fp32
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, **close)


def test_a_family_that_rows_cannot_express_is_computed_plainly_and_says_so() -> None:
    said: list[str] = []
    assert isinstance(choose(foreign("bloom"), tiny.MACHINE, said.append), PlainForward)
    assert "one at a time" in said[0]


@pytest.mark.parametrize("piece", [1, 64, 10_000])
def test_the_vocabulary_in_pieces_is_log_softmax(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.engine.logits.PIECE", {"cpu": piece})
    states, weight, bias = (torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((5, 4), (9, 4), (9,)))
    targets = torch.tensor([0, 8, 3, 3, 5])
    expected = ((states @ weight.t() + bias) / 0.7).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    found = chosen_logprobs(states, weight, bias, targets, 0.7)
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        *(torch.autograd.grad(weigh(x), (states, weight, bias)) for x in (found, expected)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_batches_select_and_split() -> None:
    batch = tiny.texts(9)
    groups = micro_batches(batch.sizes, 20)
    assert sorted(i for group in groups for i in group) == list(range(9))
    assert all(sum(batch.sizes[i] for i in group) <= 20 or len(group) == 1 for group in groups)
    parts = [torch.cat(batch.select(group).responses) for group in groups]
    assert torch.equal(in_order(groups, parts, batch.lengths.tolist()), torch.cat(batch.responses))
    with pytest.raises(AssertionError, match="empty"):
        TextBatch((torch.tensor([1]),), (torch.zeros(0, dtype=torch.int64),))


# -- contract 2: any split, the same step --------------------------------------------------------------------------


def next_token(model: LanguageModel, part: TextBatch) -> TextTerms:
    return next_token_loss(model.logprobs(part))


def learned(blank: Path, tokens: int, batch: TextBatch | RankingBatch) -> dict[str, Tensor]:
    machine = replace(tiny.MACHINE, tokens=tokens)
    if isinstance(batch, TextBatch):
        model: Any = LanguageModel.load(blank, machine)
        loss: Any = next_token
    else:
        model = ScalarModel.fresh(blank, machine, seed=0)
        loss = partial(ranked, "pairs")
    model.module.double()
    model.bias = model.bias.double() if hasattr(model, "bias") else None
    learner = Learner(model, Optimiser(learning_rate=1e-3), lambda update: 1.0)
    measured = learner.backward(loss, batch)
    assert measured["loss"] > 0
    return dict(learner._merged)


@pytest.mark.parametrize("batch", [tiny.texts(12), tiny.rankings(6)], ids=["texts", "rankings"])
def test_micro_batches_do_not_change_the_gradient(blank: Path, batch: TextBatch | RankingBatch) -> None:
    whole, parts = learned(blank, 10_000, batch), learned(blank, 24, batch)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, atol=1e-12, rtol=1e-9, msg=name)


def test_k_responses_with_a_shared_prompt_score_as_k_texts(blank: Path) -> None:
    model = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    batch = tiny.rankings(5)
    apart = TextBatch(
        tuple(p for p, group in zip(batch.prompts, batch.responses, strict=True) for _ in group),
        tuple(one for group in batch.responses for one in group),
    )
    torch.testing.assert_close(model.score(batch), model.score(apart), atol=1e-5, rtol=1e-4)


def test_two_parts_before_a_step_add_up_to_equation_2(blank: Path) -> None:
    """PPO's gradient plus gamma times the pretraining gradient, in the same buffers."""
    first, second = tiny.texts(4, 1), tiny.texts(5, 2)
    learner = Learner(tiny.model(blank), Optimiser(learning_rate=1e-3), lambda update: 1.0)
    measured = [learner.backward(next_token, first), learner.backward(next_token, second, weight=27.8)]
    model = tiny.model(blank)
    total = -model.logprobs(first).mean() - 27.8 * model.logprobs(second).mean()
    expected = gradients(model.module, total)
    for name, gradient in expected.items():
        torch.testing.assert_close(learner._merged[name], gradient, atol=1e-5, rtol=1e-4)
    alone = gradients(model.module, -27.8 * model.logprobs(second).mean())
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in alone.values()))
    assert measured[1]["gradient_norm"] == pytest.approx(norm, rel=1e-4)


def test_a_step_clips_averages_and_follows_the_schedule(blank: Path) -> None:
    learner = Learner(
        tiny.model(blank), Optimiser(learning_rate=1e-2, clip=1e-3), lambda update: 0.5, average_decay=0.9
    )
    before = {name: p.detach().clone() for name, p in learner.parameters.items()}
    learner.backward(next_token, tiny.texts(4))
    measured = learner.step()
    assert measured["learning_rate"] == 5e-3
    assert measured["gradient_norm/total"] > 1e-3
    moments = [learner.optimiser.state[p]["exp_avg"] / 0.1 for p in learner.parameters.values()]
    norm = torch.linalg.vector_norm(torch.cat([m.flatten() for m in moments]))
    assert float(norm) == pytest.approx(1e-3, rel=1e-2)
    for name, p in learner.parameters.items():
        torch.testing.assert_close(learner.average[name], 0.9 * before[name] + 0.1 * p.detach())
    name, weights = next(iter(learner.parameters.items()))
    now = weights.detach().clone()
    with learner.averaged():
        assert torch.equal(weights.detach(), learner.average[name])
    assert torch.equal(weights.detach(), now)


def test_a_gradient_that_is_not_finite_changes_nothing(blank: Path) -> None:
    model = tiny.model(blank)
    learner = Learner(model, Optimiser(learning_rate=1e-2), lambda update: 1.0)
    before = {name: p.detach().clone() for name, p in learner.parameters.items()}
    learner.backward(lambda model, part: TextTerms(model.logprobs(part) * float("inf")), tiny.texts(2))
    with pytest.raises(NotFiniteError, match="no weight was changed"):
        learner.step()
    assert all(torch.equal(before[name], p) for name, p in learner.parameters.items())


def test_dropout_is_on_in_training_alone_and_a_function_of_its_place(blank: Path) -> None:
    def norm(seed: int) -> float:
        learner = Learner(tiny.model(blank), Optimiser(learning_rate=1), lambda u: 1.0, dropout=0.5, seed=seed)
        scored = learner.model.logprobs(batch).mean().item()
        assert scored == pytest.approx(tiny.model(blank).logprobs(batch).mean().item(), abs=1e-7)
        return learner.backward(next_token, batch)["gradient_norm"]

    batch = tiny.texts(4)
    assert norm(0) == norm(0) != norm(1)


def test_the_reference_of_an_adapted_policy_is_what_lies_under_the_adapter(blank: Path, tmp_path: Path) -> None:
    model = LanguageModel.load(blank, tiny.MACHINE, lora=Lora(rank=4))
    batch = tiny.texts(4)
    start = tiny.model(blank).logprobs(batch).detach()
    reference = model.reference()
    learner = Learner(model, Optimiser(learning_rate=0.1), lambda update: 1.0)
    assert set(learner.parameters) == {name for name in learner.parameters if "lora_" in name}
    learner.backward(next_token, batch)
    learner.step()
    torch.testing.assert_close(reference.logprobs(batch), start)
    moved = model.logprobs(batch).detach()
    assert float((moved - start).abs().max()) > 1e-3
    model.save(tmp_path)
    torch.testing.assert_close(tiny.model(tmp_path).logprobs(batch).detach(), moved, atol=1e-5, rtol=1e-4)


def test_values_and_scores_are_read_where_they_belong(blank: Path, tmp_path: Path) -> None:
    """The score is the scalar after the last token, values[t] the scalar before token t; both keep their bias."""
    model = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    batch = tiny.texts(5)
    model.calibrate(1.5)
    states = [
        model.module.base_model(torch.cat([p, r])[None], use_cache=False).last_hidden_state[0]
        if isinstance(model.forward, PlainForward)
        else PlainForward(foreign_copy(model), tiny.MACHINE)._states(p, r)
        for p, r in zip(batch.prompts, batch.responses, strict=True)
    ]
    scalars = [one @ model.module.score.weight[0] + 1.5 for one in states]
    torch.testing.assert_close(model.score(batch), torch.stack([one[-1] for one in scalars]), atol=1e-5, rtol=1e-4)
    before = [one[len(p) - 1 : -1] for one, p in zip(scalars, batch.prompts, strict=True)]
    torch.testing.assert_close(model.values(batch), torch.cat(before), atol=1e-5, rtol=1e-4)
    model.save(tmp_path)
    again = ScalarModel.load(tmp_path, tiny.MACHINE)
    torch.testing.assert_close(again.score(batch), model.score(batch))


def foreign_copy(model: ScalarModel) -> Any:
    """The module with transformers' own attention."""
    import copy

    module = copy.deepcopy(model.module)
    module.set_attn_implementation("eager")
    return module


@pytest.mark.parametrize("family", ["gpt2", "neox", "granite", "bloom"])
def test_every_family_makes_a_reward_model_that_comes_back(family: str, blank: Path, tmp_path: Path) -> None:
    shutil.copytree(blank, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    foreign(family).save_pretrained(tmp_path / "model")
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of the plain path
        made = ScalarModel.fresh(tmp_path / "model", tiny.MACHINE, seed=0)
        made.calibrate(0.5)
        made.save(tmp_path / "reward")
        back = ScalarModel.load(tmp_path / "reward", tiny.MACHINE)
    batch = tiny.texts(4)
    torch.testing.assert_close(back.score(batch), made.score(batch))
    assert made.score(batch).std() > 0.01


def test_a_folder_that_is_no_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for load in (LanguageModel.load, ScalarModel.load, partial(ScalarModel.fresh, seed=0)):
        with pytest.raises(ValueError, match="is not a model directory"):
            load(tmp_path, tiny.MACHINE)


def test_an_uncalibrated_reward_model_does_not_load(blank: Path, tmp_path: Path) -> None:
    ScalarModel.fresh(blank, tiny.MACHINE, seed=0).save(tmp_path)
    with pytest.raises(ValueError, match="demonstrations"):
        ScalarModel.load(tmp_path, tiny.MACHINE)


# -- contract 4: sampling ------------------------------------------------------------------------------------------


def test_the_sampler_sees_what_the_scorer_sees(blank: Path) -> None:
    model = tiny.model(blank)
    for temperature in (1.0, 0.7):
        sampled = model.sample(tiny.texts(9).prompts, 12, temperature, Key(3, 1))
        torch.testing.assert_close(sampled.logprobs, model.logprobs(sampled, temperature), atol=1e-4, rtol=1e-4)
        assert {len(ids) for ids in sampled.responses} <= set(range(1, 13))
        for ids, ended in zip(sampled.responses, sampled.ended, strict=True):
            assert ended == (ids[-1] == model.text.end)
            assert model.text.end not in ids[:-1]
            assert ended or len(ids) == 12


def test_a_sample_stops_where_its_end_token_first_stands(blank: Path) -> None:
    """Whatever token ends a response, what comes before it is what would have come anyway."""
    prompts = tiny.texts(9).prompts
    free, bound = tiny.model(blank), tiny.model(blank, cache_tokens=60)
    free.text.end = -1  # no token: every response runs into the limit
    whole = free.sample(prompts, 12, 1.0, Key(3, 1))
    assert not any(whole.ended)
    bound.text.end = int(whole.responses[2][4])
    cut = bound.sample(prompts, 12, 1.0, Key(3, 1))
    assert any(cut.ended)
    for ids, expected, ended in zip(cut.responses, whole.responses, cut.ended, strict=True):
        places = (expected == bound.text.end).nonzero()[:, 0].tolist()
        assert ids.tolist() == expected[: places[0] + 1 if places else 12].tolist()
        assert ended == bool(places)


@pytest.mark.parametrize("in_one_call", [True, False])
def test_steps_replayed_from_a_recording_draw_the_same(
    blank: Path, monkeypatch: pytest.MonkeyPatch, in_one_call: bool
) -> None:
    """As on a GPU: for rounded numbers of slots, many steps before a look, and what goes on too far is dropped."""
    prompts = [*tiny.texts(9, longest=20).prompts, *tiny.texts(3).prompts]
    model = tiny.model(blank, cache_tokens=120)  # three or four slots: they are filled again and again
    model.forward.in_one_call = in_one_call  # pyright: ignore[reportAttributeAccessIssue]
    expected = model.sample(prompts, 25, 1.0, Key(3, 1))
    recorded: list[int] = []

    def record(graph: Any, step: Any, following: Any, length: int) -> None:
        step(graph.tokens, graph.places, graph.uniform[0], length)
        recorded.append(len(graph.tokens))
        graph.recorded = SimpleNamespace(replay=partial(graph._once, step, following, length))

    def run(steps: Steps, tokens: Tensor, places: Tensor, uniform: Tensor) -> Any:
        return steps._recorded(tokens, places).run(uniform)

    monkeypatch.setattr(decoding._Graph, "record", record)
    monkeypatch.setattr(Steps, "run", run)
    monkeypatch.setitem(decoding.LOOK, "cpu", decoding.LOOK["cuda"])
    found = model.sample(prompts, 25, 1.0, Key(3, 1))
    assert len(recorded) > 1
    for one, other in zip(found.responses, expected.responses, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(found.logprobs, expected.logprobs)


def test_a_sample_does_not_depend_on_its_batch_or_the_size_of_the_cache(
    blank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [*tiny.texts(7).prompts, tiny.texts(7).prompts[2]]
    found = tiny.model(blank).sample(prompts, 10, 1.0, Key(5, 2))
    for cache in (12, 60, 5000):
        again = tiny.model(blank, cache_tokens=cache).sample(prompts, 10, 1.0, Key(5, 2))
        assert all(torch.equal(a, b) for a, b in zip(found.responses, again.responses, strict=True))
    with monkeypatch.context() as few:
        few.setattr(generate, "SLOTS", 2)
        again = tiny.model(blank).sample(prompts, 10, 1.0, Key(5, 2))
        assert all(torch.equal(a, b) for a, b in zip(found.responses, again.responses, strict=True))
    alone = tiny.model(blank).sample([prompts[7]], 10, 1.0, Key(5, 2, first=7))
    assert torch.equal(alone.responses[0], found.responses[7])
    assert not torch.equal(found.responses[2], found.responses[7])  # the same prompt, another number
    other = tiny.model(blank).sample(prompts, 10, 1.0, Key(6, 2))
    assert not all(torch.equal(a, b) for a, b in zip(found.responses, other.responses, strict=True))


def test_the_plain_path_samples_the_same(blank: Path) -> None:
    prompts = tiny.texts(3).prompts
    row, plain = tiny.model(blank), tiny.model(blank)
    plain.module.set_attn_implementation("eager")
    plain.forward = PlainForward(plain.module, tiny.MACHINE)
    one, other = (model.sample(prompts, 6, 1.0, Key(1, 0)) for model in (row, plain))
    assert all(torch.equal(a, b) for a, b in zip(one.responses, other.responses, strict=True))


def test_tokens_are_drawn_with_their_probabilities() -> None:
    """An even grid of uniform numbers gives every token its share, to within one cell of the grid."""
    logits = torch.tensor([0.0, 1.0, -2.0, 0.5])
    grid = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    tokens, logprobs = pick(logits.expand(4000, -1), grid, 2.0)
    expected = (logits / 2).softmax(0)
    shares = torch.bincount(tokens, minlength=4) / 4000
    torch.testing.assert_close(shares, expected, atol=1 / 2000, rtol=0)
    torch.testing.assert_close(logprobs, expected.log()[tokens])
    assert pick(logits[None], torch.tensor([0.99]), 0)[0].tolist() == [1]


def test_uniform_numbers_are_uniform_and_a_function_of_their_key() -> None:
    sequences, positions = np.arange(20_000) % 100, np.arange(20_000) // 100
    found = uniforms(Key(0, 0), sequences, positions)
    assert np.histogram(found, 10, (0, 1))[0] == pytest.approx(2000, rel=0.1)
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.02
    assert len(np.unique(found)) == 20_000
    for key in (Key(1, 0), Key(0, 1), Key(0, 0, 1)):
        assert not np.array_equal(uniforms(key, sequences, positions), found)


def test_bf16_stays_within_what_the_machine_tolerates(blank: Path) -> None:
    machine = Machine(device="cpu", precision="bf16")
    batch = tiny.texts(20)
    exact, rounded = tiny.model(blank).logprobs(batch), LanguageModel.load(blank, machine).logprobs(batch)
    assert (exact - rounded).abs().mean().item() < 0.02
    assert rounded.dtype == torch.float32
