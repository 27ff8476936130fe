"""Networks that look at what is not there: values, devices, storage; and those that change torch while they run."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from hostile.rows import C1, C3, L, Net, Table, c1, c3, image, linear, vector
from torch import Tensor, nn

ROWS = Table()
row, one = ROWS.row, ROWS.one

# --- a branch that the values decide: the images run from -1 to 1, their mean is 0 ------------------------------------


def tries(name: str, look: Callable[[Tensor], Any], more: int = 0) -> None:
    """A network that catches every error of a look at values, and then goes on with a layer that costs less."""

    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.large, self.small = c3(), c1()

        def forward(self, x: Tensor) -> Tensor:
            try:
                look(x)
            except Exception:
                return self.small(x)
            return self.large(x)

    one(f"catches the error of {name}", C3 + more, Tries)


tries("item()", lambda x: x.sum().item())
tries("item() of a product with a weight", lambda x: (x @ torch.ones(6, 6)).sum().item(), 2 * 8 * 36 * 6)
tries("float()", lambda x: float(x[0, 0, 0, 0]))
tries("int()", lambda x: int(x[0, 0, 0, 0]))
tries("bool()", lambda x: bool(x.max() > 0))
tries("any()", lambda x: [None for _ in range(1) if (x > 0).any()])
tries("tolist()", lambda x: x.tolist())
tries("numpy()", lambda x: x.detach().numpy().mean())
tries("numpy.asarray()", lambda x: numpy.asarray(x.detach()))
tries("nonzero()", lambda x: x.nonzero().shape[0] + 1)
tries("unique()", lambda x: torch.unique(x))
tries("a boolean mask", lambda x: x[x > 0])
tries("masked_select", lambda x: x.masked_select(x > 0))
tries("equal()", lambda x: torch.equal(x, x + 1))
tries("allclose()", lambda x: torch.allclose(x, x))
tries("format()", lambda x: f"{x.mean():.3f}")
tries("data_ptr()", lambda x: 1 / (x.data_ptr() != 0))
tries("cpu().numpy()", lambda x: x.cpu().numpy())
tries("an assert on finite values", lambda x: torch._assert(torch.isfinite(x).all(), "not finite"))


def asks(name: str, question: Callable[[Any, Tensor], Any], truth: int = C3, **others: Any) -> None:
    """A network that does more where the answer is yes."""
    one(
        f"asks {name}",
        truth,
        lambda: Net(lambda self, x: self.large(x) if question(self, x) else self.small(x), large=c3(), small=c1()),
        **others,
    )


asks("whether the input has NaN", lambda s, x: not torch.isnan(x).any())
asks("for the sign of the mean", lambda s, x: x.mean() < 0.5)
asks("for the largest value", lambda s, x: x.max().item() == 1.0)
asks("for a weight's value", lambda s, x: s.large.weight.abs().max() > 0)
asks("for a value kept in a plain tensor", lambda s, x: s.large.bias.new_ones(3).sum() == 3)
asks("x.device.type", lambda s, x: x.device.type == "cpu")
asks("str(x.device)", lambda s, x: str(x.device) == "cpu")
asks("x.device by comparison", lambda s, x: x.device == torch.device("cpu"))
asks("x.is_meta", lambda s, x: not x.is_meta)
asks("x.is_cpu", lambda s, x: x.is_cpu)
asks("x.is_cuda", lambda s, x: not x.is_cuda and not x.is_meta)
asks("parameter.is_cpu", lambda s, x: s.large.weight.is_cpu)
asks("parameter.device", lambda s, x: next(s.parameters()).device.type == "cpu")
asks("x.type()", lambda s, x: x.type() == "torch.FloatTensor")
asks("x.data_ptr()", lambda s, x: x.data_ptr() != 0)
asks("x.untyped_storage()", lambda s, x: x.untyped_storage().device.type == "cpu")
asks("type(x) is Tensor", lambda s, x: type(x) is Tensor)
asks("type(weight) is Parameter", lambda s, x: type(s.large.weight) is nn.Parameter)
asks("whether weights share storage", lambda s, x: s.large.weight.data_ptr() == s.large.weight.data.data_ptr())
asks("x.requires_grad", lambda s, x: not x.requires_grad)
asks("torch.is_grad_enabled()", lambda s, x: not torch.is_grad_enabled())
asks("is_inference_mode_enabled()", lambda s, x: not torch.is_inference_mode_enabled())
asks("torch.jit.is_tracing()", lambda s, x: not (torch.jit.is_tracing() or torch.jit.is_scripting()))
asks("torch.compiler.is_compiling()", lambda s, x: not torch.compiler.is_compiling())
asks("self.training", lambda s, x: not s.training)
asks("x.is_contiguous()", lambda s, x: x.is_contiguous())
asks(
    "x.stride()",
    lambda s, x: x.stride() == (36, 6, 1),
    inputs=lambda: (image()[0].to(memory_format=torch.channels_last),),
    truth=C1,
)
asks("x.grad_fn", lambda s, x: s.large(x).grad_fn is None, truth=2 * C3)


@row("a parameter's attribute says how often", 3 * C3)
def attribute() -> nn.Module:
    conv = c3()
    conv.weight.times = 3  # type: ignore[attr-defined]
    return Net(lambda self, x: [x := self.conv(x) for _ in range(self.conv.weight.times)][-1], conv=conv)


class Scaled(nn.Parameter):
    """A class of parameters of one's own, with a method that its network uses."""

    def often(self) -> int:
        return 2


