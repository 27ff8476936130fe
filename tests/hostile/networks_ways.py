"""Networks that run in another way than by calling a module's forward: threads, scripts, transforms, wrappers."""

from __future__ import annotations

import copy
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import torch.nn.functional as F
import torch.nn.utils.parametrizations as parametrizations
from hostile.rows import C1, C3, L, Net, Table, Three, c1, c3, image, linear, tokens, vector
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

ROWS = Table()
row, one = ROWS.row, ROWS.one

# --- threads: a dispatch mode is one thread's own ---------------------------------------------------------------------


@row("branches in a pool of threads", C3 + C1, by_hand=True, warms=True)
class Pool(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList((c3(), c1()))

    def run(self, branch: Any, x: Tensor) -> Tensor:
        with torch.no_grad():
            out: Tensor = branch(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda branch: self.run(branch, x), self.branches)
        return one + other


@row("functionals in a pool of threads", 2 * C3, by_hand=True, warms=True)
class FunctionalPool(Pool):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.branches[0].weight
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda x: self.run(lambda x: F.conv2d(x, weight, padding=1), x), (x, x + 1))
        return one + other


@row("a pool of threads of its own", C3 + C1, by_hand=True, warms=True)
class KeptPool(Pool):
    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(2)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.pool.map(lambda branch: self.run(branch, x), self.branches)
        return one + other


@row("a thread that fills a list", C3 + C1, by_hand=True)
class Thread(Pool):
    def forward(self, x: Tensor) -> Tensor:
        out: list[Tensor] = []
        thread = threading.Thread(target=lambda: out.append(self.run(self.branches[0], x)))
        thread.start()
        thread.join()
        return self.branches[1](out[0])


# --- calls that are not the usual ones --------------------------------------------------------------------------------


