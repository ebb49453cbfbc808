"""Contract 1 again, for every fast way: kernels, chunks of steps, narrowed, compiled and checkpointed layers."""

import mmap
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor

from assent.engine.attention import plans
from assent.engine.attention.plans import Cache, DecodePlan, PrefillPlan, RowPlan
from assent.engine.forward import RowForward
from assent.engine.generate import Key
from assent.engine.layout import Layout
from assent.engine.learner import Learner, Optimiser
from assent.engine.logits import chosen_logprobs
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, Lora, ScalarModel
from assent.engine.processor import attention as processor
from assent.engine.processor import compiled
from assent.train.sft import next_token

CPU = torch.device("cpu")
# heads, key heads, width of a head, window: grouped or not, widths that fill no vector, windows short and long
SHAPES = [(4, 4, 16, None), (6, 2, 20, None), (3, 1, 33, 5), (2, 2, 64, 40), (8, 4, 8, 2)]


def row(lengths: list[tuple[int, ...]]) -> Layout:
    """A layout of trees: the length of the prompt, then of its branches."""
    g = torch.Generator().manual_seed(0)
    trees = [[tiny.ids(n, g) for n in tree] for tree in lengths]
    return Layout.of([tree[0] for tree in trees], [tree[1:] for tree in trees], CPU)


def tensors(row: int, heads: int, key_heads: int, width: int, dtype: torch.dtype) -> list[Tensor]:
    g = torch.Generator().manual_seed(1)
    shapes = [(row, count, width) for count in (heads, key_heads, key_heads)]
    return [torch.randn(shape, generator=g).to(dtype).requires_grad_() for shape in shapes]


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = (tensor.detach().double() for tensor in (found, expected))
    return float((found - expected).norm() / expected.norm())


TREES = row([(5, 4), (1, 1), (60, 3, 41, 70), (7,), (2, 1, 1), (130, 9)])


@pytest.mark.skipif(compiled.kernels() is None, reason="no C++ compiler")
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernels_agree_with_slices_forward_and_backward(
    shape: tuple[int, int, int, int | None], dtype: torch.dtype, bound: float
) -> None:
    heads, key_heads, width, window = shape
    given = tensors(len(TREES.ids), heads, key_heads, width, dtype)
    assert processor.takes(*given)
    query, key, value = given
    found = RowPlan(TREES).attend(0, query, key, value, 0.3, window)
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    assert not processor.takes(*exact)
    expected = RowPlan(TREES).attend(0, exact[0], exact[1], exact[2], 0.3, window)
    assert found.dtype == dtype
    assert relative(found, expected) < bound
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(found, given, weights.to(dtype))
    for gradient, right in zip(gradients, torch.autograd.grad(expected, exact, weights.double()), strict=True):
        assert relative(gradient, right) < bound


@pytest.mark.skipif(compiled.kernels() is None, reason="no C++ compiler")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_token_against_the_cache_sees_what_it_sees_in_its_row(shape: tuple[int, int, int, int | None]) -> None:
    """Prompts enter the cache, then each sequence goes on token by token: kernel, portable way and one row agree."""
    heads, key_heads, width, window = shape
    layout = row([(9,), (30,), (4,)])
    given = [tensor.detach() for tensor in tensors(len(layout.ids), heads, key_heads, width, torch.float32)]
    for kind in (torch.float32, torch.float64):  # by the kernels, and without them
        query, key, value = (tensor.to(kind) for tensor in given)
        cache = Cache(3, 40, Machine(device="cpu", precision="fp32"))
        prompts = [(start, length - 3) for ((start, length),) in layout.trees]
        part = torch.cat([torch.arange(start, start + length) for start, length in prompts])
        fed = row([(length,) for _, length in prompts])
        slots = tuple(torch.tensor([slot]) for slot in range(3))
        plan = PrefillPlan(RowPlan(fed), cache, slots)
        plan.attend(0, query[part], key[part], value[part], 0.3, window)
        whole = RowPlan(layout).attend(0, query, key, value, 0.3, window)
        for step in range(3):
            places = torch.tensor([start + length + step for start, length in prompts])
            positions = torch.tensor([length + step for _, length in prompts])
            decode = DecodePlan(cache, positions, int(positions.max()) + 1)
            found = decode.attend(0, query[places], key[places], value[places], 0.3, window)
            assert relative(found, whole[places]) < 1e-5


def test_without_a_compiler_or_when_told_so_attention_is_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CXX", "false"), ("ASSENT_KERNELS", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            compiled.kernels.cache_clear()
            assert compiled.kernels() is None
            assert not processor.takes(*tensors(3, 2, 2, 16, torch.float32))
    compiled.kernels.cache_clear()


