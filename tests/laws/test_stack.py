"""Contract 1 for steps of decoding in one call: the numbers of the layers one by one, whatever else is in the batch."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor

from assent.engine.attention import plans
from assent.engine.attention.plans import Cache
from assent.engine.choice import choose
from assent.engine.forward import RowForward
from assent.engine.generate import Key
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, Lora
from assent.engine.processor import compiled
from assent.engine.stack import Stack

EXACT = Machine(device="cpu", precision="fp32")
ROUNDED = Machine(device="cpu", precision="bf16")
BOUNDS = {"fp32": 2e-5, "bf16": 0.06}  # of logits of about 1
pytestmark = pytest.mark.skipif(compiled.kernels() is None, reason="no C++ compiler")

SIZES: dict[str, Any] = {"hidden_size": 40, "num_hidden_layers": 3, "vocab_size": 90, "initializer_range": 0.2}


def llama(**options: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape: dict[str, Any] = {"intermediate_size": 54, "num_attention_heads": 4, "num_key_value_heads": 4}
    return LlamaForCausalLM(LlamaConfig(**(SIZES | shape | options)))


def qwen() -> Any:
    """Biases of queries, keys and values."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shape: dict[str, Any] = {"intermediate_size": 34, "num_attention_heads": 4, "num_key_value_heads": 2}
    module: Any = Qwen2ForCausalLM(Qwen2Config(**SIZES, **shape))
    for layer in module.model.layers:
        torch.nn.init.normal_(layer.self_attn.q_proj.bias)
        torch.nn.init.normal_(layer.self_attn.v_proj.bias)
    return module


def qwen3() -> Any:
    """Norms of queries and keys."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    shape: dict[str, Any] = {"intermediate_size": 34, "num_attention_heads": 4, "num_key_value_heads": 2}
    return Qwen3ForCausalLM(Qwen3Config(**SIZES, **shape, head_dim=24))


def mistral() -> Any:
    """A window."""
    from transformers import MistralConfig, MistralForCausalLM

    shape: dict[str, Any] = {"intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 1}
    return MistralForCausalLM(MistralConfig(**SIZES, **shape, sliding_window=11))


MODELS = {
    "heads that fill no vector": llama,
    "biases everywhere": lambda: llama(attention_bias=True, mlp_bias=True, head_dim=24),
    "wide gates, shared keys": lambda: llama(intermediate_size=200, num_key_value_heads=2, head_dim=32),
    "qwen": qwen,
    "qwen3": qwen3,
    "mistral": mistral,
}


def chosen(name: str, machine: Machine) -> RowForward:
    torch.manual_seed(0)
    module = MODELS[name]().eval().requires_grad_(False)
    for part in module.modules():
        if "Norm" in type(part).__name__:
            torch.nn.init.normal_(part.weight, 1, 0.3)
    forward = choose(module, machine, pytest.fail)
    assert isinstance(forward, RowForward)
    return forward


def decoded(forward: RowForward, prompts: list[Tensor], responses: Tensor, *, in_one_call: bool) -> Tensor:
    """Logits [tokens, sequences, vocabulary] of responses that are fed token by token after prompts that differ."""
    forward.in_one_call = in_one_call
    cache = Cache(len(prompts), max(map(len, prompts)) + responses.shape[1], forward.machine)
    places = torch.tensor([len(prompt) for prompt in prompts])
    logits: list[Tensor] = []
    with torch.no_grad(), forward.ready_to_sample():
        assert forward.packed == in_one_call
        forward.prefill(prompts, cache, [torch.tensor([slot]) for slot in range(len(prompts))])
        for column in responses.t():
            logits.append(forward.decode(column.contiguous(), cache, places, int(places.max()) + 1))
            places = places + 1
    return torch.stack(logits)


def sequences(count: int, seed: int = 0) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(0, 90, (1 + 5 * row % 23,), generator=generator) for row in range(count)]
    return prompts, torch.randint(0, 90, (count, 6), generator=generator)


def test_layers_of_a_frozen_model_are_packed_once_and_hooks_are_honoured_all_the_same(
    blank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[Any] = []
    of = Stack.of
    monkeypatch.setattr(Stack, "of", lambda *given: packed.append(given) or of(*given))
    model, prompts = tiny.model(blank, precision="bf16"), tiny.texts(4).prompts
    packed.clear()
    expected = [model.sample(prompts, 6, 1.0, Key(0, step)).logprobs for step in range(2)]
    assert len(packed) == 2  # it may have learned in between
    model.freeze()
    assert all(torch.equal(model.sample(prompts, 6, 1.0, Key(0, n)).logprobs, expected[n]) for n in range(2))
    assert len(packed) == 3
    seen: list[Any] = []
    hook = model.module.model.layers[0].register_forward_hook(lambda *_: seen.append(1))
    model.sample(prompts, 6, 1.0, Key(0, 0))
    assert len(seen) > 1
    hook.remove()
    assert torch.equal(model.sample(prompts, 6, 1.0, Key(0, 1)).logprobs, expected[1])


@pytest.mark.parametrize("count", [1, 12, 31])  # rows of a tile: one, all, and three tiles that are not full
@pytest.mark.parametrize("machine", [EXACT, ROUNDED], ids=lambda machine: machine.precision)
@pytest.mark.parametrize("name", MODELS)
def test_a_step_in_one_call_is_the_layers_one_by_one(name: str, machine: Machine, count: int) -> None:
    forward = chosen(name, machine)
    assert forward.in_one_call
    given = sequences(count)
    found, expected = (decoded(forward, *given, in_one_call=way) for way in (True, False))
    assert expected.std() > 0.3
    torch.testing.assert_close(found, expected, rtol=0, atol=BOUNDS[machine.precision] * float(expected.std()))
    if machine.bf16:  # it rounds where autocast rounds: on average it differs by less than rounding makes
        exact = decoded(chosen(name, EXACT), *given, in_one_call=False)
        assert (found - expected).abs().mean() < (expected - exact).abs().mean()


@pytest.mark.parametrize("machine", [EXACT, ROUNDED], ids=lambda machine: machine.precision)
def test_a_sequence_has_the_same_bits_alone_in_a_batch_and_on_any_number_of_threads(machine: Machine) -> None:
    forward = chosen("wide gates, shared keys", machine)
    prompts, responses = sequences(31)
    usual = torch.get_num_threads()
    packed = Stack.of(forward.module, torch.bfloat16 if machine.bf16 else torch.float32)
    assert packed is not None
    together: list[Tensor] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            together.append(states(packed, prompts, responses[:, 0]))
    finally:
        torch.set_num_threads(usual)
    assert torch.equal(together[0], together[1])
    assert torch.equal(together[0], together[2])
    for row in (0, 7, 30):
        assert torch.equal(together[0][row], states(packed, prompts, responses[:, 0], [row])[0])


def states(packed: Stack, prompts: list[Tensor], ids: Tensor, rows: list[int] | None = None) -> Tensor:
    """States after one more token, keys and values of the places before drawn at random, a slot's always the same."""
    rows = list(range(len(prompts))) if rows is None else rows
    cache = Cache(len(rows), 40, ROUNDED if packed.decoder.dtype == torch.bfloat16 else EXACT)
    for layer in range(len(packed.asks)):
        key = torch.zeros(1, 2, 32)
        for number, store in enumerate(cache.stores(layer, key, key)):
            for slot, row in enumerate(rows):
                generator = torch.Generator().manual_seed(100 * row + 10 * layer + number)
                store[slot] = torch.randn(store[slot].shape, generator=generator).to(store.dtype)
    places = torch.tensor([len(prompts[row]) for row in rows])
    return packed.states(ids[rows], places, cache)


