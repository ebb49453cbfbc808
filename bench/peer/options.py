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
FAST = Options(checkpointing=False, onednn=True, malloc=True)


def shipped(job: str) -> Options:
    """The peer as shipped."""
    return DECODE if job == "decode" else SHIPPED


def grid(job: str) -> list[Options]:
    """What `--tune` tries."""
    fp32 = replace(FAST, bf16=False)
    if job == "sft":
        return [replace(one, packing=how) for one in (FAST, fp32) for how in ("none", "bylen", "bfd", "wrapped")]
    if job == "decode":
        ways = ("plain", "static", "continuous")
        return [replace(one, generate=how) for one in (FAST, fp32, replace(fp32, onednn=False)) for how in ways]
    return [FAST, fp32, replace(fp32, onednn=False)]


TUNED: dict[tuple[str, str], Options] = {
    ("sft", "3m"): replace(FAST, packing="wrapped"),
    ("sft", "25m"): replace(FAST, packing="wrapped"),
    ("reward", "3m"): FAST,
    ("reward", "25m"): FAST,
    ("decode", "3m"): replace(FAST, bf16=False, generate="plain"),
    ("decode", "25m"): replace(FAST, generate="plain"),
    ("ppo", "3m"): replace(FAST, bf16=False),
    ("ppo", "25m"): FAST,
}
