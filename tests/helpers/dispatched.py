"""What the dispatcher really shows while something runs, counted, for totals that were derived by hand."""

from __future__ import annotations

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from archprof import costs
from archprof.costs import Shape


class Recorder(TorchDispatchMode):
    """MACs of everything that runs inside, by operator; `None` where an operator is uncounted."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.macs: Counter[str] = Counter()
        self.uncounted: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = costs.macs(func, _shapes(args), {name: _shapes(value) for name, value in kwargs.items()}, _shapes(out))
        name = func.name().removeprefix("aten::")
        if count is None:
            self.uncounted.append(name)
        elif count:
            self.macs[name] += count
        return out


def _shapes(value):
    if isinstance(value, torch.Tensor):
        return Shape.of(value)
    return type(value)(_shapes(item) for item in value) if type(value) in (list, tuple) else value


def recorded(run, grad=False) -> Recorder:
    with torch.set_grad_enabled(grad), Recorder() as recorder:
        run()
    assert recorder.uncounted == []
    return recorder


def total(run, grad=False) -> int:
    return recorded(run, grad).macs.total()


def on(device: str, *sizes: int, dtype=torch.float32) -> torch.Tensor:
    return torch.ones(sizes, dtype=dtype, device=device)
