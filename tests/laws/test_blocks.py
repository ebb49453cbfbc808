"""Contract 1 for what stands between products: fused parts of blocks both ways, and tokens drawn in one pass."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor, nn

from assent.engine import blocks, decoding
from assent.engine.choice import choose
from assent.engine.decoding import pick
from assent.engine.forward import RowForward
from assent.engine.learner import ResidualDropout
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.engine.processor import blocks as kernels
from assent.engine.processor import compiled

EXACT = Machine(device="cpu", precision="fp32")
pytestmark = pytest.mark.skipif(compiled.kernels() is None, reason="no C++ compiler")


def normed(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * weight


def gated(gates: Tensor, ups: Tensor) -> Tensor:
    return gates / (1 + (-gates).exp()) * ups


def rotated(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Each pair (j, j + half) as a complex number times e^(i angle)."""
    half = x.shape[-1] // 2
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.complex(cosines, sines)[:, None, :half]
    return torch.cat([turned.real, turned.imag], -1)


Function = Callable[..., Tensor]
# what the kernels compute, the same in fp64, and shapes: widths that fill no vector, more rows than one portion
CASES: dict[str, tuple[Function, Function, list[tuple[int, ...]]]] = {
    "norm": (lambda x, w: kernels.norm(x, w, 1e-3, x.dtype), normed, [(300, 37), (37,)]),
    "gate": (kernels.gate, gated, [(300, 50), (300, 50)]),
}


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = (tensor.detach().double() for tensor in (found, expected))
    return float((found - expected).norm() / expected.norm())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("name", CASES)
