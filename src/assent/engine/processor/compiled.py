"""The kernels of this folder, compiled on this machine for this machine when first used, and called from torch.

PyTorch's own attention pads, copies and, in bf16, trains at a few GFLOP/s on a processor; what stands between its
products is many passes over the same rows. Where a C++ compiler is at hand the kernels are built once (in seconds) and
kept in the user's cache; where there is none, or with ASSENT_KERNELS=0, torch computes the same numbers.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FOLDER = Path(__file__).parent
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-ffp-contract=fast", "-Wno-psabi")
TYPES = (torch.float32, torch.bfloat16)  # that kernels read and write


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
    """The library for these sources, compiler and processor; built when it is not there yet."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    sources = sorted(path for path in FOLDER.iterdir() if path.suffix in (".cpp", ".h"))
    contents = [path.read_bytes() for path in sources]
    key = hashlib.sha256(b"\0".join([*contents, version, _abilities(), *map(str.encode, FLAGS)]))
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assent"
    target = home / f"processor-{key.hexdigest()[:16]}.so"
    if not target.exists():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as folder:  # several processes may build at once: the last one wins
            made = Path(folder) / target.name
            units = [str(path) for path in sources if path.suffix == ".cpp"]
            command = [compiler, *FLAGS, *units, "-o", str(made), *_openmp()]
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


def runs_on(*tensors: Tensor) -> bool:
    """Whether the kernels compute with such tensors: on a processor, in fp32 or bf16."""
    return all(one.device.type == "cpu" and one.dtype in TYPES for one in tensors) and kernels() is not None


def dense(tensor: Tensor) -> Tensor:
    """The tensor with its last dimension dense, as all kernels want it."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where a tensor's numbers begin; null for none."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())
