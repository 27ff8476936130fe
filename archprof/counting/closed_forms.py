"""Output layouts of the commonest operators, written down.

Each form takes the operator's own arguments and returns a Layout, a list of them (None for an output that is not
made), or None where the case is not the plain one: contiguous tensors of one type. torch is asked then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]  # shape, strides, dtype

CLOSED: dict[Any, Callable[..., Any]] = {}


#: Closed forms that follow the kernels of real devices where torch's meta kernels do not.
CORRECTED = {aten.native_batch_norm.default}
if hasattr(aten, "_grouped_mm"):  # from torch 2.8 on
    CORRECTED.add(aten._grouped_mm.default)


def _closed(*funcs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(form: Callable[..., Any]) -> Callable[..., Any]:
        for func in funcs:
            CLOSED[func] = form
        return form

    return register


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides, as torch counts them: an empty dimension has the stride of one."""
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= length if length > 1 else 1
    return tuple(reversed(strides))


def _plain(shape: tuple[int, ...], dtype: torch.dtype) -> Layout:
    return shape, contiguous(shape), dtype


def _is_plain(x: Tensor) -> bool:
    """Row-major to the letter: a dimension of length 1 may hide a channels-last stride from is_contiguous()."""
    return bool(x.stride() == contiguous(x.shape))


def _same(x: Tensor) -> Layout | None:
    return (tuple(x.shape), x.stride(), x.dtype) if _is_plain(x) else None


def _dense(x: Tensor) -> Layout | None:
    """What an operator makes that works element by element: strides stay where no memory is skipped or met twice."""
    if x.is_contiguous():
        return _same(x)
    step = 1
    for stride, length in sorted(
        [(stride, length) for stride, length in zip(x.stride(), x.shape, strict=True) if length != 1]
    ):
        if stride != step:
            return None
        step *= length
    return tuple(x.shape), x.stride(), x.dtype


@_closed(aten.convolution.default)
def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Layout | None:
    spatial = weight.dim() - 2
    if (
        transposed
        or x.dim() != weight.dim()
        or x.dtype != weight.dtype
        or x.shape[1] != weight.shape[1] * groups
        or not (_is_plain(x) and _is_plain(weight))
        or weight.shape[0] % groups
        or (bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != x.dtype))
    ):
        return None
    out = [x.shape[0], weight.shape[0]]
    for i in range(spatial):
        s, p, d = stride[i % len(stride)], padding[i % len(padding)], dilation[i % len(dilation)]
        length = (x.shape[2 + i] + 2 * p - d * (weight.shape[2 + i] - 1) - 1) // s + 1
        if length <= 0:
            return None
        out.append(length)
    return _plain(tuple(out), x.dtype)


