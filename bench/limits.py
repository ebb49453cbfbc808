"""What the machine can do, measured, and the least time that follows for each job: `python -m bench.limits`.

Prints one JSON object: the peak of matrix products (fp32 through MKL, which torch takes by default, fp32 through
oneDNN, bf16) in FLOP/s and the bandwidth of memory and of the last cache in bytes/s. The best of many repeats counts,
and the best of all measurements on this machine: whatever else runs can only make a limit look lower.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import HOME
from bench.work import PROMPTS, RESPONSE, K, Size, tokens

SIDES = (1024, 2048, 4096)  # of the matrices
DRAM, CACHE = 1 << 30, 6 << 20  # bytes that lie in memory and in the last cache


@dataclass(frozen=True)
class Limits:
    """fp32, onednn, bf16: FLOP/s; dram, cache: bytes/s that can be read."""

    fp32: float
    onednn: float
    bf16: float
    dram: float
    cache: float

    @property
    def peak(self) -> float:
        """Of matrix products, in whatever way is fastest."""
        return max(self.fp32, self.onednn, self.bf16)


def best(work: Callable[[], Any], seconds: float) -> float:
    """The least time that `work` took."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(seconds: float) -> Limits:
    """Each in about `seconds`, threads as torch was told."""
    import torch

    def product(precision: str, kind: torch.dtype) -> float:
        torch.set_float32_matmul_precision(precision)
        rates: list[float] = []
        for side in SIDES:
            a, b = (torch.randn(side, side).to(kind) for _ in range(2))
            rates.append(2 * side**3 / best(lambda a=a, b=b: a @ b, seconds / len(SIDES)))
        return max(rates)

    def read(size: int) -> float:
        numbers = torch.ones(size // 4)
        return size / best(numbers.sum, seconds)

    fp32, onednn = product("highest", torch.float32), product("medium", torch.float32)
    return Limits(fp32, onednn, product("highest", torch.bfloat16), read(DRAM), read(CACHE))


# -- floors: the rate that no program can exceed on this machine ---------------------------------------------------


def ceiling(job: str, size: Size, limits: Limits, answered: float) -> float:
    """The most items of a job a second. `answered`: mean tokens of a sampled response, for decoding and PPO."""
    if job == "sft":  # forward and backward, every token through body and head
        return limits.peak / (6 * (size.body + size.head))
    if job == "reward":  # the prompt once; the head is one row
        known = tokens("rankings")
        counted = [len(prompt) + sum(map(len, responses)) for prompt, responses, _ in known]
        assert all(len(responses) == K for _, responses, _ in known)
        return limits.peak / (6 * size.body * sum(counted) / len(counted))
    prompt = sum(map(len, tokens("prompts"))) / PROMPTS
    if job == "decode":
        return answered * PROMPTS / _decoding(size, limits, prompt, answered)
    return 1 / _episode(size, limits, prompt, answered)


def _decoding(size: Size, limits: Limits, prompt: float, answered: float) -> float:
    """Seconds for all prompts: reading them, and then the larger of products and of reading the weights each step."""
    reading = 2 * size.body * prompt * PROMPTS / limits.peak
    products = 2 * (size.body + size.head) * answered * PROMPTS / limits.peak
    weights = 2 * (size.body + size.head)  # bytes in bf16
    bandwidth = limits.cache if weights < 4 * CACHE else limits.dram
    return reading + max(products, RESPONSE * weights / bandwidth)


def _episode(size: Size, limits: Limits, prompt: float, answered: float) -> float:
    """Seconds of products of an episode: sampling, which the policy's log-probabilities come with; three more forwards
    (reference, reward, value); forward and backward of policy and value. The head at response tokens only."""
    body, head = 2 * size.body * (prompt + answered), 2 * size.head * answered
    return (body + head + (body + head) + 2 * body + 3 * (body + head) + 3 * body) / limits.peak


def main() -> None:
    """Measure, keep the best that was ever seen with so many threads, print it."""
    import torch

    kept = HOME / f"limits-{torch.get_num_threads()}.json"
    seen = json.loads(kept.read_text()) if kept.exists() else {}
    found = {name: max(value, seen.get(name, 0.0)) for name, value in vars(measure(seconds=3.0)).items()}
    kept.write_text(json.dumps(found))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
