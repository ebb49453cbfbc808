"""Two models that learn at once learn what they learn one after the other."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests import tiny

from assent.engine.side_by_side import side_by_side


def threads() -> tuple[int, int]:
    return threading.get_ident(), torch.get_num_threads()


def test_each_has_half_of_the_processor_and_all_of_it_comes_back() -> None:
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        (here, ours), (there, theirs) = side_by_side(replace(tiny.MACHINE, precision="bf16"), threads, threads)
        assert here == threading.get_ident()
        assert there != here
        assert (ours, theirs) == (2, 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)


@pytest.mark.parametrize(("precision", "count"), [("fp32", 3), ("bf16", 1)])
def test_one_after_the_other_where_it_would_not_be_the_same_or_faster(precision: str, count: int) -> None:
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(count)
        machine = tiny.MACHINE if precision == "fp32" else replace(tiny.MACHINE, precision="bf16")
        assert side_by_side(machine, threads, threads) == (threads(), threads())
    finally:
        torch.set_num_threads(usual)


def test_a_fault_of_either_comes_out_when_both_are_done() -> None:
    machine, done = replace(tiny.MACHINE, precision="bf16"), threading.Event()
    usual = torch.get_num_threads()

    def fails() -> None:
        raise ValueError("broken")

    def waits() -> None:
        done.wait(0.2)
        done.set()

    try:
        torch.set_num_threads(2)
        with pytest.raises(ValueError, match="broken"):
            side_by_side(machine, fails, waits)
        assert done.is_set()
        with pytest.raises(ValueError, match="broken"):
            side_by_side(machine, waits, fails)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)


def test_gradients_are_those_of_one_after_the_other_bit_for_bit(blank: Path) -> None:
    models = [tiny.model(blank, precision="bf16") for _ in range(2)]
    batches = [tiny.texts(6, seed=seed) for seed in range(2)]

    def learn(number: int) -> list[torch.Tensor]:
        model = models[number]
        parameters = list(model.parameters().values())
        return list(torch.autograd.grad(model.logprobs(batches[number]).sum(), parameters))

    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = [learn(0), learn(1)]
        torch.set_num_threads(2)
        for _ in range(5):
            found = side_by_side(models[0].machine, lambda: learn(0), lambda: learn(1))
            for one, right in zip(found, expected, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(one, right, strict=True))
    finally:
        torch.set_num_threads(usual)
