"""Closed forms for the operators of a backward pass: torch's own answers import its compiler, which takes a second.

Importing this module makes them known to every shape memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .shapes import Layout, _closed, _is_plain, _mean, _plain, _same

aten = torch.ops.aten


@_closed(aten.threshold_backward.default, aten.hardtanh_backward.default, aten.sigmoid_backward.default,
         aten.tanh_backward.default, aten.silu_backward.default, aten.gelu_backward.default)
def _unary_backward(gradient: Tensor, x: Tensor, *_: Any, **__: Any) -> Layout | None:
    same = gradient.shape == x.shape and gradient.dtype == x.dtype
    return _same(gradient) if same and _is_plain(x) else None


@_closed(aten.max_pool2d_with_indices_backward.default, aten.avg_pool2d_backward.default,
         aten._adaptive_avg_pool2d_backward.default)
def _pool_backward(gradient: Tensor, x: Tensor, *_: Any, **__: Any) -> Layout | None:
    return _same(x) if _is_plain(gradient) and gradient.dtype == x.dtype else None


@_closed(aten.slice_backward.default)
def _slice_backward(gradient: Tensor, sizes: list[int], *_: Any) -> Layout:
    return _plain(tuple(sizes), gradient.dtype)


@_closed(aten._prelu_kernel_backward.default)
def _prelu_backward(gradient: Tensor, x: Tensor, weight: Tensor) -> list[Layout] | None:
    if not (_is_plain(gradient) and _is_plain(x) and gradient.dtype == x.dtype == weight.dtype):
        return None
    return [_plain(tuple(x.shape), x.dtype), _plain(tuple(x.shape), x.dtype)]


@_closed(aten.convolution_backward.default)
def _convolution_backward(gradient: Tensor, x: Tensor, weight: Tensor, bias_sizes: list[int] | None, stride: Any,
                          padding: Any, dilation: Any, transposed: bool, output_padding: Any, groups: int,
                          mask: list[bool]) -> list[Layout | None] | None:
    if not (_is_plain(gradient) and _is_plain(x) and _is_plain(weight) and gradient.dtype == x.dtype == weight.dtype):
        return None
    made = [tuple(x.shape), tuple(weight.shape), tuple(bias_sizes or ())]
    return [_plain(shape, x.dtype) if wanted else None for shape, wanted in zip(made, mask, strict=True)]


@_closed(aten.native_batch_norm_backward.default)
def _batch_norm_backward(gradient: Tensor, x: Tensor, weight: Any, running_mean: Any, running_var: Any, mean: Any,
                         invstd: Any, train: bool, eps: float, mask: list[bool]) -> list[Layout] | None:
    if not (all(mask) and _is_plain(x) and _is_plain(gradient)) or weight is None or not (
            weight.dtype == x.dtype == gradient.dtype):
        return None
    channels = (x.shape[1],)
    return [_plain(tuple(x.shape), x.dtype), _plain(channels, x.dtype), _plain(channels, x.dtype)]


@_closed(aten._prelu_kernel.default)
def _prelu(x: Tensor, weight: Tensor) -> Layout | None:
    return _same(x) if x.dtype == weight.dtype and _is_plain(weight) else None


@_closed(aten._log_softmax.default)
def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Layout | None:
    return None if half_to_float else _same(x)


@_closed(aten._log_softmax_backward_data.default)
def _log_softmax_backward(gradient: Tensor, out: Tensor, dim: int, dtype: torch.dtype) -> Layout | None:
    return _same(gradient) if gradient.dtype == dtype == out.dtype else None


@_closed(aten.nll_loss_forward.default)
def _nll_loss(x: Tensor, target: Tensor, weight: Any, reduction: int, ignore: int) -> list[Layout] | None:
    mean = 1
    return [_plain((), x.dtype), _plain((), x.dtype)] if reduction == mean and x.dim() == 2 else None


@_closed(aten.nll_loss_backward.default)
def _nll_loss_backward(gradient: Tensor, x: Tensor, *_: Any) -> Layout | None:
    return _same(x)


@_closed(aten.div.Scalar)
def _divided(x: Tensor, by: Any) -> Layout | None:
    if not x.is_floating_point():
        return None
    if x.dim() == 4 and x.stride()[2:] == (0, 0) and x.stride()[:2] == (x.shape[1], 1):
        return _plain(tuple(x.shape), x.dtype)  # the gradient of a spatial mean, spread over its positions
    return _same(x)


_closed(aten.sum.dim_IntList)(_mean)
