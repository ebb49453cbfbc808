"""What only a GPU can tell: `python -m bench.gpu [--layers 16] [--json FILE]`, a table of Assent beside transformers.

A Llama-shaped model with random weights in bf16 (fp32 masters). Limits are measured in the same run: the matrix peak by
a large bf16 product, the bandwidth by a large copy. The peer is transformers as one writes it by hand: padded batches,
autocast, `generate`. Before anything is timed, the laws of the fast ways are checked on this device.
"""

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assent.engine.batches import RankingBatch, TextBatch
from assent.engine.generate import Key
from assent.engine.learner import Learner, Optimiser
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, ScalarModel
from assent.engine.text import Limits
from assent.train import pretrain
from assent.train.ppo import PPOConfig, credit, foreseen, improved
from assent.train.reward import ranked
from assent.train.rollout import Models, Sampling, collect
from assent.train.sft import next_token

OPTIMISER = Optimiser(learning_rate=1e-5)


@dataclass(frozen=True, kw_only=True)
class Size:
    """A Llama-shaped model; by default of the shape of Llama 3.2 1B, with a smaller vocabulary."""

    hidden: int = 2048
    inter: int = 8192
    layers: int = 16
    heads: int = 32
    key_heads: int = 8
    vocabulary: int = 32_000
    context: int = 2048

    @property
    def body(self) -> int:
        """Weights of the layers' matrices."""
        width = self.hidden // self.heads * self.key_heads
        return self.layers * (2 * self.hidden**2 + 2 * self.hidden * width + 3 * self.hidden * self.inter)

    @property
    def head(self) -> int:
        """Weights of the unembedding."""
        return self.hidden * self.vocabulary

    def attention(self, lengths: list[int]) -> float:
        """Operations of one forward's attention over sequences of these lengths, causal."""
        return sum(2.0 * length**2 * self.hidden * self.layers for length in lengths)


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much of each job."""

    texts: int = 192
    rankings: int = 24
    sequences: int = 256
    episodes: int = 512
    response: int = 256
    ratio: int = 8
    repeats: int = 5
    peer: bool = True


def create(size: Size, directory: Path) -> None:
    """A model directory with random weights, written from the device."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    pretrain.create(pretrain.Shape(width=64, layers=1, heads=2), ["a text to make a tokenizer of"], directory)
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.inter,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    with Machine().torch_device:
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(directory)


def draw(generator: torch.Generator, mean: int, most: int, vocabulary: int) -> Tensor:
    """Token ids; lengths spread around the mean as those of prompts and answers do."""
    length = int(mean * torch.empty(()).log_normal_(-0.18, 0.6, generator=generator))
    return torch.randint(2, vocabulary, (min(most, max(4, length)),), generator=generator)


def texts(size: Size, count: int) -> TextBatch:
    """Demonstrations."""
    g = torch.Generator().manual_seed(0)
    rows = [(draw(g, 200, 900, size.vocabulary), draw(g, 250, 900, size.vocabulary)) for _ in range(count)]
    prompts, responses = zip(*rows, strict=True)
    return TextBatch(prompts, responses)


def rankings(size: Size, count: int) -> RankingBatch:
    """Rankings of six responses."""
    g = torch.Generator().manual_seed(0)
    prompts = tuple(draw(g, 300, 900, size.vocabulary) for _ in range(count))
    responses = tuple(tuple(draw(g, 200, 900, size.vocabulary) for _ in range(6)) for _ in range(count))
    return RankingBatch(prompts, responses, tuple(torch.randperm(6, generator=g) + 1 for _ in range(count)))


def seconds(work: Callable[[], Any], repeats: int, warm: int = 2) -> float:
    """The median time of some work, the device waited for."""
    times: list[float] = []
    for number in range(warm + repeats):
        wait()
        start = time.perf_counter()
        work()
        wait()
        if number >= warm:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


PROFILE = False