def test_a_fused_part_is_what_it_says_forward_and_backward(name: str, dtype: torch.dtype, bound: float) -> None:
    fused, exact, shapes = CASES[name]
    given = [random(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    given = [(one if one.dim() == 1 else one.to(dtype)).requires_grad_() for one in given]
    wide = [one.detach().double().requires_grad_() for one in given]
    compare(fused(*given), exact(*wide), given, wide, bound)
    with torch.no_grad():
        assert torch.equal(fused(*given), fused(*given))
        assert relative(fused(*given), exact(*wide)) < bound


def compare(found: Tensor, expected: Tensor, given: list[Tensor], wide: list[Tensor], bound: float) -> None:
    assert relative(found, expected) < bound
    weights = random(*expected.shape, seed=9)
    gradients = torch.autograd.grad(found, given, weights.to(found.dtype))
    for gradient, right in zip(gradients, torch.autograd.grad(expected, wide, weights.double()), strict=True):
        assert relative(gradient, right) < bound


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_positions_turn_pairs_and_their_gradients_turn_back(dtype: torch.dtype, bound: float) -> None:
    angles = random(200, 13, seed=1).repeat(1, 2)
    query = random(200, 3 * 26).to(dtype).view(200, 3, 26).requires_grad_()
    wide = query.detach().double().requires_grad_()
    tables = angles.cos(), angles.sin()
    found = kernels.rotate(query, *tables)
    compare(found, rotated(wide, *(table.double() for table in tables)), [query], [wide], bound)


def test_columns_of_a_joined_product_are_read_where_they_are() -> None:
    """While sampling, gates and ups are two views of one product."""
    joined = random(70, 64)
    gates, ups = joined.split(32, -1)
    assert torch.equal(kernels.gate(gates, ups), kernels.gate(gates.contiguous(), ups.contiguous()))
    angles = random(70, 16)
    part = joined[:, 16:48].view(70, 2, 16)
    assert torch.equal(kernels.rotate(part, angles, angles), kernels.rotate(part.contiguous(), angles, angles))


def test_a_result_does_not_depend_on_the_number_of_threads() -> None:
    usual, found = torch.get_num_threads(), list[tuple[Tensor, ...]]()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            given = [random(1000, 48).requires_grad_(), random(48, seed=1).requires_grad_()]
            found.append(torch.autograd.grad(kernels.norm(*given, 1e-6, torch.float32).square().sum(), given))
    finally:
        torch.set_num_threads(usual)
    for other in found[1:]:
        assert all(torch.equal(one, same) for one, same in zip(found[0], other, strict=True))


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("vocabulary", [50, 128, 4096, 5003])
def test_tokens_drawn_in_one_pass_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, temperature: float, vocabulary: int
) -> None:
    logits = 3 * random(200, vocabulary)
    logits[:, 7] = -torch.inf  # a token that must not be drawn
    uniform = torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    uniform[:2] = torch.tensor([0.0, 1 - 2**-53])
    tokens, logprobs = pick(logits, uniform, temperature)
    monkeypatch.setattr(decoding, "runs_on", lambda *_: False)
    expected, right = pick(logits, uniform, temperature)
    assert (tokens == expected).float().mean() > 0.99  # a quantile on the edge of two tokens may fall to either
    same = tokens == expected
    torch.testing.assert_close(logprobs[same], right[same], rtol=0, atol=2e-6)
    assert not (tokens == 7).any()
    exact = (logits.double() / (temperature or 1)).log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    torch.testing.assert_close(logprobs.double(), exact, rtol=0, atol=2e-6)


def test_known_parts_are_exchanged_and_keep_names_hooks_and_numbers(blank: Path, tmp_path: Path) -> None:
    model = LanguageModel.load(blank, EXACT)
    kinds = {kind for part in model.module.modules() for kind in blocks.KINDS if isinstance(part, kind)}
    assert kinds == set(blocks.KINDS)
    assert len({type(layer.mlp) for layer in model.module.model.layers}) == 1  # else each is compiled anew
    assert {type(part).__name__ for part in model.module.modules()} >= {"LlamaMLP", "LlamaAttention", "LlamaRMSNorm"}
    batch = tiny.texts(5)
    fused = model.logprobs(batch)
    blocks.unfuse(model.module)
    assert not any(isinstance(part, blocks.KINDS) for part in model.module.modules())
    torch.testing.assert_close(fused, model.logprobs(batch), rtol=0, atol=1e-5)
    model.save(tmp_path)
    LanguageModel.load(tmp_path, EXACT)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_last_layer_goes_on_where_it_is_read_and_nowhere_else(blank: Path, checkpointing: bool) -> None:
    """The same numbers and gradients, of what stands before response tokens and at the ends of branches."""
    few, whole = (LanguageModel.load(blank, replace(EXACT, checkpointing=way)) for way in (checkpointing, False))
    blocks.unfuse(whole.module, (blocks.Last,))
    assert blocks.reads_few(few.module)
    assert not blocks.reads_few(whole.module)
    seen: list[int] = []
    few.module.model.layers[-1].mlp.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1]))
    batch, ranked = tiny.texts(6), tiny.rankings(3)
    reads: list[tuple[int, Callable[[LanguageModel], Tensor]]] = [
        (int(batch.lengths.sum()), lambda model: model.forward.states_before(batch.prompts, batch.responses)),
        (sum(map(len, ranked.responses)), lambda model: model.forward.states_at_end(ranked.prompts, ranked.responses)),
    ]
    for rows, read in reads:
        seen.clear()
        found, expected = (with_gradients(model, read(model)) for model in (few, whole))
        assert set(seen) == {rows}
        for one, right in zip(found, expected, strict=True):
            torch.testing.assert_close(one, right, rtol=1e-4, atol=1e-4)


def test_a_token_drops_the_same_whichever_others_are_read(blank: Path) -> None:
    few, whole = (LanguageModel.load(blank, EXACT) for _ in range(2))
    blocks.unfuse(whole.module, (blocks.Last,))
    batch = tiny.texts(6)
    found: list[Tensor] = []
    for model in (few, whole):
        dropout = ResidualDropout(model.module, 0.3)
        with torch.no_grad(), dropout.active((1, 2, 3)):
            found.append(model.forward.states_before(batch.prompts, batch.responses))
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)
    with torch.no_grad():
        assert not torch.allclose(found[0], few.forward.states_before(batch.prompts, batch.responses), atol=0.1)