@row("a class of parameters of its own", 2 * L, vector)
def own_parameter() -> nn.Module:
    return Net(lambda self, x: [x := x @ self.w for _ in range(self.w.often())][-1], w=Scaled(torch.eye(8)))


one(
    "counts by isinstance of its parameters",
    L,
    lambda: Net(
        lambda self, x: [x := x @ p for p in self.parameters() if isinstance(p, Scaled)][-1],
        w=Scaled(torch.eye(8)),
        v=nn.Parameter(torch.eye(8)),
    ),
    inputs=vector,
)
one(
    "picks rows by a boolean mask",
    4 * 8 * 8,
    lambda: Net(lambda self, x: self.fc(x[torch.tensor([True, False, True, True, True, False])]), fc=linear()),
    inputs=lambda: (torch.ones(6, 8),),
)
one(
    "picks positive rows",
    3 * 8 * 8,
    lambda: Net(lambda self, x: self.fc(x[x[:, 0] > 0]), fc=linear()),
    inputs=lambda: (torch.arange(-2.0, 4)[:, None].expand(6, 8).clone() - 0.0,),
)
one(
    "picks tokens that are not padding",
    4 * 8 * 8,
    lambda: Net(lambda self, ids: self.fc(self.table(ids)[ids != 0]), fc=linear(), table=nn.Embedding(9, 8)),
    inputs=lambda: (torch.tensor([[3, 4, 0], [1, 8, 0]]),),
)
one(
    "unique tokens only",
    3 * 8 * 8,
    lambda: Net(lambda self, ids: self.fc(self.table(torch.unique(ids))), fc=linear(), table=nn.Embedding(9, 8)),
    inputs=lambda: (torch.tensor([[3, 4, 3], [1, 4, 4]]),),
)
one("experts that are chosen by top-k", 4 * L // 2 + 2 * 8 * 4, lambda: Experts(), inputs=vector)
one(
    "non-maximum suppression by hand",
    3 * 8 * 8,
    lambda: Net(lambda self, x: self.fc(x[torch.where(x.sum(1) > 0)[0]]), fc=linear()),
    inputs=lambda: (torch.eye(6, 8)[:3],),
)
for kind in (torch.float32, torch.complex64, torch.int64):
    one(
        f"cat with an empty tensor of {kind}",
        L if kind is torch.float32 else L * (4 if kind.is_complex else 1),
        lambda kind=kind: Net(
            lambda self, x: torch.cat([torch.empty(0, 8, dtype=kind), x.to(kind)]) @ self.w.to(kind),
            w=nn.Parameter(torch.eye(8)),
        ),
        inputs=vector,
    )
one(
    "cat with an old-style empty tensor",
    L,
    lambda: Net(lambda self, x: self.fc(torch.cat([torch.empty(0), x])), fc=linear()),
    inputs=vector,
)
one(
    "complex product",
    4 * L,
    lambda: Net(
        lambda self, x: torch.view_as_real(x.to(torch.complex64) @ self.w),
        w=nn.Parameter(torch.eye(8, dtype=torch.complex64)),
    ),
    inputs=vector,
)


class Experts(nn.Module):
    """Each row goes to the best two of four experts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 4), nn.ModuleList(linear() for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.gate(x).topk(2).indices
        out = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows = (chosen == index).any(1).nonzero()[:, 0]
            if len(rows):
                out[rows] += expert(x[rows])
        return out


# --- networks that change torch ---------------------------------------------------------------------------------------


def _dice() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def changes(name: str, change: Callable[[Any], Any], truth: int = C3, **attributes: Callable[[], Any]) -> None:
    """A network that changes something of torch's before its convolution and leaves it so."""
    one(
        f"forward calls {name}",
        truth,
        lambda: Net(
            lambda self, x: (change(self), self.conv(x))[1], conv=c3(), **{key: v() for key, v in attributes.items()}
        ),
    )


changes("torch.manual_seed", lambda s: torch.manual_seed(7))
changes("random.seed and numpy.random.seed", lambda s: (random.seed(7), numpy.random.seed(7)))
changes("torch.rand", lambda s: (torch.rand(3), random.random(), numpy.random.rand()))
changes("torch.use_deterministic_algorithms", lambda s: torch.use_deterministic_algorithms(True))
changes("torch.set_float32_matmul_precision", lambda s: torch.set_float32_matmul_precision("high"))
changes("torch.set_num_threads", lambda s: torch.set_num_threads(1))
changes("cudnn.benchmark", lambda s: setattr(torch.backends.cudnn, "benchmark", True))
changes(
    "a generator of its own", lambda s: torch.rand(3, generator=s.dice), dice=lambda: torch.Generator().manual_seed(3)
)
changes("torch.set_grad_enabled(True)", lambda s: torch.set_grad_enabled(True))
changes("torch.randn of a large tensor", lambda s: torch.randn(300, 300))


@row("forward sets the default dtype", C3)
class Doubles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    def forward(self, x: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        made = torch.ones(1)
        return self.conv(x) if made.dtype is torch.float64 else self.conv(self.conv(x))


@row("forward sets the default dtype and back", C3 + C1)
class DoublesAndBack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.small = c3(), c1()

    def forward(self, x: Tensor) -> Tensor:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        wide = torch.ones(1).dtype is torch.float64
        torch.set_default_dtype(before)
        x = self.conv(x)
        return self.small(x) if wide and torch.ones(1).dtype is torch.float32 else x


@row("forward sets the default device", C3)
class Moves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        torch.set_default_device("cpu")
        return x


@row("forward registers a global hook", 2 * C3)
class HooksAll(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    def forward(self, x: Tensor) -> Tensor:
        mine = self.conv
        nn.modules.module.register_module_forward_hook(
            lambda module, given, out: mine.forward(out) if module is mine else None
        )
        return self.conv(x)


one("autocast inside forward", C3, lambda: Net(lambda self, x: _cast(self.conv, x), conv=c3()))
one("forward under inference_mode", C3, lambda: Net(lambda self, x: torch.inference_mode()(self.conv)(x), conv=c3()))
one("forward under enable_grad, with a gradient", 3 * L, lambda: Gradient(), inputs=vector)
one(
    "dropout in evaluation by functional",
    C3,
    lambda: Net(lambda self, x: self.conv(F.dropout(x, 0.5, self.training)), conv=c3()),
)
one("noise is added", C3, lambda: Net(lambda self, x: self.conv(x + torch.randn_like(x) * 0.1), conv=c3()))


def _cast(conv: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        out: Tensor = conv(x)
    return out


class Gradient(nn.Module):
    """The gradient of a linear layer's output by its input is one product more; that by its weight another."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = linear()

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            by_input, _ = torch.autograd.grad(self.fc(x).square().sum(), (x, self.fc.weight))
        return by_input
