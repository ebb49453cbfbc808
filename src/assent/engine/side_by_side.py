"""Two pieces of work that share nothing, at once, each on half of the processor.

Products of a few hundred rows do not become twice as fast on twice the threads, so that two models learn faster side by
side than one after the other.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from assent.engine import distributed
from assent.engine.machine import Machine

A = TypeVar("A")
B = TypeVar("B")


def side_by_side(machine: Machine, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """What both return. At once on a processor with two threads or more, in bf16; else one after the other.

    Gradients are on in both. Not where processes wait for each other, which must all send in one order; and not in
    fp32, where one of two libraries is chosen for the products of the whole process (`logits.fast_products`).
    """
    threads = torch.get_num_threads()
    if machine.torch_device.type != "cpu" or not machine.bf16 or threads < 2 or distributed.world() > 1:
        return first(), second()
    half = threads // 2
    later = _other().submit(_on, half, second)
    try:
        torch.set_num_threads(threads - half)
        return first(), later.result()
    finally:
        later.exception()  # waits, whatever became of the first
        torch.set_num_threads(threads)


@functools.cache
def _other() -> ThreadPoolExecutor:
    """One thread for all: libraries keep what they have prepared a thread."""
    return ThreadPoolExecutor(1)


def _on(threads: int, work: Callable[[], B]) -> B:
    torch.set_num_threads(threads)
    return work()