def with_gradients(model: LanguageModel, states: Tensor) -> list[Tensor]:
    weights = list(model.module.model.parameters())
    return [states, *torch.autograd.grad(states.pow(3).sum(), weights)]


def test_a_part_that_only_looks_known_keeps_its_own_forward(blank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms that add 1 to their weight, as Gemma's do: the other kinds are still exchanged."""
    from transformers import AutoModelForCausalLM
    from transformers.models.llama import modeling_llama

    class OtherRMSNorm(modeling_llama.LlamaRMSNorm):
        def forward(self, hidden_states: Tensor) -> Any:
            return super().forward(hidden_states) + hidden_states

    monkeypatch.setattr(modeling_llama, "LlamaRMSNorm", OtherRMSNorm)
    module: Any = AutoModelForCausalLM.from_pretrained(blank)
    found = choose(module, EXACT, pytest.fail)
    assert isinstance(found, RowForward)
    norms, others = (
        [isinstance(part, blocks.KINDS) for part in module.modules() if type(part).__name__.endswith(kind)]
        for kind in ("RMSNorm", "MLP")
    )
    assert norms
    assert others
    assert not any(norms)
    assert all(others)


def test_where_kernels_do_not_run_a_part_goes_its_own_way(blank: Path) -> None:
    """In fp64, which kernels do not know: the same model, to more digits."""
    model = LanguageModel.load(blank, EXACT)
    batch = tiny.texts(4)
    with torch.no_grad():
        expected = model.logprobs(batch)
        module: nn.Module = model.module
        module.double()
        found = model.logprobs(batch)
    assert found.dtype == torch.float64
    torch.testing.assert_close(expected, found.float(), rtol=0, atol=1e-5)


def test_what_enters_the_head_is_not_rounded(blank: Path) -> None:
    """In bf16, norms before products round, as autocast would; the last one does not."""
    model = tiny.model(blank, precision="bf16")
    layer, last = model.module.model.layers[0], model.module.model.norm
    states = random(6, 32)
    with model.machine.autocast(), torch.no_grad():
        assert layer.input_layernorm(states).dtype == torch.bfloat16
        assert layer.post_attention_layernorm(states).dtype == torch.bfloat16
        assert last(states).dtype == torch.float32
    prompt = [torch.tensor([1, 2, 3])]
    forward = model.forward
    assert isinstance(forward, RowForward)
    with torch.no_grad():
        before_head = forward.states_before(prompt, prompt)
    assert not torch.equal(before_head, before_head.bfloat16().float())


@pytest.mark.parametrize("where", ["config", "nowhere"])
def test_a_window_longer_than_the_probe_is_not_forgotten(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistral's attention reads its window from the configuration; a part that does not ask for it is not taken."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 90}
    config = MistralConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, sliding_window=40)  # pyright: ignore
    module: Any = MistralForCausalLM(config).eval()
    if where == "nowhere":
        rotary = blocks.Rotary
        monkeypatch.setattr(rotary, "sliding_window", None, raising=False)
    forward = choose(module, EXACT, pytest.fail)
    assert isinstance(forward, RowForward)
    assert any(isinstance(part, blocks.Rotary) for part in module.modules()) == (where == "config")
    prompt, response = (
        torch.randint(0, 90, (length,), generator=torch.Generator().manual_seed(1)) for length in (70, 9)
    )
    with torch.no_grad():
        fused = forward.logprobs([prompt], [response], 1.0)
        blocks.unfuse(module)
        torch.testing.assert_close(fused, forward.logprobs([prompt], [response], 1.0), rtol=0, atol=1e-5)