def profiled(work: Callable[[], Any], what: str) -> None:
    """Where the device's time goes: the kernels that cost most."""
    if not PROFILE:
        return
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as seen:
        start = time.perf_counter()
        work()
        wait()
        spent = time.perf_counter() - start
    kernels = [one for one in seen.key_averages() if "CUDA" in str(one.device_type)]
    rows = sorted(kernels, key=lambda one: -one.self_device_time_total)
    total = sum(one.self_device_time_total for one in rows)
    print(f"{what}: {spent:.3f} s, of it kernels {total / 1e6:.3f} s", flush=True)
    for one in rows[:24]:
        cost = one.self_device_time_total
        print(f"  {cost / total:6.1%} {cost / one.count:8.1f} us {one.count:6d} x {one.key[:90]}", flush=True)


def wait() -> None:
    """Until the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def forget() -> None:
    """Give memory back and count its peak anew."""
    gc.collect()
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib() -> float:
    """The most memory the device held since it was last forgotten."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else float("nan")


@dataclass(frozen=True)
class Peaks:
    """flops: of bf16 products; bytes: moved a second, read and written."""

    flops: float
    bytes: float


def limits(side: int = 8192) -> Peaks:
    """Measure them."""
    device = Machine().torch_device
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = seconds(lambda: a @ b, 10)
    source = torch.randn(side * side * 4, device=device)
    target = torch.empty_like(source)
    copy = seconds(lambda: target.copy_(source), 10)
    return Peaks(2 * side**3 / product, 2 * source.nbytes / copy)


def laws(directory: Path) -> list[str]:
    """What must hold on this device before a number counts: fast ways against slow ones, sampler against scorer."""
    said: list[str] = []
    batch = texts(Size(vocabulary=4096), 6)
    few = RankingBatch(batch.prompts[:2], (batch.responses[:3], batch.responses[3:]), (torch.arange(3),) * 2)
    with torch.no_grad():
        exact = LanguageModel.load(directory, Machine(precision="fp32", compile="never"))
        slow = LanguageModel.load(directory, Machine(device="cpu", precision="fp32"))
        fast = LanguageModel.load(directory, Machine(precision="bf16"))
        expected = slow.logprobs(batch)
        said.append(f"fp32 row against the processor's: {gap(exact.logprobs(batch), expected)}")
        said.append(f"bf16 row against fp32: {gap(fast.logprobs(batch), expected)}")
        alone = torch.cat([fast.logprobs(batch.select([i])) for i in range(len(batch))])
        said.append(f"bf16, alone against together: {gap(alone, fast.logprobs(batch))}")
        frozen = LanguageModel.load(directory, Machine(precision="bf16")).freeze()
        said.append(f"bf16, frozen against not: {gap(frozen.logprobs(batch), fast.logprobs(batch))}")
        score = ScalarModel.fresh(directory, Machine(precision="bf16"), seed=0)
        flat = TextBatch(tuple(p for p in few.prompts for _ in range(3)), tuple(r for g in few.responses for r in g))
        said.append(f"bf16, shared prompt against K texts: {gap(score.score(few), score.score(flat))}")
        prompts = [prompt for prompt in batch.prompts for _ in range(4)]
        for name, model in (("fp32", exact), ("bf16", fast), ("bf16 and frozen", frozen)):
            sampled = model.sample(prompts, 40, 1.0, Key(0, 0))
            said.append(f"{name}, sampler against scorer: {gap(sampled.logprobs, model.logprobs(sampled))}")
            other = model.sample(prompts[:5], 40, 1.0, Key(0, 0))
            pairs = zip(other.responses, sampled.responses[:5], strict=True)
            same = sum(torch.equal(one, two) for one, two in pairs)
            said.append(f"{name}, the same tokens in a smaller batch: {same} of 5 responses")
    return said


def gap(found: Tensor, expected: Tensor) -> str:
    """How far two results are apart."""
    difference = (found.double().cpu() - expected.double().cpu()).abs()
    return f"{difference.mean():.2g} nats on average, {difference.max():.2g} at most"


def padded(rows: list[Tensor], left: bool = False) -> tuple[Tensor, Tensor]:
    """Ids in a rectangle on the device, and the mask of what is real."""
    width = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), width, dtype=torch.int64), torch.zeros(len(rows), width, dtype=torch.int64)
    for row, line, inside in zip(rows, ids, mask, strict=True):
        place = slice(width - len(row), None) if left else slice(0, len(row))
        line[place], inside[place] = row, 1
    device = Machine().torch_device
    return ids.to(device), mask.to(device)


