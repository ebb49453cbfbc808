"""The peer's own environments under `.bench/`: TRL 1.16 for SFT, rewards and decoding, TRL 1.12 for PPO.

TRL 1.12 is the last series with a PPO trainer; it is laid in front of the other one, on the same torch and
transformers, which are the versions that Assent runs on. Everything else is held to the versions of the lock file.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench import HOME, ROOT

TRL, TRL_WITH_PPO = "1.16.0", "1.12.0"
PYTHON, WITH_PPO = HOME / "trl" / "bin" / "python", HOME / "trl-ppo"


class NoPeerError(RuntimeError):
    """The peer could not be set up; says why."""


def versions() -> dict[str, str]:
    """What both sides run on, and the peer's own versions."""
    shared = {name: importlib.metadata.version(name).partition("+")[0] for name in ("torch", "transformers")}
    return {**shared, "trl": TRL, "trl with PPO": TRL_WITH_PPO}


def prepare() -> None:
    """Set the peer up, unless it is. Raises NoPeerError with pip's last words."""
    wanted = repr(versions())
    stamp = HOME / "trl" / "ready"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("setting TRL up under .bench (minutes)", flush=True)
    for old in (HOME / "trl", WITH_PPO):
        shutil.rmtree(old, ignore_errors=True)
    shared = [f"{name}=={versions()[name]}" for name in ("torch", "transformers")]
    _do(sys.executable, "-m", "venv", str(HOME / "trl"))
    _pip("--constraint", str(ROOT / "requirements.lock"), *shared, "accelerate", f"trl=={TRL}")
    _pip("--no-deps", "--target", str(WITH_PPO), f"trl=={TRL_WITH_PPO}")
    stamp.write_text(wanted)


def _pip(*arguments: str) -> None:
    _do(str(PYTHON), "-m", "pip", "install", "--quiet", *arguments)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NoPeerError(f"TRL could not be set up ({' '.join(last)}); the peer's columns stay empty")


def environment(threads: int, *paths: Path) -> dict[str, str]:
    """The environment of a worker: `paths` go before everything else that it imports."""
    cache = HOME / "cache"
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(map(str, [*paths, ROOT])),
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "ACCELERATE_USE_CPU": "1",
    }
