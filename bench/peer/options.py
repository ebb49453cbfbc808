"""How the peer runs: as shipped, and at its best on the machine that `--tune` was run on."""

from dataclasses import dataclass, replace
from typing import Literal

# glibc gives large blocks back to the kernel at every free, and training touches them again at once: page faults.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user of the peer may set; the defaults are the peer's.

    bf16, checkpointing: of the trainers, on unless said otherwise; decoding reads bf16 as the type of the weights.
    packing: of SFT. `bylen`: batches of similar length; `bfd`: several documents in a row, kept apart; `wrapped`: the
    documents one after the other, cut into rows of the context, so that they see what stands before them: not the
    same computation any more. onednn: fp32 products by oneDNN, `torch.set_float32_matmul_precision("medium")`.
    malloc: KEEP_MEMORY in the environment. generate: how decoding is called; `scores` as TRL's PPO does.
    """

    bf16: bool = True
    checkpointing: bool = True
    packing: Literal["none", "bylen", "bfd", "wrapped"] = "none"
    onednn: bool = False
    malloc: bool = False
    generate: Literal["scores", "plain", "static", "continuous"] = "scores"

    @property
    def environment(self) -> dict[str, str]:
        """What must be set before the process starts."""
        return KEEP_MEMORY if self.malloc else {}

    def differences(self, other: "Options") -> str:
        """What is not as in `other`, in words."""
        changed = {name: value for name, value in vars(self).items() if value != getattr(other, name)}
        return ", ".join(f"{name}={value}" for name, value in changed.items())


SHIPPED = Options()
DECODE = Options(bf16=False)  # TRL's PPO generates in fp32, whatever it trains in
FAST = Options(checkpointing=False, onednn=True, malloc=True)  # of training, before anything is chosen


def shipped(job: str) -> Options:
    """The peer as shipped."""
    return DECODE if job == "decode" else SHIPPED


def grid(job: str) -> list[Options]:
    """What `--tune` tries."""
    ways = [FAST, replace(FAST, onednn=False), replace(FAST, bf16=False), replace(FAST, bf16=False, onednn=False)]
    if job == "sft":
        return [replace(one, packing=how) for one in ways[::2] for how in ("none", "bylen", "bfd", "wrapped")]
    if job == "decode":
        return [replace(one, generate=how) for one in ways[::3] for how in ("plain", "static", "continuous")]
    return ways


# Found on 2 cores of an AMD EPYC with avx512_bf16 (--threads 1, items per second of processor time, 3m):
# SFT 725 as shipped; with FAST 1,300 padded, 1,180 bfd, 2,790 by length, 3,410 wrapped; in fp32 820 to 2,370.
# Reward .72 as shipped, .86 FAST, .73 in fp32 without oneDNN, .60 with it.
# Decoding 830 to 1,040 as shipped; in bf16 1,300 plain, 1,320 static, 510 continuous; in fp32 570 with oneDNN, which is
# slow for a product of 64 rows. That is why PPO, which decodes in fp32, is better off without it: 4.8 as shipped, 4.0
# FAST, 4.2 in fp32 with oneDNN, 5.5 without. At 25m (2 threads, items per second): SFT 1,150 wrapped, 1,250 by length;
# rankings the same with and without oneDNN; PPO 1.52 without it, 1.25 FAST, 1.29 in fp32.
TUNED: dict[tuple[str, str], Options] = {
    ("sft", "3m"): replace(FAST, packing="wrapped"),
    ("sft", "25m"): replace(FAST, packing="bylen"),
    ("reward", "3m"): FAST,
    ("reward", "25m"): FAST,
    ("decode", "3m"): replace(FAST, generate="static"),
    ("decode", "25m"): replace(FAST, generate="static"),
    ("ppo", "3m"): replace(FAST, bf16=False, onednn=False),
    ("ppo", "25m"): replace(FAST, onednn=False),
}