@_closed(aten.native_batch_norm.default)
def _batch_norm(
    x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> list[Layout] | None:
    if not _is_plain(x) or (weight is not None and weight.dtype != x.dtype) or not x.is_floating_point():
        return None
    if any([vector is not None and vector.shape != x.shape[1:2] for vector in (weight, bias, mean, var)]):
        return None
    kept = (x.shape[1],) if training else (0,)  # torch's meta kernel keeps statistics in eval mode; no device does
    return [_plain(tuple(x.shape), x.dtype), _plain(kept, x.dtype), _plain(kept, x.dtype)]


@_closed(
    aten.relu.default,
    aten.hardtanh.default,
    aten.sigmoid.default,
    aten.silu.default,
    aten.gelu.default,
    aten.leaky_relu.default,
    aten.hardswish.default,
    aten.hardsigmoid.default,
    aten.tanh.default,
)
def _unary(x: Tensor, *_: Any, **__: Any) -> Layout | None:
    return _same(x) if x.is_floating_point() else None


@_closed(aten.clone.default)
def _clone(x: Tensor, *, memory_format: Any = None) -> Layout | None:
    return _same(x) if memory_format in (None, torch.preserve_format, torch.contiguous_format) else None


@_closed(aten.empty_like.default, aten.zeros_like.default, aten.ones_like.default)
def _like(
    x: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    memory_format: Any = None,
) -> Layout | None:
    if device not in (None, x.device) or memory_format not in (None, torch.preserve_format, torch.contiguous_format):
        return None
    same = _same(x)
    return same and (same[0], same[1], dtype or x.dtype)


@_closed(aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
def _binary(x: Tensor, y: Any, **_: Any) -> Layout | None:
    if not isinstance(y, Tensor) or x.dtype != y.dtype or not x.is_floating_point():
        return None
    if x.shape == y.shape:
        return _same(x) if x.stride() == y.stride() else None
    if not (_is_plain(x) and _is_plain(y)):
        return None
    rank = max(x.dim(), y.dim())
    first, second = (1,) * (rank - x.dim()) + tuple(x.shape), (1,) * (rank - y.dim()) + tuple(y.shape)
    out = tuple([max(a, b) if a != b else a for a, b in zip(first, second, strict=True)])
    # only a gate or a bias: one operand already has the output's shape, so strides are contiguous too
    return (
        _plain(out, x.dtype)
        if out in (tuple(x.shape), tuple(y.shape))
        and all(1 in (a, b) or a == b for a, b in zip(first, second, strict=True))
        else None
    )


@_closed(aten.addmm.default)
def _addmm(bias: Tensor, x: Tensor, weight: Tensor, **_: Any) -> Layout | None:
    if x.dim() != 2 or weight.dim() != 2 or x.shape[1] != weight.shape[0] or x.dtype != weight.dtype:
        return None
    out = (x.shape[0], weight.shape[1])
    if 0 in out or x.shape[1] == 0 or bias.dtype != x.dtype or bias.shape not in ((out[1],), (1, out[1]), out):
        return None
    return _plain(out, x.dtype)


@_closed(aten.mm.default)
def _mm(x: Tensor, weight: Tensor) -> Layout | None:
    if x.dim() != 2 or weight.dim() != 2 or x.shape[1] != weight.shape[0] or x.dtype != weight.dtype:
        return None
    return _plain((x.shape[0], weight.shape[1]), x.dtype) if x.numel() and weight.numel() else None


@_closed(aten.bmm.default)
def _bmm(x: Tensor, y: Tensor) -> Layout | None:
    if x.dim() != 3 or y.dim() != 3 or x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1] or x.dtype != y.dtype:
        return None
    if not (x.numel() and y.numel()):
        return None
    return _plain((x.shape[0], x.shape[1], y.shape[2]), x.dtype)


@_closed(aten._safe_softmax.default)
def _safe_softmax(x: Tensor, dim: int, dtype: Any = None) -> Layout | None:
    return _same(x) if dtype in (None, x.dtype) and x.is_floating_point() and x.numel() else None


@_closed(aten._softmax.default)
def _softmax(x: Tensor, dim: int, half_to_float: bool) -> Layout | None:
    return _same(x) if not half_to_float and x.is_floating_point() else None


@_closed(aten.native_layer_norm.default)
def _layer_norm(x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float) -> list[Layout] | None:
    if not _is_plain(x) or x.dtype not in (torch.float32, torch.float64):
        return None
    kept = tuple(x.shape[: x.dim() - len(shape)]) + (1,) * len(shape)
    return [_plain(tuple(x.shape), x.dtype), _plain(kept, x.dtype), _plain(kept, x.dtype)]


@_closed(aten.sum.default)
def _sum(x: Tensor, *, dtype: Any = None) -> Layout | None:
    return ((), (), x.dtype) if dtype is None and x.is_floating_point() else None


@_closed(aten.mean.dim, aten.sum.dim_IntList)
def _mean(x: Tensor, dim: Any, keepdim: bool = False, *, dtype: Any = None) -> Layout | None:
    one_number = not any(x.stride()) and x.dim() > 0  # the gradient of a sum, seen everywhere
    if dtype is not None or not dim or not x.is_floating_point() or not x.numel() or not (_is_plain(x) or one_number):
        return None
    gone = {d % x.dim() for d in dim}
    if len(gone) != len(dim):
        return None
    kept = [1 if i in gone else n for i, n in enumerate(x.shape) if keepdim or i not in gone]
    return _plain(tuple(kept), x.dtype)


@_closed(aten._adaptive_avg_pool2d.default)
def _adaptive_avg_pool2d(x: Tensor, size: list[int]) -> Layout | None:
    if not _is_plain(x):
        return None
    return _plain((*x.shape[:-2], *size), x.dtype)


@_closed(aten.max_pool2d_with_indices.default)
def _max_pool2d(
    x: Tensor, kernel: list[int], stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil_mode: bool = False
) -> list[Layout] | None:
    if not _is_plain(x) or ceil_mode or not x.numel():
        return None
    out = list(x.shape[:-2])
    for i, length in enumerate(x.shape[-2:]):
        k = kernel[i % len(kernel)]
        s = stride[i % len(stride)] if stride else k
        p, d = padding[i % len(padding)], dilation[i % len(dilation)]
        if p > k // 2 or p > (d * (k - 1) + 1) // 2:
            return None
        length = (length + 2 * p - d * (k - 1) - 1) // s + 1
        if length <= 0:
            return None
        out.append(length)
    return [_plain(tuple(out), x.dtype), _plain(tuple(out), torch.int64)]


@_closed(aten.cat.default)
def _cat(tensors: list[Tensor], dim: int = 0) -> Layout | None:
    first = tensors[0]
    if (
        any([t.dim() != first.dim() or t.dtype != first.dtype for t in tensors])
        or not -first.dim() <= dim < first.dim()
    ):
        return None
    # up to three dimensions there is one memory format
    if first.dim() > 3 and not all([_is_plain(t) for t in tensors]):
        return None
    dim %= first.dim()
    rest = [n for i, n in enumerate(first.shape) if i != dim]
    if any([n for i, n in enumerate(t.shape) if i != dim] != rest for t in tensors):
        return None
    rest.insert(dim, sum(t.shape[dim] for t in tensors))
    return _plain(tuple(rest), first.dtype)


# --- backward ----------------------------------------------------------------------------------------------------


@_closed(
    aten.threshold_backward.default,
    aten.hardtanh_backward.default,
    aten.sigmoid_backward.default,
    aten.tanh_backward.default,
    aten.silu_backward.default,
    aten.gelu_backward.default,
    aten.hardswish_backward.default,
    aten.hardsigmoid_backward.default,
    aten.leaky_relu_backward.default,
)
def _activation_backward(grad: Tensor, x: Tensor, *_: Any, **__: Any) -> Layout | None:
    plain = grad.shape == x.shape and grad.dtype == x.dtype and x.is_floating_point() and _is_plain(grad)
    return _same(x) if plain else None


@_closed(aten.div.Scalar, aten.mul.Scalar)
def _scaled(x: Tensor, factor: Any) -> Layout | None:
    if not x.is_floating_point() or type(factor) not in (int, float):
        return None
    # the gradient of a mean is one number per channel, seen at every position: what is made of it is row-major
    kept = tuple([n if step else 1 for n, step in zip(x.shape, x.stride(), strict=True)])
    rows = tuple([step if n > 1 else 0 for n, step in zip(kept, contiguous(kept), strict=True)])
    spread = tuple([step if n > 1 else 0 for n, step in zip(kept, x.stride(), strict=True)])
    if 0 in x.shape:
        return None
    return _plain(tuple(x.shape), x.dtype) if rows == spread else _dense(x)


@_closed(aten.max_pool2d_with_indices_backward.default, aten._adaptive_avg_pool2d_backward.default)
def _pooling_backward(grad: Tensor, x: Tensor, *rest: Any) -> Layout | None:
    indices_fit = not rest or _is_plain(rest[-1])
    plain = grad.dtype == x.dtype and x.is_floating_point() and _is_plain(grad) and indices_fit
    return _same(x) if plain and x.numel() else None


@_closed(aten.native_batch_norm_backward.default)
def _batch_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Any,
    mean: Any,
    var: Any,
    saved_mean: Any,
    saved_var: Any,
    train: bool,
    eps: float,
    wanted: list[bool],
) -> list[Layout | None] | None:
    if (
        not wanted[0]
        or not (_is_plain(x) and _is_plain(grad))
        or {grad.dtype, x.dtype} != {torch.float32}
        or (weight is not None and weight.dtype != x.dtype)
    ):
        return None
    channels = _plain((x.shape[1],), x.dtype)
    return [
        _plain(tuple(x.shape), x.dtype) if wanted[0] else None,
        channels if wanted[1] else None,
        channels if wanted[2] else None,
    ]