def by_hand(model: Any, loss: Callable[[list[int]], Tensor], groups: list[list[int]], optimiser: Any) -> None:
    """One update as one writes it: micro-batches under autocast, clip, step."""
    for group in groups:
        with torch.autocast(Machine().torch_device.type, dtype=torch.bfloat16):
            value = loss(group)
        value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad()


def row(job: str, unit: str, count: float, time: float, share: float, memory: float, side: str) -> dict[str, Any]:
    """A line of the table."""
    return {"job": job, "side": side, "unit": unit, "rate": count / time, "share": share, "gib": memory}


def sft(size: Size, amount: Amount, directory: Path, peaks: Peaks) -> Iterator[dict[str, Any]]:
    """An SFT update, ours and by hand, and ours without compiled layers."""
    batch = texts(size, amount.texts)
    tokens, learned = sum(batch.sizes), int(batch.lengths.sum())
    work = 6 * (size.body * tokens + size.head * learned) + 3 * size.attention(batch.sizes)

    def ours(name: str, machine: Machine) -> dict[str, Any]:
        learner = Learner(LanguageModel.load(directory, machine), OPTIMISER, lambda update: 1.0)

        def update() -> None:
            learner.backward(next_token, batch)
            learner.step()

        time = seconds(update, amount.repeats)
        profiled(update, name)
        return row("SFT update", "tokens/s", tokens, time, work / time / peaks.flops, peak_gib(), name)

    yield ours("Assent", Machine())
    from transformers import AutoModelForCausalLM

    peer = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).to(Machine().torch_device)
    optimiser = torch.optim.AdamW(peer.parameters(), lr=1e-5, fused=True)
    rows = [torch.cat(pair) for pair in zip(batch.prompts, batch.responses, strict=True)]
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    groups = [order[start : start + 16] for start in range(0, len(order), 16)]

    def loss(group: list[int]) -> Tensor:
        ids, mask = padded([rows[i] for i in group])
        labels = ids.masked_fill(mask == 0, -100)
        for line, i in zip(labels, group, strict=True):
            line[: len(batch.prompts[i])] = -100
        return peer(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss

    time = seconds(partial(by_hand, peer, loss, groups, optimiser), amount.repeats)
    yield row("SFT update", "tokens/s", tokens, time, work / time / peaks.flops, peak_gib(), "transformers, by length")
    del peer, optimiser, loss
    yield ours("Assent, not compiled", Machine(compile="never"))


def reward(size: Size, amount: Amount, directory: Path, peaks: Peaks) -> Iterator[dict[str, Any]]:
    """An update on rankings; transformers scores one response a row."""
    batch = rankings(size, amount.rankings)
    lengths = [len(p) + sum(map(len, group)) for p, group in zip(batch.prompts, batch.responses, strict=True)]
    seen = [len(p) + len(r) for p, group in zip(batch.prompts, batch.responses, strict=True) for r in group]
    work = 6 * size.body * sum(lengths) + 3 * size.attention(seen)
    learner = Learner(ScalarModel.fresh(directory, Machine(), seed=0), OPTIMISER, lambda update: 1.0)

    def update() -> None:
        learner.backward(partial(ranked, "pairs"), batch)
        learner.step()

    time = seconds(update, amount.repeats)
    yield row("rankings of 6", "rankings/s", len(batch), time, work / time / peaks.flops, peak_gib(), "Assent")
    del learner
    forget()
    from transformers import AutoModelForSequenceClassification

    device = Machine().torch_device
    peer = AutoModelForSequenceClassification.from_pretrained(directory, num_labels=1, dtype=torch.float32).to(device)
    optimiser = torch.optim.AdamW(peer.parameters(), lr=1e-5, fused=True)

    def loss(group: list[int]) -> Tensor:
        rows = [torch.cat([batch.prompts[i], response]) for i in group for response in batch.responses[i]]
        ids, mask = padded(rows)
        scores = peer(input_ids=ids, attention_mask=mask).logits[:, 0].view(len(group), 6)
        order = torch.stack([batch.ranks[i] for i in group]).to(scores.device)
        better = order[:, :, None] < order[:, None, :]
        return -torch.nn.functional.logsigmoid(scores[:, :, None] - scores[:, None, :])[better].mean()

    groups = [[*range(start, min(start + 4, len(batch)))] for start in range(0, len(batch), 4)]
    time = seconds(partial(by_hand, peer, loss, groups, optimiser), amount.repeats)
    yield row(
        "rankings of 6",
        "rankings/s",
        len(batch),
        time,
        work / time / peaks.flops,
        peak_gib(),
        "transformers, one a row",
    )


def decoding(size: Size, amount: Amount, directory: Path, peaks: Peaks) -> Iterator[dict[str, Any]]:
    """Sampling; the floor reads all weights in bf16 and all keys and values seen, once a step."""
    g = torch.Generator().manual_seed(0)
    prompts = [draw(g, 200, 400, size.vocabulary) for _ in range(amount.sequences)]
    few, many = amount.response // 4, amount.response
    width = size.hidden // size.heads * size.key_heads * 2 * 2 * size.layers  # bytes of keys and values of a token

    def floor(start: int, stop: int) -> float:
        """Seconds to read the weights and what is seen, from one response token to another."""
        seen = sum(len(prompt) * (stop - start) + (stop**2 - start**2) / 2 for prompt in prompts)
        return (2 * (size.body + size.head) * (stop - start) + width * seen) / peaks.bytes

    prefill = 2 * size.body * sum(map(len, prompts)) / peaks.flops
    model = LanguageModel.load(directory, replace(Machine(), cache_tokens=2**18)).freeze()
    model.text.end = -1  # nothing ends early
    short, whole = (seconds(partial(model.sample, prompts, n, 1.0, Key(0, 0)), 3, 1) for n in (few, many))
    profiled(lambda: model.sample(prompts, few, 1.0, Key(0, 0)), "decoding")
    rest = amount.sequences * (many - few)
    share = floor(few, many) / (whole - short)
    yield row("decoding, steps", "tokens/s", rest, whole - short, share, peak_gib(), "Assent")
    share = (prefill + floor(0, many)) / whole
    yield row("decoding, whole", "tokens/s", amount.sequences * many, whole, share, peak_gib(), "Assent")
    del model
    forget()
    if not amount.peer:
        return
    from transformers import AutoModelForCausalLM, GenerationConfig

    peer = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).to(Machine().torch_device).eval()
    ids, mask = padded(prompts, left=True)
    how = GenerationConfig(max_new_tokens=many, min_new_tokens=many, do_sample=True, top_k=0, pad_token_id=0)
    time = seconds(lambda: peer.generate(ids, attention_mask=mask, generation_config=how), 1, 1)
    share = (prefill + floor(0, many)) / time
    yield row("decoding, whole", "tokens/s", amount.sequences * many, time, share, peak_gib(), "transformers, generate")