@row("__call__ is overridden", 2 * C3)
class Calls(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(8, 8, 3, padding=1)

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = super().__call__(super().__call__(x))
        return out


@row("_call_impl is overridden", 2 * C3)
class CallsInside(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(8, 8, 3, padding=1)

    def _call_impl(self, x: Tensor) -> Tensor:
        out: Tensor = super()._call_impl(super()._call_impl(x))
        return out

    __call__ = _call_impl


one("forward is called by hand", 3 * C3, lambda: Net(lambda s, x: nn.Module.__call__(s.inner, x), inner=Three()))
one("forward is called without its hooks", C3, lambda: Net(lambda s, x: s.conv.forward(x), conv=hooked()))
one(
    "torch.nn.functional by another name",
    C3,
    lambda: Net(lambda s, x: torch.conv2d(x, s.conv.weight, s.conv.bias, padding=1), conv=c3()),
)
one(
    "an operator by torch.ops",
    C3,
    lambda: Net(
        lambda s, x: torch.ops.aten.convolution(x, s.conv.weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
        conv=c3(),
    ),
)
one(
    "einsum, matmul, @, bmm, addmm and linear",
    6 * L,
    lambda: Net(
        lambda s, x: (
            torch.einsum("nc,dc->nd", x, s.w),
            torch.matmul(x, s.w),
            x @ s.w,
            torch.bmm(x[None], s.w[None]),
            torch.addmm(s.b, x, s.w),
            F.linear(x, s.w),
        ),
        w=nn.Parameter(torch.eye(8)),
        b=nn.Parameter(torch.zeros(8)),
    ),
    inputs=vector,
)


def hooked() -> nn.Module:
    conv = c3()
    conv.register_forward_hook(lambda block, given, out: block.forward(out))
    return conv


# --- TorchScript and compilers ----------------------------------------------------------------------------------------


def quietly(make: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def plain() -> nn.Module:
    return nn.Sequential(c3(), nn.BatchNorm2d(8), nn.ReLU(), c1()).eval()


one("scripted", C3 + C1, lambda: quietly(lambda: torch.jit.script(plain())))
one("traced", C3 + C1, lambda: quietly(lambda: torch.jit.trace(plain(), image())))
one("scripted and frozen", C3 + C1, lambda: quietly(lambda: torch.jit.freeze(torch.jit.script(plain()))))
one(
    "optimized for inference",
    C3 + C1,
    lambda: quietly(lambda: torch.jit.optimize_for_inference(torch.jit.script(plain()))),
    by_hand=True,
)
one("a scripted part", 2 * (C3 + C1), lambda: quietly(lambda: nn.Sequential(torch.jit.script(plain()), plain())))
one("a scripted function", C3, lambda: quietly(lambda: Net(lambda s, x: _scripted(x, s.conv.weight), conv=c3())))
one("a compiled part", C3 + C1 + C3, lambda: nn.Sequential(torch.compile(plain(), backend="eager"), c3()), by_hand=True)
one("torch.fx's graph of a network", C3 + C1, lambda: torch.fx.symbolic_trace(plain()))


@torch.jit.script
def _scripted(x: Tensor, weight: Tensor) -> Tensor:
    return torch.conv2d(x, weight, None, [1, 1], [1, 1])


# --- transforms and autograd ------------------------------------------------------------------------------------------

one("checkpoint", C3 + C1, lambda: Net(lambda s, x: checkpoint(s.body, x, use_reentrant=False), body=plain()))
one("reentrant checkpoint", C3 + C1, lambda: Net(lambda s, x: checkpoint(s.body, x, use_reentrant=True), body=plain()))
one(
    "functional_call",
    C3,
    lambda: Net(
        lambda s, x: torch.func.functional_call(s.conv, {name: p * 2 for name, p in s.conv.named_parameters()}, (x,)),
        conv=c3(),
    ),
)
one("vmap over the batch", L, lambda: Net(lambda s, x: torch.func.vmap(s.fc)(x), fc=linear()), inputs=vector)
one(
    "vmap over an ensemble",
    3 * L,
    lambda: Net(lambda s, x: torch.func.vmap(lambda w: F.linear(x, w))(s.w), w=nn.Parameter(torch.ones(3, 8, 8))),
    inputs=vector,
)
one(
    "torch.func.grad of the input",
    2 * L,
    lambda: Net(lambda s, x: torch.func.grad(lambda y: s.fc(y).square().sum())(x), fc=linear()),
    inputs=vector,
)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, weight, padding=1), weight, padding=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad, None


one("an autograd.Function", 2 * C3, lambda: Net(lambda s, x: Doubled.apply(x, s.conv.weight), conv=c3()))


@torch.library.custom_op("hostile::twice", mutates_args=())
def twice(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(F.conv2d(x, weight, padding=1), weight, padding=1)


@torch.library.custom_op("hostile::twice_with_fake", mutates_args=())
def twice_with_fake(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(F.conv2d(x, weight, padding=1), weight, padding=1)


@twice_with_fake.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(x)


one(
    "a custom operator",
    C3,
    lambda: Net(lambda s, x: s.conv(twice(x, s.conv.weight)), conv=c3()),
    said=r"hostile\.twice\b",
    by_hand=True,
)
one(
    "a custom operator that has a fake",
    C3,
    lambda: Net(lambda s, x: s.conv(twice_with_fake(x, s.conv.weight)), conv=c3()),
    said=r"hostile\.twice_with_fake\b",
    by_hand=True,
)


# --- torch's own layers and wrappers ----------------------------------------------------------------------------------

#: Ten tokens: four projections of 8 x 8; five pairs each, 8 products, scores and values.
ATTENTION = 10 * 4 * 8 * 8 + 2 * (10 * 5 * 8)
MLP = 10 * 2 * 8 * 16


def encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


one(
    "MultiheadAttention",
    ATTENTION,
    lambda: Net(lambda s, x: s.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)),
    inputs=tokens,
)
one(
    "MultiheadAttention without weights",
    ATTENTION,
    lambda: Net(lambda s, x: s.a(x, x, x, need_weights=False)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)),
    inputs=tokens,
)
one("TransformerEncoder", 2 * (ATTENTION + MLP), lambda: nn.TransformerEncoder(encoder(), 2), inputs=tokens)
one(
    "TransformerEncoder with a mask of padding",
    ATTENTION + MLP,
    lambda: Net(
        lambda s, x: s.body(x, src_key_padding_mask=torch.zeros(2, 5, dtype=torch.bool)),
        body=quietly(lambda: nn.TransformerEncoder(encoder(), 1, enable_nested_tensor=False)),
    ),
    inputs=tokens,
)
one(
    "scaled_dot_product_attention",
    2 * (2 * 5 * 5 * 8),
    lambda: Net(lambda s, x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])),
    inputs=tokens,
)
one("LSTM", 2 * 5 * 4 * 8 * (8 + 8), lambda: nn.LSTM(8, 8, batch_first=True), inputs=tokens)
one(
    "GRU, both ways",
    2 * (2 * 5 * 3 * 8 * (8 + 8)),
    lambda: nn.GRU(8, 8, batch_first=True, bidirectional=True),
    inputs=tokens,
)
one(
    "LSTM of packed sentences",
    (5 + 3) * 4 * 8 * (8 + 8),
    lambda: Net(
        lambda s, x: s.rnn(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True))[1][0],
        rnn=nn.LSTM(8, 8, batch_first=True),
    ),
    inputs=tokens,
)
one("a lazy layer", 2 * 16 * 4 * 72, lambda: nn.LazyConv2d(4, 3), by_hand=True)
one("weight norm", C3, lambda: parametrizations.weight_norm(c3()))
one("old-style weight norm", C3, lambda: quietly(lambda: nn.utils.weight_norm(c3())))
one("spectral norm in evaluation", C3 + 8 * 72 + 8, lambda: parametrizations.spectral_norm(c3()))
one("pruned", C3, lambda: prune.l1_unstructured(c3(), "weight", 0.5))
one("SyncBatchNorm in evaluation", C3, lambda: nn.Sequential(c3(), nn.SyncBatchNorm(8)).eval())
one("DataParallel", 3 * C3, lambda: nn.DataParallel(Three()))
one("DataParallel inside", C3 + C1, lambda: nn.Sequential(nn.DataParallel(c3()), c1()))
one("an averaged copy (EMA)", C3, lambda: torch.optim.swa_utils.AveragedModel(c3()))
one("EMA beside the network", C3, lambda: Net(lambda s, x: s.conv(x), conv=(conv := c3()), mean=copy.deepcopy(conv)))
one(
    "sparse weights",
    2 * 8,
    lambda: Net(lambda s, x: torch.sparse.mm(s.w, x.t()), w=torch.eye(8).to_sparse()),
    inputs=vector,
)
one(
    "a nested tensor",
    (5 + 3) * 8 * 8,
    lambda: Net(lambda s, x: s.fc(torch.nested.nested_tensor([x[0], x[1, :3]])), fc=linear()),
    inputs=tokens,
    by_hand=True,
)
one(
    "a dynamically quantized layer",
    L,
    lambda: quietly(lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(linear()).eval(), {nn.Linear})),
    inputs=vector,
    by_hand=True,
)


class Named(Tensor):
    """A class of tensors that does a product more at each addition."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.add, torch.add):
            args = (args[0] @ torch.eye(8), *args[1:])
        return super().__torch_function__(func, types, args, kwargs or {})


one(
    "a class of tensors of its own",
    2 * L,
    lambda: Net(lambda s, x: torch.add(s.fc(x).as_subclass(Named), 1).as_subclass(Tensor), fc=linear()),
    inputs=vector,
)
