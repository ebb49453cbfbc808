"""What can be done to a model's layers without changing a number: compile them, or forget what they computed.

Both take the repeated layers of any family as they are; attention stays outside compiled code (attention.plans).
"""

import contextlib
import functools
from typing import Any

import torch
import torch._dynamo.config as dynamo
from torch import nn
from torch.utils.checkpoint import checkpoint

from assent.engine.attention import plans

VARIANTS = 64  # of a layer's code: with and without gradients, for each model, in each precision of its weights


def repeated(module: nn.Module) -> list[Any]:
    """The layers of the trunk: the members of its longest list of modules."""
    lists = [list(owner) for owner in module.modules() if isinstance(owner, nn.ModuleList)]
    return max(lists, key=len, default=[])


def compile_layers(module: nn.Module) -> None:
    """Compile every layer for rows of any length; what lies between products becomes few kernels."""
    dynamo.recompile_limit = max(dynamo.recompile_limit, VARIANTS)
    for layer in repeated(module):
        layer.compile(dynamic=True)


@functools.cache
def mixed(kind: type[nn.Module], own: type[nn.Module]) -> Any:
    """The class `own`, by its name, with `kind` before it. One for all members: compiled code asks for the class."""
    return type(own.__name__, (kind, own), {"__module__": own.__module__})


class _Forgetful(nn.Module):
    """Mixed into a layer's class: with gradients, only the layer's input is kept and the rest computed again."""

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """The layer's own forward."""
        own = super().forward
        if not torch.is_grad_enabled():
            return own(*arguments, **named)
        plan = plans.in_force()  # backward may run in another thread, where none is

        def contexts() -> tuple[Any, Any]:
            return contextlib.nullcontext(), plans.following(plan)

        return checkpoint(own, *arguments, use_reentrant=False, context_fn=contexts, **named)


_outside: Any = torch.compiler.disable(recursive=False)  # what it calls may be compiled, but not the checkpoint itself
_Forgetful.forward = _outside(_Forgetful.forward)


def checkpoint_layers(module: nn.Module) -> None:
    """Gradient checkpointing: the memory of one layer for a third more time, and the same gradients, bit for bit."""
    for layer in repeated(module):
        if not isinstance(layer, _Forgetful):
            layer.__class__ = mixed(_Forgetful, type(layer))
