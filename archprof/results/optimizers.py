"""The optimizers that a training step can use: torch's class, its options, and its memory. Standard library only.

sgd                                      torch's defaults, but for what the table says
adamw(fused=true, weight_decay=0.01)     with options of torch's that change what a step costs
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..base.errors import BadOption, did_you_mean, printable
from .memory import OptimizerMemory

_NUMBER, _SWITCH = float, bool
_TEXT = re.compile(r"\s*(?P<name>[^()]*?)\s*(?:\((?P<options>[^()]*)\))?\s*")

#: Of torch's arguments those that change neither time nor memory.
_FREE = frozenset("lr betas eps rho lambd alpha t0 dampening capturable differentiable".split())


class Optimizer(NamedTuple):
    """One of torch's optimizers with its defaults but for `arguments`, and what it keeps and takes.

    `torch_class` is the class's name in torch.optim. `copies` are multiples of the parameters' bytes that stay between
    steps, `scalars` bytes for each parameter (step counts, rates). `temporary` is what updating one parameter takes,
    from its bytes and those of the one before, whose temporaries are let go only when they are replaced: so torch
    updates on the CPU. `together` is what updating all at once takes, as on CUDA, in multiples of their bytes.
    `options` may be asked for; what a step takes then follows from the step itself (`memory.updates`).
    """

    torch_class: str
    copies: int
    scalars: int
    temporary: Callable[[int, int], int]
    together: int
    arguments: Mapping[str, Any] = MappingProxyType({})
    options: Mapping[str, type] = MappingProxyType({})

    def memory(self, sizes: Sequence[int], on_cuda: bool = False) -> tuple[int, int]:
        """Bytes kept between steps and bytes taken by an update, for trainable parameters of so many bytes each.

        On CUDA the step counts stay in the host's memory.
        """
        total = sum(sizes)
        scalars = 0 if on_cuda else self.scalars * len(sizes)
        one_by_one = max(map(self.temporary, [0, *sizes], sizes), default=0)
        return self.copies * total + scalars, self.together * total if on_cuda else one_by_one


_DECAY: dict[str, type] = {"weight_decay": _NUMBER, "foreach": _SWITCH, "maximize": _SWITCH}
_FUSED = _DECAY | {"fused": _SWITCH}

#: By the name that options and JSON use. Memory as of torch 2.13; tests hold it to the real ones.
OPTIMIZERS = {
    "sgd": Optimizer(
        *("SGD", 1, 0, lambda before, size: 0, 0),
        MappingProxyType({"momentum": 0.9}),
        _FUSED | {"momentum": _NUMBER, "nesterov": _SWITCH},
    ),
    "adam": Optimizer("Adam", 2, 4, lambda before, size: before + 2 * size, 1, options=_FUSED | {"amsgrad": _SWITCH}),
    "adamw": Optimizer("AdamW", 2, 4, lambda before, size: before + 2 * size, 1, options=_FUSED | {"amsgrad": _SWITCH}),
    "adadelta": Optimizer("Adadelta", 2, 4, lambda before, size: before + size + max(before, size), 2, options=_DECAY),
    "adamax": Optimizer("Adamax", 2, 4, lambda before, size: size, 1, options=_DECAY),
    "asgd": Optimizer("ASGD", 1, 12, lambda before, size: 0, 1),
}


class Chosen(NamedTuple):
    """An optimizer as it was asked for: its name in OPTIMIZERS, and its arguments, the table's among them."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def known(self) -> Optimizer:
        """Its row in the table."""
        return OPTIMIZERS[self.name]


def chosen(text: str) -> Chosen:
    """The optimizer that `text` names. Raises BadOption for anything else, saying what there is."""
    match = _TEXT.fullmatch(text)
    name = match["name"] if match else text
    if name not in OPTIMIZERS:
        near = did_you_mean(name, OPTIMIZERS)
        accepted = f"Accepted: {', '.join(OPTIMIZERS)}, and options as in 'adamw(fused=true, weight_decay=0.01)'."
        raise BadOption(f"unknown optimizer '{printable(text)}'.{near}", accepted)
    assert match is not None
    given: dict[str, Any] = {}
    for part in (match["options"] or "").split(",") if (match["options"] or "").strip() else ():
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key in given:
            raise BadOption(f"optimizer '{printable(text)}': '{key}' is given twice;", "give each option once.")
        given[key] = _value(name, key, value)
    if given.get("fused") and given.get("foreach"):
        raise BadOption(f"optimizer '{printable(text)}': fused and foreach exclude each other;", "give one of them.")
    arguments = {**OPTIMIZERS[name].arguments, **given}
    if arguments.get("nesterov") and not arguments.get("momentum"):
        raise BadOption(f"optimizer '{printable(text)}': nesterov needs momentum;", "such as sgd(nesterov=true).")
    return Chosen(name, arguments)


def _value(optimizer: str, key: str, text: str) -> Any:
    """The value of an option, of the kind that torch takes."""
    options = OPTIMIZERS[optimizer].options
    if key not in options:
        accepted = f"Accepted: {', '.join(options)}." if options else f"{optimizer} takes none."
        if key in _FREE:
            raise BadOption(f"option '{key}' of {optimizer} changes neither time nor memory.", accepted)
        near = did_you_mean(key, options)
        raise BadOption(f"unknown option '{printable(key)}' of optimizer {optimizer}.{near}", accepted)
    if options[key] is _SWITCH:
        if text.lower() not in ("true", "false"):
            raise BadOption(f"option '{key}' of {optimizer} is '{printable(text)}';", "expected true or false.")
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise BadOption(f"option '{key}' of {optimizer} is '{printable(text)}';", "expected a number from 0 on.")
    return number


def optimizer_memory(sizes: Sequence[int], on_cuda: bool = False) -> tuple[OptimizerMemory, ...]:
    """What each optimizer, as the table has it, needs for trainable parameters of so many bytes each."""
    return tuple(OptimizerMemory(name, *known.memory(sizes, on_cuda)) for name, known in OPTIMIZERS.items())
