"""Attention on a processor, compiled on this machine for this machine: processor.cpp and its use from torch.

PyTorch's own attention pads, copies and, in bf16, trains at a few GFLOP/s on a processor. Where a C++ compiler is at
hand the kernels are built once (two seconds) and kept in the user's cache; where there is none, or with
ASSENT_KERNELS=0, attention goes through slices.py and gives the same numbers.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from assent.engine.layout import Span

SOURCE = Path(__file__).with_name("processor.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-ffp-contract=fast", "-Wno-psabi")
WIDEST = 256  # of a head: beyond, blocks of queries would leave the caches

Row = Float[Tensor, "row heads width"]


class _Shape(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("row", "heads", "key_heads", "width", "window", "trees", "threads")),
        ("scale", ctypes.c_float),
    )


class _View(ctypes.Structure):
    """A tensor whose last dimension is dense."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("row", "head", "place", "half")),
    )


@functools.cache
def kernels() -> Any | None:
    """The compiled kernels, None where they cannot be had."""
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
    if compiler is None or os.environ.get("ASSENT_KERNELS") == "0":
        return None
    try:
        return ctypes.CDLL(str(_built(compiler)))
    except (OSError, RuntimeError, subprocess.SubprocessError):  # no home folder is a RuntimeError
        return None


def _built(compiler: str) -> Path:
    """The library for this source, compiler and processor; built when it is not there yet."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), version, _abilities(), *map(str.encode, FLAGS)]))
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assent"
    target = home / f"processor-{key.hexdigest()[:16]}.so"
    if not target.exists():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as folder:  # several processes may build at once: the last one wins
            made = Path(folder) / target.name
            command = [compiler, *FLAGS, str(SOURCE), "-o", str(made), *_openmp()]
            subprocess.run(command, capture_output=True, check=True, timeout=300)
            made.replace(target)
    return target


def _abilities() -> bytes:
    """What this processor can do: a home folder may be shared by machines that differ."""
    known = Path("/proc/cpuinfo")
    lines = known.read_bytes().splitlines() if known.exists() else []
    return next((line for line in lines if line.startswith((b"flags", b"Features"))), platform.processor().encode())


def _openmp() -> list[str]:
    """torch's own OpenMP library: a second one would bring threads that wait beside torch's and take their cores."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    return [line.split()[-1] for line in lines if "libgomp" in line][:1]


def takes(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether the kernels compute this attention: on a processor, in fp32 or bf16, heads of a usual width."""
    return (
        value.device.type == "cpu"
        and value.dtype in (torch.float32, torch.bfloat16)
        and query.dtype in (torch.float32, torch.bfloat16)
        and query.shape[-1] == key.shape[-1] == value.shape[-1] <= WIDEST
        and kernels() is not None
    )


@dataclass(frozen=True)
class Trees:
    """A row's trees as the kernels read them: starts and lengths, and where each tree begins among them."""

    spans: Int[Tensor, "spans 2"]
    begins: Int[Tensor, " trees_and_1"]

    @classmethod
    def of(cls, trees: Sequence[Sequence[Span]]) -> "Trees":
        """Write down spans; the longest trees come first, so that none is left for one thread at the end."""
        ordered = sorted(trees, key=lambda tree: -sum(length for _, length in tree))
        spans = torch.tensor([span for tree in ordered for span in tree], dtype=torch.int64)
        return cls(spans, torch.tensor([0, *(len(tree) for tree in ordered)]).cumsum(0))

    def attend(self, query: Row, key: Row, value: Row, scale: float, window: int | None) -> Row:
        """The attention output of every token of the row, as precise as the values are."""
        query, key = query.to(value.dtype), key.to(value.dtype)
        return _Attention.apply(query, key, value, self, scale, window)  # pyright: ignore[reportReturnType]


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, trees: Trees, scale: float, window: int | None
    ) -> Tensor:
        query, key, value = (_dense(tensor) for tensor in (query, key, value))
        out = torch.empty_like(query)
        normalisers = torch.empty(query.shape[1], query.shape[0])
        ctx.shape = _shape(query, key, scale, window, len(trees.begins) - 1)
        ctx.trees = trees
        compiled: Any = kernels()
        compiled.attend(ctx.shape, *_views(query, key, value, out), *_pointers(normalisers, trees.spans, trees.begins))
        ctx.save_for_backward(query, key, value, out, normalisers)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, out, normalisers = ctx.saved_tensors
        given = _dense(grads[0])
        wanted = [torch.empty_like(tensor) for tensor in (query, key, value)]
        compiled: Any = kernels()
        compiled.attend_backward(
            ctx.shape,
            *_views(query, key, value, out),
            *_pointers(normalisers),
            *_views(given, *wanted),
            *_pointers(ctx.trees.spans, ctx.trees.begins),
        )
        return (*wanted, None, None, None)


def decode(
    query: Row,
    key: Row,
    value: Row,
    stores: tuple[Tensor, Tensor],
    positions: Int[Tensor, " slots"],
    scale: float,
    window: int | None,
) -> Row:
    """One new token for each of the first slots: its key and value enter the stores, its query sees them.

    stores: keys and values, [slots, length, key heads, width].
    """
    query, key, value = (_dense(tensor) for tensor in (query, key, value))
    out = torch.empty_like(query, dtype=value.dtype)
    compiled: Any = kernels()
    shape = _shape(query, key, scale, window, 0)
    compiled.decode(shape, *_views(query, key, value, out, *stores), *_pointers(positions))
    return out


def _dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _shape(query: Tensor, key: Tensor, scale: float, window: int | None, trees: int) -> Any:
    row, heads, width = query.shape
    threads = torch.get_num_threads()
    return ctypes.byref(_Shape(row, heads, key.shape[1], width, window or 0, trees, threads, scale))


def _views(*tensors: Tensor) -> list[Any]:
    """Of [row, heads, width], or of a store [slots, length, heads, width]."""
    views: list[_View] = []
    for tensor in tensors:
        place = tensor.stride(1) if tensor.dim() == 4 else 0
        half = int(tensor.dtype == torch.bfloat16)
        views.append(_View(tensor.data_ptr(), tensor.stride(0), tensor.stride(-2), place, half))
    return [ctypes.byref(view) for view in views]


def _pointers(*tensors: Tensor) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