@_closed(aten.convolution_backward.default)
def _convolution_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: list[bool],
) -> list[Layout | None] | None:
    if (
        not (_is_plain(grad) and _is_plain(x) and _is_plain(weight))
        or x.dim() != weight.dim()
        or not (grad.dtype == x.dtype == weight.dtype)
        or not grad.numel()
    ):
        return None
    bias = weight.shape[1] * groups if transposed else weight.shape[0]
    shapes = (tuple(x.shape), tuple(weight.shape), (bias,))
    return [_plain(shape, x.dtype) if asked else None for shape, asked in zip(shapes, wanted, strict=True)]


@_closed(aten.slice_backward.default)
def _slice_backward(gradient: Tensor, sizes: list[int], *_: Any) -> Layout:
    return _plain(tuple(sizes), gradient.dtype)


@_closed(aten._prelu_kernel_backward.default)
def _prelu_backward(gradient: Tensor, x: Tensor, weight: Tensor) -> list[Layout] | None:
    if not (_is_plain(gradient) and _is_plain(x) and gradient.dtype == x.dtype == weight.dtype == torch.float32):
        return None
    return [_plain(tuple(x.shape), x.dtype), _plain(tuple(x.shape), x.dtype)]


@_closed(aten._prelu_kernel.default)
def _prelu(x: Tensor, weight: Tensor) -> Layout | None:
    return _same(x) if x.dtype == weight.dtype and _is_plain(weight) else None


