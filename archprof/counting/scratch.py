"""Scratch space of torch's operators on the CPU: what a call takes beside its inputs and outputs, and gives back.

oneDNN computes in its own layout, channels in blocks as wide as a vector register. On tensors in torch's usual layout
a call therefore holds blocked copies of input and weight and a blocked output, then the output twice while it is
copied back. What oneDNN does not take goes through im2col: every patch of the input, side by side.

Read off the allocations of torch 2.13 on x86; tests hold it to them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch

from .shapes import Op

#: Channels in a block of float32, by what torch calls the CPU's capability.
BLOCK = {"AVX512": 16, "AVX2": 8}

#: Batch sizes from which on torch takes other kernels for the same convolution (use_mkldnn in ATen's Convolution.cpp),
#: so that memory may fall there.
CHANGES = (2, 16)

Scratch = Callable[[Op], int]


def cpu_scratch(threads: int) -> Scratch | None:
    """The scratch bytes of a call on this CPU with so many threads; None where its libraries are not known."""
    block = BLOCK.get(torch.backends.cpu.get_cpu_capability())
    if block is None or not torch.backends.mkldnn.is_available():
        return None

    def scratch(op: Op) -> int:
        if op.func is torch.ops.aten.convolution.default:
            return _forward(op, block, threads)
        if op.func is torch.ops.aten.convolution_backward.default:
            return _backward(op, block, threads)
        if op.func is torch.ops.aten.native_batch_norm.default:  # a factor and a summand for each channel
            return 0 if op.args[5] else 8 * op.args[0][1]
        if op.func is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default:
            return _attention(op, threads)
        return 0

    return scratch


def _forward(op: Op, block: int, threads: int) -> int:
    """x (N, Cin, *S) * weight (Cout, Cin/groups, *K) -> out (N, Cout, *S')."""
    x, weight, _, stride, _, dilation, transposed, _, groups = op.args
    out = op.out
    if transposed or len(x) != 4 or x.dtype != torch.float32:
        return 0
    if not _taken_by_onednn(x, weight, stride, dilation, groups, threads):
        return _patches(x, weight, out)
    copies, blocked_weight, blocked_out = _blocked(x, weight, out, groups, block)
    return int(max(copies + blocked_weight + blocked_out - 4 * prod(out), blocked_out))


def _backward(op: Op, block: int, threads: int) -> int:
    """The input's gradient is made first and kept while the weight's is made."""
    gradient, x, weight, _, stride, _, dilation, transposed, _, groups, wanted = op.args
    if transposed or len(x) != 4 or x.dtype != torch.float32:
        return 0
    if not _taken_by_onednn(x, weight, stride, dilation, groups, threads):
        return _patches(x, weight, gradient)
    copies, blocked_weight, blocked_out = _blocked(x, weight, gradient, groups, block)
    most = 0
    if wanted[0]:
        most = max(blocked_out + blocked_weight + copies - 4 * prod(x), copies) - 4 * prod(weight)
    if wanted[1]:
        most = max(most, blocked_out + copies + blocked_weight - 4 * prod(weight))
    return max(most, 0)


def _attention(op: Op, threads: int) -> int:
    """Each thread's tile of scores, two numbers for each of its queries, and its rows of the output.

    Tiles as in ATen's FlashAttentionKernel.cpp: more queries at a time where there are many.
    """
    query, key = op.args[:2]
    queries = min(256 if query[2] >= 768 else 64 if query[2] >= 192 else 32, query[2])
    return int(4 * threads * queries * (min(512, key[2]) + 2 + query[3]))


def _taken_by_onednn(
    x: tuple[Any, ...], weight: tuple[Any, ...], stride: list[int], dilation: list[int], groups: int, threads: int
) -> bool:
    """torch's own choice (use_mkldnn in ATen's Convolution.cpp): small and single-threaded work is not worth it."""
    strided, dilated = any(step != 1 for step in stride), any(step != 1 for step in dilation)
    worthwhile = strided or dilated or x[0] >= 16 or prod(weight[2:]) != 1 or threads > 1
    return worthwhile and (groups > 1 or all(side > 3 for side in weight[2:]) or x[0] > 1 or prod(x) > 20480)


def _patches(x: tuple[Any, ...], weight: tuple[Any, ...], out: tuple[Any, ...]) -> int:
    """Bytes of im2col's matrix: at each position of the output its patch of the input; a 1x1 kernel needs none."""
    return 0 if prod(weight[2:]) == 1 else 4 * x[0] * prod(weight[1:]) * prod(out[2:])


def _blocked(
    x: tuple[Any, ...], weight: tuple[Any, ...], out: tuple[Any, ...], groups: int, block: int
) -> tuple[int, int, int]:
    """Bytes of the blocked copies of input, weight and output; few input channels stay as they are."""

    def up(channels: int) -> int:
        return -(-channels // block) * block

    depthwise = groups == x[1]
    if groups > 1 and not depthwise:
        return 4 * prod(x), 4 * prod(weight), 4 * prod(out)
    blocked_out = 4 * out[0] * up(out[1]) * prod(out[2:])
    if depthwise and groups > 1:
        return 4 * x[0] * up(x[1]) * prod(x[2:]), 4 * up(weight[0]) * prod(weight[1:]), blocked_out
    flat = x[1] < block and prod(weight[2:]) > 1
    channels = x[1] if flat else up(x[1])
    copied = 0 if flat else 4 * x[0] * channels * prod(x[2:])
    return copied, 4 * up(weight[0]) * channels * prod(weight[2:]), blocked_out
