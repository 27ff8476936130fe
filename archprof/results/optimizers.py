"""The optimizers that a training step can use: torch's class, its arguments, and its memory. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from .memory import OptimizerMemory


class Optimizer(NamedTuple):
    """One of torch's optimizers with its defaults but for `arguments`, and what it keeps and takes.

    `torch_class` is the class's name in torch.optim. `copies` are multiples of the parameters' bytes that stay between
    steps, `scalars` bytes for each parameter (step counts, rates). `temporary` is what updating one parameter takes,
    from its bytes and those of the one before, whose temporaries are let go only when they are replaced: so torch
    updates on the CPU. `together` is what updating all at once takes, as on CUDA, in multiples of their bytes.
    """

    torch_class: str
    copies: int
    scalars: int
    temporary: Callable[[int, int], int]
    together: int
    arguments: Mapping[str, Any] = MappingProxyType({})

    def memory(self, sizes: Sequence[int], on_cuda: bool = False) -> tuple[int, int]:
        """Bytes kept between steps and bytes taken by an update, for trainable parameters of so many bytes each.

        On CUDA the step counts stay in the host's memory.
        """
        total = sum(sizes)
        scalars = 0 if on_cuda else self.scalars * len(sizes)
        one_by_one = max(map(self.temporary, [0, *sizes], sizes), default=0)
        return self.copies * total + scalars, self.together * total if on_cuda else one_by_one


#: By the name that options and JSON use. Memory as of torch 2.13; tests hold it to the real ones.
OPTIMIZERS = {
    "sgd": Optimizer("SGD", 1, 0, lambda before, size: 0, 0, MappingProxyType({"momentum": 0.9})),
    "adam": Optimizer("Adam", 2, 4, lambda before, size: before + 2 * size, 1),
    "adamw": Optimizer("AdamW", 2, 4, lambda before, size: before + 2 * size, 1),
    "adadelta": Optimizer("Adadelta", 2, 4, lambda before, size: before + size + max(before, size), 2),
    "adamax": Optimizer("Adamax", 2, 4, lambda before, size: size, 1),
    "asgd": Optimizer("ASGD", 1, 12, lambda before, size: 0, 1),
}


def optimizer_memory(sizes: Sequence[int], on_cuda: bool = False) -> tuple[OptimizerMemory, ...]:
    """What each optimizer needs for trainable parameters of so many bytes each."""
    return tuple(OptimizerMemory(name, *known.memory(sizes, on_cuda)) for name, known in OPTIMIZERS.items())