@_closed(aten._log_softmax.default)
def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Layout | None:
    return _same(x) if not half_to_float and x.is_floating_point() else None


@_closed(aten._log_softmax_backward_data.default)
def _log_softmax_backward(gradient: Tensor, out: Tensor, dim: int, dtype: torch.dtype) -> Layout | None:
    return _same(gradient) if gradient.dtype == dtype == out.dtype and dtype.is_floating_point else None


@_closed(aten.nll_loss_forward.default)
def _nll_loss(x: Tensor, target: Tensor, weight: Any, reduction: int, ignore: int) -> list[Layout] | None:
    mean = 1
    return [_plain((), x.dtype), _plain((), x.dtype)] if reduction == mean and x.dim() == 2 else None


@_closed(aten.nll_loss_backward.default)
def _nll_loss_backward(gradient: Tensor, x: Tensor, *_: Any) -> Layout | None:
    return _same(x)


@_closed(*CORRECTED - {aten.native_batch_norm.default})
def _grouped_mm(
    a: Tensor, b: Tensor, offs: Tensor | None = None, bias: Any = None, out_dtype: torch.dtype | None = None
) -> Layout | None:
    """torch's meta kernel takes bfloat16 alone. Rows of the result begin at multiples of 16 bytes."""
    aligned = 16 // a.itemsize
    for side in (a, b):
        steps = sorted(side.stride()[-2:])
        if steps[0] != 1 or steps[1] % aligned:
            return None
    if a.dtype != b.dtype or not a.is_floating_point() or bias is not None or out_dtype not in (None, a.dtype):
        return None
    if (offs is None) is not (a.dim() == b.dim() == 3) or not 2 <= a.dim() <= 3 or not 2 <= b.dim() <= 3:
        return None
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    if inner != b.shape[-2]:
        return None
    groups = (offs.shape[0],) if offs is not None and a.dim() == b.dim() == 2 else a.shape[:1] * (offs is None)
    row = -(-columns // aligned) * aligned
    shape = (*groups, rows, columns)
    return shape, ((rows * row, row, 1) if groups else (row, 1)), a.dtype