def iteration(size: Size, amount: Amount, directory: Path) -> dict[str, float]:
    """One iteration of PPO-ptx, split by phase, in seconds; after a small one that compiles and warms up."""
    g = torch.Generator().manual_seed(0)
    machine = replace(Machine(), cache_tokens=2**18)
    policy = LanguageModel.load(directory, machine)
    policy.text.end = -1
    judge, value = (ScalarModel.fresh(directory, machine, seed=0) for _ in range(2))
    models = Models.start(policy, value, judge)
    minibatch = amount.episodes // 8
    config = PPOConfig(
        episodes=amount.episodes, batch=amount.episodes, minibatch=minibatch, limits=Limits(response=amount.response)
    )
    actor = Learner(policy, config.policy, config.warmup, average_decay=config.average_decay)
    critic = Learner(value, config.value, lambda update: 1.0)
    spent: dict[str, float] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        wait()
        start = time.perf_counter()
        yield
        wait()
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

    def perform(episodes: int, response: int) -> None:
        prompts = [draw(g, 200, 400, size.vocabulary) for _ in range(episodes)]
        with phase("sampling and scoring"):
            rollout = collect(models, prompts, Sampling(response, 1.0), Key(0, 0))
        with phase("sampling alone, again"):
            policy.sample(prompts, response, 1.0, Key(0, 0))
        for part in credit(config, rollout).minibatches(episodes // 8, 0, 0):
            with phase("policy"):
                actor.backward(partial(improved, config), part)
            with phase("pretraining mix"):
                many = len(part) * amount.ratio
                rows = [draw(g, 450, 900, size.vocabulary) for _ in range(many)]
                text = TextBatch(tuple(r[:1] for r in rows), tuple(r[1:] for r in rows))
                actor.backward(next_token, text, weight=config.pretrain_coef)
            with phase("value"):
                critic.backward(partial(foreseen, config), part)
                critic.step()
            with phase("policy"):
                actor.step()

    perform(16, 32)
    spent.clear()
    perform(amount.episodes, amount.response)
    spent["scoring by four models"] = spent.pop("sampling and scoring") - spent["sampling alone, again"]
    spent["sampling"] = spent.pop("sampling alone, again")
    return spent | {"all": sum(spent.values()), "peak GiB": peak_gib()}


def show(rows: list[dict[str, Any]]) -> None:
    """The table so far."""
    print(f"{'job':16s}{'':28s}{'rate':>12s} {'unit':12s}{'of limit':>9s}{'GiB':>7s}", flush=True)
    for one in rows:
        rate = f"{one['rate']:12,.1f} {one['unit']:12s}"
        print(f"{one['job']:16s}{one['side']:28s}{rate}{one['share']:9.1%}{one['gib']:7.1f}", flush=True)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tiny model and little work: does the script run?")
    parser.add_argument("--jobs", default="laws,sft,reward,decoding,ppo")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-peer", action="store_true", help="our side only")
    parser.add_argument("--profile", action="store_true", help="print the kernels that cost most")
    asked = parser.parse_args()
    global PROFILE
    PROFILE = asked.profile
    size, amount = Size(), Amount()
    if asked.small:
        size = Size(hidden=64, inter=128, layers=2, heads=4, key_heads=2, vocabulary=4096)
        amount = Amount(texts=8, rankings=2, sequences=8, episodes=16, response=24, ratio=1, repeats=1)
    jobs, amount = asked.jobs.split(","), replace(amount, peer=not asked.no_peer)
    peaks = limits(512 if asked.small else 8192)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "processor"
    print(f"{name}, torch {torch.__version__}: {peaks.flops / 1e12:.0f} TFLOP/s in bf16, {peaks.bytes / 1e12:.2f} TB/s")
    found: dict[str, Any] = {"device": name, "torch": torch.__version__, "flops": peaks.flops, "bytes": peaks.bytes}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        directory, small = Path(temporary) / "model", Path(temporary) / "small"
        create(size, directory)
        if "laws" in jobs:
            create(Size(hidden=256, inter=512, layers=4, heads=8, key_heads=2, vocabulary=4096), small)
            with surviving("laws"):
                found["laws"] = laws(small)
                print(*found["laws"], sep="\n", flush=True)
            forget()
        for job in (one for one in (decoding, reward, sft) if one.__name__ in jobs):
            with surviving(job.__name__):
                for line in job(size, amount, directory, peaks):
                    rows.append(line)
                    forget()
                    show(rows[-1:])
        if "ppo" in jobs:
            with surviving("ppo"):
                found["ppo"] = iteration(size, amount, directory)
                print("PPO-ptx iteration, seconds:", {k: round(v, 2) for k, v in found["ppo"].items()}, flush=True)
    show(rows)
    if asked.json:
        asked.json.write_text(json.dumps(found | {"rows": rows}, indent=1) + "\n")


@contextmanager
def surviving(job: str) -> Iterator[None]:
    """A job that fails says so, and the others are still measured: time on a GPU is dear."""
    try:
        yield
    except Exception:
        print(f"{job} failed:")
        traceback.print_exc(file=sys.stdout)


if __name__ == "__main__":
    main()