@pytest.mark.skipif(compiled.kernels() is None, reason="no C++ compiler")
def test_kernels_are_built_once_and_anew_for_another_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built: list[Any] = []
    run = subprocess.run

    def counted(command: list[str], **options: Any) -> Any:
        built.extend([command] if "-o" in command else [])
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    sources = tmp_path / "sources"
    sources.mkdir()
    monkeypatch.setattr(compiled, "FOLDER", sources)
    for text, count in (("int first;", 1), ("int first;", 1), ("int second;", 2)):
        (sources / "other.cpp").write_text(text)
        compiled.kernels.cache_clear()
        assert compiled.kernels() is not None
        assert len(built) == count
    monkeypatch.undo()
    compiled.kernels.cache_clear()


@pytest.mark.parametrize("steps", [3, 16])
def test_steps_before_the_host_looks_change_no_sample(blank: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Rows that end in between are cut where they ended; those that wait enter later, and draw the same."""
    prompts = tiny.texts(9).prompts
    model = tiny.model(blank, cache_tokens=60)
    model.text.end = int(model.sample(prompts, 12, 1.0, Key(3, 1)).responses[2][4])
    expected = model.sample(prompts, 12, 1.0, Key(3, 1))
    assert any(expected.ended)
    monkeypatch.setattr("assent.engine.generate.LOOK", {"cpu": steps})
    found = model.sample(prompts, 12, 1.0, Key(3, 1))
    assert found.ended == expected.ended
    assert all(torch.equal(a, b) for a, b in zip(found.responses, expected.responses, strict=True))


def test_prompts_that_are_read_in_several_passes_change_no_sample(blank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = tiny.model(blank), tiny.texts(7, longest=20).prompts
    expected = model.sample(prompts, 6, 1.0, Key(3, 1))
    passes: list[int] = []
    prefill = RowForward.prefill

    def counted(forward: RowForward, part: Any, *more: Any) -> Tensor:
        passes.append(sum(map(len, part)))
        return prefill(forward, part, *more)

    monkeypatch.setattr(RowForward, "prefill", counted)
    monkeypatch.setattr("assent.engine.generate.tokens_of_a_pass", lambda forward: 20)
    found = model.sample(prompts, 6, 1.0, Key(3, 1))
    assert len(passes) > 1
    assert max(passes) <= 20
    assert all(torch.equal(a, b) for a, b in zip(found.responses, expected.responses, strict=True))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="nothing here says how much memory a process has")
def test_a_cache_takes_memory_as_it_fills() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    row, before = torch.zeros(1, 8, 64), resident()
    keys, values = Cache(64, 2048, replace(tiny.MACHINE, precision="bf16")).stores(0, row, row)
    assert keys.nbytes + values.nbytes == 2**28
    assert resident() - before < 2**24
    keys[3, :100] = 1
    assert keys[3, :100].all()
    assert not keys[3, 100:].any()
    assert not keys[4].any()
    assert not values.any()


def test_a_trunk_that_samples_computes_the_same_and_is_put_back(blank: Path) -> None:
    model = tiny.model(blank)
    assert isinstance(model.forward, RowForward)
    model.forward.in_one_call = False
    before = dict(model.module.named_parameters())
    batch = tiny.texts(5)
    with torch.no_grad():
        expected = model.logprobs(batch)
        with model.forward.ready_to_sample():
            assert len(dict(model.module.named_parameters())) < len(before)  # siblings are one product
            torch.testing.assert_close(model.logprobs(batch), expected)
        with pytest.raises(KeyError), model.forward.ready_to_sample():
            raise KeyError
    after = dict(model.module.named_parameters())
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    adapted = LanguageModel.load(blank, replace(tiny.MACHINE, precision="bf16"), lora=Lora(rank=2))
    sampled = adapted.sample(batch.prompts, 6, 1.0, Key(0, 0))
    with torch.no_grad():
        assert (sampled.logprobs - adapted.logprobs(sampled)).abs().mean() < 0.02


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_frozen_model_gives_the_same_bits_from_weights_as_they_are_multiplied(blank: Path, precision: Any) -> None:
    machine, batch = replace(tiny.MACHINE, precision=precision), tiny.texts(9)
    policy, judge = LanguageModel.load(blank, machine), ScalarModel.fresh(blank, machine, seed=0)

    def numbers() -> list[Tensor]:
        sampled = policy.sample(batch.prompts, 6, 1.0, Key(0, 0))
        return [policy.logprobs(batch), judge.score(batch), judge.values(batch), sampled.logprobs, *sampled.responses]

    with torch.no_grad():
        expected = numbers()
        assert policy.freeze() is policy
        judge.freeze()
        assert all(torch.equal(a, b) for a, b in zip(numbers(), expected, strict=True))
    wanted = torch.bfloat16 if machine.bf16 else torch.float32
    for model in (policy, judge):
        layer = model.module.model.layers[0]
        assert layer.mlp.up_proj.weight.dtype == layer.self_attn.q_proj.weight.dtype == wanted
        assert model.module.get_input_embeddings().weight.dtype == torch.float32
        assert not model.parameters()
        with pytest.raises(ValueError, match="was frozen"):
            model.save(blank.parent / "nowhere")
    assert judge.module.score.weight.dtype == policy.module.lm_head.weight.dtype == torch.float32


def test_a_reference_is_frozen_and_its_policy_is_not(blank: Path) -> None:
    policy = LanguageModel.load(blank, replace(tiny.MACHINE, precision="bf16"))
    reference = policy.reference().model
    assert reference.module.model.layers[1].mlp.down_proj.weight.dtype == torch.bfloat16
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in policy.module.parameters())
    with torch.no_grad():
        assert torch.equal(reference.logprobs(tiny.texts(5)), policy.logprobs(tiny.texts(5)))


def gradients(machine: Machine, directory: Path, dropout: float) -> dict[str, Tensor]:
    learner = Learner(
        LanguageModel.load(directory, machine), Optimiser(learning_rate=1.0), lambda u: 1.0, dropout=dropout
    )
    learner.backward(next_token, tiny.texts(12))
    return learner._merged  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointed_layers_give_the_same_gradients_bit_for_bit(blank: Path, dropout: float) -> None:
    seen: list[int] = []
    attend = RowPlan.attend

    def counted(self: RowPlan, layer: int, *arguments: Any) -> Tensor:
        seen.append(layer)
        return attend(self, layer, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans.RowPlan, "attend", counted)
        whole = gradients(tiny.MACHINE, blank, dropout)
        once = len(seen)
        again = gradients(replace(tiny.MACHINE, checkpointing=True), blank, dropout)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert len(seen) - once > once  # layers were computed again


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch.compile itself
def test_compiled_layers_give_the_same_numbers(blank: Path) -> None:
    machine = replace(tiny.MACHINE, compile="always")
    expected = gradients(tiny.MACHINE, blank, 0.0)
    for other in (machine, replace(machine, checkpointing=True)):
        found = gradients(other, blank, 0.0)
        assert max(relative(found[name], expected[name]) for name in expected) < 1e-5
    compiled = LanguageModel.load(blank, machine)
    assert isinstance(compiled.forward, RowForward)
    sampled = compiled.sample(tiny.texts(5).prompts, 6, 1.0, Key(1, 0))
    torch.testing.assert_close(sampled.logprobs, compiled.logprobs(sampled).detach(), atol=1e-4, rtol=1e-4)


def test_a_parked_model_is_on_the_device_while_it_scores(blank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple[str, torch.device]] = []
    monkeypatch.setattr(LanguageModel, "_move", lambda self, device: moved.append(("language", device)))
    monkeypatch.setattr(ScalarModel, "_move", lambda self, device: moved.append(("scalar", device)))
    machine = replace(tiny.MACHINE, offload=True)
    policy, judge = LanguageModel.load(blank, machine), ScalarModel.fresh(blank, machine, seed=0)
    reference = policy.reference()
    judge.park()
    moved.clear()
    with torch.no_grad():
        reference.logprobs(tiny.texts(3))
        judge.score(tiny.texts(3))
        policy.logprobs(tiny.texts(3))  # it learns, and so it stays
    assert moved == [(kind, device) for kind in ("language", "scalar") for device in (machine.torch_device, CPU)]


@pytest.mark.parametrize("piece", [64, 2**23])
def test_the_head_of_a_bf16_trunk_is_exact_forward_and_rounds_gradients_only(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assent.engine.logits.PIECE", {"cpu": piece})
    g = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(*size, generator=g).requires_grad_() for size in ((40, 64), (300, 64)))
    targets = tiny.ids(40, g)
    compute = partial(chosen_logprobs, states, weight, None, targets, 1.0)
    exact, rounded = compute(), compute(coarse=True)
    assert torch.equal(exact, rounded)
    weights = torch.randn(40, generator=g)
    pairs = zip(*(torch.autograd.grad(x, (states, weight), weights) for x in (exact, rounded)), strict=True)
    for right, found in pairs:
        assert 1e-4 < relative(found, right) < 1e-2
