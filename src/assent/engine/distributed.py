"""Several processes that hold the same models: work is dealt out, results and gradients are summed.

Algorithms see the whole batch on every rank; only the engine deals parts of it out. One process is the same code with
nothing to send. Start with `torchrun`; the waits are bounded, so one dead rank ends the others.
"""

import datetime
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")

TIMEOUT = datetime.timedelta(minutes=30)  # longer than any step, shorter than a night


def start() -> None:
    """Join the process group that `torchrun` describes; without one, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT)
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def rank() -> int:
    """This process's number."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_tensors(tensors: Sequence[Tensor]) -> None:
    """Add up the tensors over the ranks, in place, in one message a data type."""
    if world() == 1:
        return
    for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in same])
        dist.all_reduce(flat)
        for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
            tensor.copy_(part.view_as(tensor))


def share(items: Sequence[T], compute: Callable[[T], Any]) -> list[Any]:
    """`compute` every item, the work dealt out to the ranks, all results on all of them in the order of the items.

    Tensors come back in the host's memory, once all is computed: a GPU does not wait between two items.
    """
    computed = [compute(item) for item in items[rank() :: world()]]
    mine = [one.cpu() if isinstance(one, Tensor) else one for one in computed]
    if world() == 1:
        return mine
    parts: list[Any] = [None] * world()
    dist.all_gather_object(parts, mine)
    return [parts[index % world()][index // world()] for index in range(len(items))]


def from_first(value: T) -> T:
    """The value of rank 0 on every rank."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def barrier() -> None:
    """Wait for every rank."""
    if world() > 1:
        dist.barrier()


def sum_numbers(numbers: dict[str, float]) -> dict[str, float]:
    """Add up named numbers over the ranks; a rank that had nothing to do sends none."""
    if world() == 1:
        return numbers
    parts: list[Any] = [None] * world()
    dist.all_gather_object(parts, numbers)
    names = {name: None for part in parts for name in part}
    return {name: sum(part.get(name, 0.0) for part in parts) for name in names}
