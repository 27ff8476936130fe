"""Networks that look at what follows from constants, after somebody else may have written there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from hostile.rows import L, Table, linear, vector
from torch import Tensor, nn

ROWS = Table()

LONG = 70_000  # more elements than are computed as they stand


class Looks(nn.Module):
    """Two layers where `look` finds what it expects with values, one elsewhere."""

    def __init__(self, look: Callable[..., Any]) -> None:
        super().__init__()
        self.one, self.two, self.look = linear(), linear(), look
        self.table = torch.stack([torch.zeros(LONG), torch.ones(LONG)])  # neither parameter nor buffer

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        return self.two(self.one(x)) if self.look(self, x, *more) else self.one(x)


def looks(name: str, look: Callable[..., Any], inputs: Callable[[], Any] = vector) -> None:
    ROWS.one(name, 2 * L, lambda: Looks(look), inputs)


def some(x: Tensor) -> Tensor:
    """Four positive numbers that no one knows."""
    return x[0, :4].abs() + 1


def places(x: Tensor) -> Tensor:
    return torch.arange(4, device=x.device)


def after(made: Callable[[Tensor], Any], *steps: Callable[[Any, Tensor], Any]) -> Callable[..., Any]:
    """What the last step finds in what was made, after the others."""

    def look(net: nn.Module, x: Tensor) -> Any:
        thing = made(x)
        return [step(thing, x) for step in steps][-1]

    return look


def zeros(x: Tensor) -> Tensor:
    return torch.zeros(4)


def zeros_there(x: Tensor) -> Tensor:
    return torch.zeros(4, device=x.device)


# --- a real tensor that tensors without values are written into -------------------------------------------------------

looks("known numbers added to real ones", after(zeros, lambda m, x: m.add_(places(x)), lambda m, x: m.sum() == 6))
looks(
    "known numbers put into real ones",
    after(
        zeros,
        lambda m, x: m.index_put_((places(x),), torch.ones(4, device=x.device), accumulate=True),
        lambda m, x: m.sum() == 4,
    ),
)
looks("out= a real tensor", after(zeros, lambda m, x: torch.add(some(x), 1, out=m), lambda m, x: m.sum() > 0))
looks("known, out= a real tensor", after(zeros, lambda m, x: torch.add(places(x), 1, out=m), lambda m, x: m.sum() > 0))
looks("a list of real ones", after(zeros, lambda m, x: torch._foreach_add_([m], [some(x)]), lambda m, x: m.sum() > 0))
looks(
    "running averages of its own",
    after(
        lambda x: (torch.zeros(8), torch.ones(8)),
        lambda m, x: F.batch_norm(x.abs() + 1, *m, training=True),
        lambda m, x: m[0].sum() > 0,
    ),
)
looks(
    "running averages of its own on the device",
    after(
        lambda x: (x.new_zeros(8), x.new_ones(8)),
        lambda m, x: F.batch_norm(x.abs() + 1, *m, training=True),
        lambda m, x: m[0].sum() > 0,
    ),
)
looks(
    "a real tensor in another shape",
    after(
        lambda x: torch.ones(8),
        lambda m, x: x + m,
        lambda m, x: m.resize_(2, 8).fill_(1),
        lambda m, x: (x[:1] + m).shape == (2, 8),
    ),
)
looks(
    "a real tensor with the memory of another",
    after(
        lambda x: torch.ones(2, 8),
        lambda m, x: x + m,
        lambda m, x: m.set_(torch.ones(1)),
        lambda m, x: (x[:1] + m).shape == (1, 8),
    ),
)

# --- the same memory under two names ----------------------------------------------------------------------------------


def moved(how: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def made(x: Tensor) -> tuple[Tensor, Tensor]:
        here = torch.zeros(4)
        return here, how(here, x)

    return made


for called, how in {
    "to(device)": lambda m, x: m.to(x.device),
    "to(another)": lambda m, x: m.to(x),
    "type_as": lambda m, x: m.type_as(x),
    "as_tensor of a tensor": lambda m, x: torch.as_tensor(m, device=x.device),
    "part of it, to(device)": lambda m, x: m[1:].to(x.device),
}.items():
    looks(
        f"{called}, then the first written", after(moved(how), lambda m, _: m[0].fill_(1), lambda m, _: m[1].sum() > 0)
    )
    looks(f"{called}, then the second", after(moved(how), lambda m, _: m[1].fill_(1), lambda m, _: m[0].sum() > 0))
    looks(
        f"{called}, then the second with what is unknown",
        after(moved(how), lambda m, x: m[1].add_(x[0, 0].abs() + 1), lambda m, _: m[0].sum() > 0),
    )
looks(
    "a copy to(device), then the first written",
    after(moved(lambda m, x: m.to(x.device, copy=True)), lambda m, _: m[0].fill_(1), lambda m, _: m[1].sum() == 0),
)
looks(
    "to(device, dtype), then the first written",
    after(moved(lambda m, x: m.to(x.device, torch.float64)), lambda m, _: m[0].fill_(1), lambda m, _: m[1].sum() == 0),
)
looks(
    "written with what is unknown, and no one else looks",
    lambda net, x: torch.zeros(4).to(x.device).add_(some(x)).sum() > 0,
)


def shared(how: Callable[[Any, Tensor], Tensor]) -> Callable[[Tensor], tuple[Any, Tensor]]:
    def made(x: Tensor) -> tuple[Any, Tensor]:
        array = numpy.zeros(4, dtype=numpy.float32)
        return array, how(array, x)

    return made


for called, how in {
    "as_tensor": lambda a, x: torch.as_tensor(a, device=x.device),
    "asarray": lambda a, x: torch.asarray(a, device=x.device),
    "from_numpy": lambda a, x: torch.from_numpy(a).to(x.device),
}.items():
    looks(f"{called} of an array, written", after(shared(how), lambda m, _: m[0].fill(1), lambda m, _: m[1].sum() > 0))
    looks(
        f"{called} of an array, written into",
        after(shared(how), lambda m, _: m[1].fill_(1), lambda m, _: m[0].sum() > 0),
    )
    looks(
        f"{called} of an array, written into with what is unknown",
        after(shared(how), lambda m, x: m[1].copy_(some(x)), lambda m, _: m[0].sum() > 0),
    )


def exported(how: Callable[[Tensor], Any]) -> Callable[[Tensor], tuple[Tensor, Any]]:
    def made(x: Tensor) -> tuple[Tensor, Any]:
        there = zeros_there(x)
        return there, how(there)

    return made


for called, how in {"numpy()": lambda m: m.numpy(), "asarray()": numpy.asarray}.items():
    looks(
        f"{called}, then what is unknown written",
        after(exported(how), lambda m, x: m[0].add_(some(x)), lambda m, _: m[1].sum() > 0),
    )
    looks(
        f"{called}, then the array written",
        after(exported(how), lambda m, _: m[1].fill(1), lambda m, _: m[0].sum() > 0),
    )

# --- parts of large tensors -------------------------------------------------------------------------------------------


def long() -> tuple[Any, ...]:
    return (*vector(), torch.stack([torch.zeros(LONG, dtype=torch.int64), torch.full((LONG,), 7)]))


looks("rows of a long input", lambda net, x, n: int(n[1].max()) == 7 and int(n[0].max()) == 0, long)
looks("rows of a long table", lambda net, x: net.table[1].max() == 1 and net.table[0].max() == 0)


def writes(name: str, write: Callable[[Tensor], Any]) -> None:
    looks(f"a long input, {name}", lambda net, x, n: write(n) is None or n.max() == 9, long)
    looks(f"a long table, {name}", lambda net, x: write(net.table) is None or net.table.max() == 9)


writes("a row written", lambda n: n[0].fill_(9))
writes("a column written", lambda n: n[:, 0].fill_(9))

# --- what is known otherwise than it lies in memory -------------------------------------------------------------------

looks(
    "an imaginary part's conjugate, twice",
    lambda net, x: [torch.tensor([1 + 2j], device=x.device).conj().imag.item() for _ in range(2)] == [-2, -2],
)
looks("a conjugate to(device)", lambda net, x: torch.tensor([1 + 2j]).conj().to(x.device).imag.item() == -2)
looks(
    "tensor() with a gradient",
    lambda net, x: torch.tensor([1.0], device=x.device, requires_grad=True).requires_grad,
)