def test_what_is_put_together_in_another_way_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Granite scales what it adds: all its parts are known, and its layers are not."""
    from transformers import GraniteConfig, GraniteForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {"intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 4}
    module: Any = GraniteForCausalLM(GraniteConfig(**SIZES, **shape, residual_multiplier=0.5)).eval()
    forward = choose(module, EXACT, pytest.fail)
    assert isinstance(forward, RowForward)
    assert Stack.of(module, torch.float32) is not None
    assert not forward.in_one_call
    packed = Stack.of

    def forgetful(module: Any, dtype: torch.dtype) -> Stack | None:
        found = packed(module, dtype)
        if found is not None:
            found.asks = plans.Windows((layer, None) for layer, _ in found.asks)
        return found

    monkeypatch.setattr(Stack, "of", forgetful)  # a window is longer than the tokens that are compared
    assert not chosen("mistral", EXACT).in_one_call


def test_a_layer_of_another_class_further_up_is_not_overlooked() -> None:
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    class Other(LlamaDecoderLayer):
        def forward(self, hidden_states: Tensor, *arguments: Any, **named: Any) -> Any:
            return 2 * super().forward(hidden_states, *arguments, **named)

    torch.manual_seed(0)
    module: Any = llama(num_hidden_layers=4).eval()
    module.model.layers[2].__class__ = Other
    forward = choose(module, EXACT, pytest.fail)
    assert isinstance(forward, RowForward)
    assert not forward.in_one_call
    assert len(module.model.layers) == 4


def test_samples_are_those_of_the_layers_one_by_one_and_are_scored_alike(blank: Path) -> None:
    model = tiny.model(blank)
    assert isinstance(model.forward, RowForward)
    assert model.forward.in_one_call
    prompts = [tiny.ids(length, torch.Generator().manual_seed(length)) for length in (3, 9, 4, 9, 1)]
    found = model.sample(prompts, 12, 1.0, Key(0, 0))
    model.forward.in_one_call = False
    expected = model.sample(prompts, 12, 1.0, Key(0, 0))
    assert all(torch.equal(one, same) for one, same in zip(found.responses, expected.responses, strict=True))
    with torch.no_grad():
        scored = model.logprobs(found)
    torch.testing.assert_close(found.logprobs, scored, rtol=0, atol=1e-5)


def test_who_watches_a_layer_sees_it_while_sampling_too(blank: Path) -> None:
    model = tiny.model(blank)
    seen: list[int] = []
    handle = model.module.model.layers[0].mlp.register_forward_hook(lambda *_: seen.append(1))
    model.sample([torch.tensor([5, 6, 7])], 5, 0.0, Key(0, 0))
    assert len(seen) > 1
    handle.remove()
    assert Stack.of(model.module, torch.float32) is not None


def test_it_samples_with_the_weights_of_the_moment_and_leaves_adapters_alone(blank: Path) -> None:
    model = tiny.model(blank)
    prompts = [torch.tensor([5, 6, 7])] * 4
    before = model.sample(prompts, 8, 0.0, Key(0, 0))
    with torch.no_grad():
        for layer in model.module.model.layers:
            layer.mlp.down_proj.weight.normal_()
    after = model.sample(prompts, 8, 0.0, Key(0, 0))
    assert not torch.equal(before.logprobs, after.logprobs)
    adapted = LanguageModel.load(blank, EXACT, lora=Lora(rank=2))
    assert Stack.of(adapted.module, torch.float32) is None
    assert len(adapted.sample(prompts, 8, 0.0, Key(0, 0)).responses) == 4
