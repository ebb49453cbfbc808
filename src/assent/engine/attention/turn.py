"""Rotary positions: the turn of queries and keys by the angles of their tokens' places."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from assent.engine.processor import blocks
from assent.engine.processor.compiled import runs_on


class Turn(NamedTuple):
    """Cosines and sines of the tokens' angles; both halves of a head hold the same ones."""

    cosines: Float[Tensor, "row width"]
    sines: Float[Tensor, "row width"]

    def of(self, states: Float[Tensor, "row heads width"]) -> Float[Tensor, "row heads width"]:
        """Each number of the first half of a head with its partner of the second, turned (Su et al. 2021)."""
        whole = self.cosines.shape[-1] == states.shape[-1]  # some families turn a part of each head
        if whole and runs_on(states, *self) and self.cosines.dtype == torch.float32:
            return blocks.rotate(states, *self)
        first, second = states.chunk(2, -1)
        return states * self.cosines[:, None] + torch.cat([-second, first], -1) * self.sines[:, None]
