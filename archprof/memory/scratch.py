"""Scratch space of torch's operators on the CPU: what a call takes beside its inputs and outputs, and gives back.

oneDNN computes in its own layout, channels in blocks as wide as a vector register. On tensors in torch's usual layout
a call therefore holds blocked copies of input and weight and a blocked output, then the output twice while it is
copied back. What oneDNN does not take goes through im2col: every patch of the input, side by side.

Read off the allocations of torch 2.13 on x86; tests hold it to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from ..counting import lifetimes
from ..counting.shapes import Op, shapes_in
from ..counting.trace import Trace

#: Channels in a block of float32, by what torch calls the CPU's capability.
BLOCK = {"AVX512": 16, "AVX2": 8}

#: Batch sizes from which on torch takes other kernels for the same convolution (use_mkldnn in ATen's Convolution.cpp),
#: so that memory may fall there.
CHANGES = (2, 16)

#: By how much a call's scratch is within its tensors' bytes at most, patches and threads' shares left out.
MOST = 4

aten = torch.ops.aten
_RULES: dict[Any, Callable[[Op, int, int], int | None]] = {}

#: Operators that compute in another layout, or in pieces: they alone take scratch in float32.
_TAKING = frozenset(
    {
        aten.convolution.default,
        aten.convolution_backward.default,
        aten.mkldnn_rnn_layer.default,
        aten.mkldnn_rnn_layer_backward.default,
        aten._native_multi_head_attention.default,
        aten._transformer_encoder_layer_fwd.default,
    }
)


_UNUSUAL = frozenset({torch.float64, torch.complex32, torch.complex64, torch.complex128})


@dataclass(frozen=True)
class Scratch:
    """What a call takes for itself: by rule, at most, or as `measure` finds out; in bytes, None where not known.

    `block` is the number of channels in a vector register, None where the CPU's libraries are not known. Rules hold
    for `float32`; in `channels_last` layout, for operators on what is no image.
    """

    threads: int
    block: int | None
    float32: bool = True
    channels_last: bool = False
    measure: Callable[[Op], int | None] | None = None

    def __call__(self, op: Op) -> int | None:
        """The scratch of a call, measured where there is no rule."""
        taken = self.rule(op)
        return self.measured(op) if taken is None else taken

    def rule(self, op: Op) -> int | None:
        """What a call takes as far as rules say."""
        if op.fate in ("view", "self"):
            return 0
        if not self.float32 or (self.channels_last and _on_images(op)):
            return None
        rule = _RULES.get(op.func)
        if rule is None:
            return None if op.func in _TAKING or _unusual(op) else 0
        return None if self.block is None else rule(op, self.block, self.threads)

    def most(self, op: Op) -> int:
        """A bound on what a call takes: copies of its tensors, shares for threads, and the patches of im2col."""
        tensors = list(shapes_in([op.args, op.out]))
        patches = 0
        if op.func in (aten.convolution.default, aten.convolution_backward.default):
            x, weight = op.args[:2] if op.func is aten.convolution.default else op.args[1:3]
            out = op.out if op.func is aten.convolution.default else op.args[0]
            shares = 2 * self.threads * prod(weight)
            patches = x.dtype.itemsize * (x[0] * prod(weight[1:]) * max(prod(out[2:]), prod(x[2:])) + shares)
        return int(MOST * sum(prod(shape) * shape.dtype.itemsize for shape in tensors if shape.dtype) + patches)

    def measured(self, op: Op) -> int | None:
        """What a call takes when it is run; None where it cannot be, or nobody measures."""
        return None if self.measure is None else self.measure(op)

    def peak(self, trace: Trace) -> lifetimes.Peak:
        """The peak of a pass with what each call takes for itself; measured only for calls that can be the peak."""
        alive = lifetimes.alive(trace)
        doubtful = []
        for place, called in enumerate(trace.calls):
            taken = self.rule(called.op)
            if taken is None:
                doubtful.append((alive[place] + self.most(called.op), place))
            else:
                alive[place] += taken
        known, most = True, max(alive)
        for at_most, place in sorted(doubtful, reverse=True):
            if at_most <= most:
                break
            taken = self.measured(trace.calls[place].op)
            known = known and taken is not None
            alive[place] += taken or 0
            most = max(most, alive[place])
        return lifetimes.peak_of(alive, known)


def cpu_scratch(
    threads: int,
    measure: Callable[[Op], int | None] | None = None,
    float32: bool = True,
    channels_last: bool = False,
) -> Scratch:
    """The scratch bytes of calls on this CPU with so many threads."""
    known = torch.backends.mkldnn.is_available()
    block = BLOCK.get(torch.backends.cpu.get_cpu_capability()) if known else None
    return Scratch(threads, block, float32, channels_last, measure)


def _forward(op: Op, block: int, threads: int) -> int | None:
    """x (N, Cin, *S) * weight (Cout, Cin/groups, *K) -> out (N, Cout, *S')."""
    x, weight, _, stride, _, dilation, transposed, _, groups = op.args
    out = op.out
    if x.dtype != torch.float32 or not _ruled(x, weight, stride, dilation, transposed, groups):
        return None
    if not _taken_by_onednn(x, weight, stride, dilation, groups, threads):
        return _patches(x, weight, out, stride, dilation, transposed)
    copies, blocked_weight, blocked_out = _blocked(x, weight, out, groups, block, transposed)
    if prod(weight[2:]) == 1 and _strided(stride):  # each thread leaves out what lies between the steps
        copies += threads * 4 * x[1] * prod(out[2:])
    return int(max(copies + blocked_weight + blocked_out - 4 * prod(out), blocked_out))


def _backward(op: Op, block: int, threads: int) -> int | None:
    """The input's gradient is made first and kept while the weight's is made."""
    gradient, x, weight, _, stride, _, dilation, transposed, _, groups, wanted = op.args
    if x.dtype != torch.float32 or not _ruled(x, weight, stride, dilation, transposed, groups):
        return None
    if not _taken_by_onednn(x, weight, stride, dilation, groups, threads):
        return _patches(x, weight, gradient, stride, dilation, transposed)
    copies, blocked_weight, blocked_out = _blocked(x, weight, gradient, groups, block, transposed)
    most = 0
    if wanted[0]:
        again = 2 if _strided(stride) and groups == 1 and x[0] < CHANGES[-1] else 1
        most = max(blocked_out + blocked_weight + copies - 4 * prod(x), again * copies) - 4 * prod(weight)
    if wanted[1]:  # at the end it is copied out of its blocks
        most = max(most, blocked_out + copies + blocked_weight - 4 * prod(weight), blocked_weight)
    return max(most, 0)


def _batch_norm(op: Op, block: int, threads: int) -> int | None:
    """A factor and a summand for each channel."""
    return 0 if op.args[5] else 8 * int(op.args[0][1])


def _attention(op: Op, block: int, threads: int) -> int:
    """Each thread's tile of scores, two numbers for each of its queries, and its rows of the output.

    Tiles as in ATen's FlashAttentionKernel.cpp: more queries at a time where there are many.
    """
    query, key = op.args[:2]
    queries, keys = _tile(query, key)
    return int(4 * threads * queries * (keys + 2 + query[3]))


def _attention_backward(op: Op, block: int, threads: int) -> int:
    """Each thread's tiles of the scores and of their gradient, and a sum for each query of a tile."""
    queries, keys = _tile(*op.args[1:3])
    return int(8 * threads * queries * keys + 4 * queries)


def _tile(query: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, int]:
    """Queries and keys of a tile."""
    return min(256 if query[2] >= 768 else 64 if query[2] >= 192 else 32, query[2]), min(512, key[2])


def _on_images(op: Op) -> bool:
    """Whether the layout of images matters to a call; attention's four dimensions are others."""
    return op.func not in _ATTENTION and any([len(shape) == 4 for shape in shapes_in([op.args, op.out])])


def _unusual(op: Op) -> bool:
    """Whether an operator reads or makes numbers of other types than the rules were read off with."""
    return any([shape.dtype in _UNUSUAL for shape in shapes_in([op.args, op.out])])


def _ruled(
    x: tuple[Any, ...], weight: tuple[Any, ...], stride: list[int], dilation: list[int], transposed: bool, groups: int
) -> bool:
    """Whether a convolution is of the kind that the rules were read off: over two dimensions, neither transposed nor
    dilated, in one group, or in as many as channels and with a kernel of 3x3."""
    plain = len(x) == 4 and not transposed and all(step == 1 for step in dilation)
    return plain and (groups == 1 or (groups == x[1] == weight[0] and tuple(weight[2:]) == (3, 3)))


def _taken_by_onednn(
    x: tuple[Any, ...], weight: tuple[Any, ...], stride: list[int], dilation: list[int], groups: int, threads: int
) -> bool:
    """torch's own choice (use_mkldnn in ATen's Convolution.cpp): small and single-threaded work is not worth it.

    A convolution over one dimension is one over two, the first of size 1; of three, torch looks at the last two.
    """
    kernel = (1, *weight[2:])[-2:]
    dilated = any(step != 1 for step in dilation)
    worthwhile = _strided(stride) or dilated or x[0] >= 16 or prod(kernel) != 1 or threads > 1
    return worthwhile and (groups > 1 or all(side > 3 for side in kernel) or x[0] > 1 or prod(x[:4]) > 20480)


def _strided(stride: list[int]) -> bool:
    return any(step != 1 for step in stride)


def _patches(
    x: tuple[Any, ...],
    weight: tuple[Any, ...],
    out: tuple[Any, ...],
    stride: list[int],
    dilation: list[int],
    transposed: bool,
) -> int:
    """Bytes of im2col's matrix: at each position of the output its patch of the input; a 1x1 kernel needs none.

    Dilated and transposed convolutions take one sample at a time; the latter's patches are the output's.
    """
    if transposed:
        return int(4 * prod(weight[1:]) * prod(x[2:]))
    if any(step != 1 for step in dilation):
        return int(4 * prod(weight[1:]) * prod(out[2:]))
    whole = prod(weight[2:]) == 1 and not _strided(stride)
    return 0 if whole else int(4 * x[0] * prod(weight[1:]) * prod(out[2:]))


def _blocked(
    x: tuple[Any, ...], weight: tuple[Any, ...], out: tuple[Any, ...], groups: int, block: int, transposed: bool = False
) -> tuple[int, int, int]:
    """Bytes of the blocked copies of input, weight and output; few input channels stay as they are."""

    def up(channels: int) -> int:
        return -(-channels // block) * block

    kernel = prod(weight[2:])
    depthwise = groups == x[1]
    if groups > 1 and not depthwise:
        return 4 * prod(x), 4 * prod(weight), 4 * prod(out)
    blocked_out = 4 * out[0] * up(out[1]) * prod(out[2:])
    if depthwise and groups > 1:
        return 4 * x[0] * up(x[1]) * prod(x[2:]), 4 * up(weight[0]) * prod(weight[1:]), blocked_out
    flat = x[1] < block and kernel > 1
    channels = x[1] if flat else up(x[1])
    copied = 0 if flat else 4 * x[0] * channels * prod(x[2:])
    return copied, 4 * up(out[1]) * channels * kernel, blocked_out


_ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu.default: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default: _attention_backward,
}

_RULES |= _ATTENTION | {
    aten.convolution.default: _forward,
    aten.convolution_backward.default: _backward,
    aten.native_batch_norm.default: _batch_norm,
}
