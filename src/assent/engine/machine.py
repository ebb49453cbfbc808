"""The machine a run computes on: device, precision, and how many tokens it holds at once. Never changes a result's
meaning, only its speed and its last digits."""

import contextlib
import ctypes
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # names of glibc's mallopt


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How to compute.

    device: `auto` takes a GPU when there is one. precision: `bf16` computes the trunk in bfloat16 with fp32 master
    weights; `auto` does so where the hardware has it. tokens: of one micro-batch. cache_tokens: of the sequences that
    are decoded together. compile: let torch.compile make the layers' kernels; `auto` does so on a GPU, where it pays.
    checkpointing: keep only the inputs of layers and compute the rest again in backward. offload: keep models that only
    score (reference, reward model) in the processor's memory while they do not.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    tokens: int = 16_384
    cache_tokens: int = 65_536
    compile: Literal["auto", "always", "never"] = "auto"
    checkpointing: bool = False
    offload: bool = False

    @property
    def torch_device(self) -> torch.device:
        """The device of this process."""
        cuda = torch.cuda.is_available() if self.device == "auto" else self.device == "cuda"
        return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")

    @property
    def bf16(self) -> bool:
        """Whether the trunk computes in bfloat16."""
        if self.precision != "auto":
            return self.precision == "bf16"
        if self.torch_device.type == "cuda":
            return torch.cuda.is_bf16_supported()
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()  # avx512_bf16 or amx

    @property
    def compiles(self) -> bool:
        """Whether layers are compiled."""
        return self.compile == "always" or (self.compile == "auto" and self.torch_device.type == "cuda")

    def autocast(self) -> torch.autocast:
        """The context in which trunks compute. A trunk reads each of its weights once, so that none is kept rounded."""
        device = self.torch_device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16, cache_enabled=False)

    @property
    def tolerance(self) -> float:
        """How far two ways to compute log-probabilities may differ, in nats, on average over tokens.

        Rounding in bf16 was seen to make 0.01 between sampler and scorer, in fp32 1e-6; a wrong temperature makes 0.3.
        """
        return 0.1 if self.bf16 else 2e-3


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device. A GPU fetches it when its turn comes, and the host goes on preparing what is next."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def keep_memory() -> None:
    """Let this process keep what it has allocated, where glibc would give it back and fault it in again at every step.

    All threads take from one heap, so that what one has given back another can have.
    For processes that are Assent's own, such as the command line; elsewhere than glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        adjust = ctypes.CDLL(None).mallopt
        adjust(_MMAP_MAX, 0)
        adjust(_TRIM_THRESHOLD, -1)
        adjust(_ARENA_MAX, 1)
