"""Every formula against arithmetic that a reader can do.

What the dispatcher really shows for real modules is in test_costs_dispatch.py and test_costs_sequences.py.
"""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archprof import costs
from archprof.costs import Shape

aten = torch.ops.aten


class Packed:
    """Weights in a form that nobody looks into; each run names the test alike."""

    def __repr__(self) -> str:
        return "packed"


def shape(*sizes: int, **facts) -> Shape:
    return Shape(sizes, facts.pop("dtype", torch.float32), **facts)


def macs(op, *args, out=None, **kwargs):
    """Tuples of ints stand for tensors, lists and tuples of them for lists and tuples of tensors."""

    def tensors(value):
        if type(value) is tuple and all(type(size) is int for size in value):
            return shape(*value)
        return type(value)(tensors(item) for item in value) if type(value) in (list, tuple) else value

    return costs.macs(op, tuple(tensors(arg) for arg in args), kwargs, tensors(out))


def name(op) -> str:
    """Operators that not every torch has are spelled out in the tables; the registry knows all by name."""
    return op if isinstance(op, str) else op.name()


# --- convolutions: name, input, weight, output, transposed, the hand's count ----------------------

CONVOLUTIONS = [
    ("1-d", (2, 3, 10), (8, 3, 5), (2, 8, 6), False, 2 * 6 * 8 * 3 * 5),
    ("2-d 3x3", (1, 16, 8, 8), (32, 16, 3, 3), (1, 32, 8, 8), False, 8 * 8 * 32 * 16 * 3 * 3),
    ("3-d", (1, 2, 4, 5, 6), (3, 2, 2, 2, 2), (1, 3, 3, 4, 5), False, 3 * 4 * 5 * 3 * 2 * 2 * 2 * 2),
    ("pointwise", (1, 16, 8, 8), (24, 16, 1, 1), (1, 24, 8, 8), False, 8 * 8 * 24 * 16),
    ("depthwise 3x3", (1, 16, 8, 8), (16, 1, 3, 3), (1, 16, 8, 8), False, 8 * 8 * 16 * 3 * 3),
    ("channel multiplier 2", (1, 16, 8, 8), (32, 1, 3, 3), (1, 32, 8, 8), False, 8 * 8 * 32 * 3 * 3),
    ("4 groups", (1, 16, 8, 8), (32, 4, 3, 3), (1, 32, 8, 8), False, 8 * 8 * 32 * 4 * 3 * 3),
    ("unbatched", (16, 8, 8), (32, 16, 3, 3), (32, 6, 6), False, 6 * 6 * 32 * 16 * 3 * 3),
    ("transposed", (1, 16, 8, 8), (16, 4, 2, 2), (1, 4, 16, 16), True, 8 * 8 * 16 * 4 * 2 * 2),
    ("transposed, 2 groups", (1, 16, 8, 8), (16, 2, 2, 2), (1, 4, 16, 16), True, 8 * 8 * 16 * 2 * 2 * 2),
]  # fmt: skip
each_convolution = pytest.mark.parametrize(
    ("x", "weight", "out", "transposed", "expected"), [row[1:] for row in CONVOLUTIONS],
    ids=[row[0] for row in CONVOLUTIONS])  # fmt: skip


@each_convolution
def test_convolution(x, weight, out, transposed, expected):
    """Stride, padding and dilation show in the output alone, so a wrong one here changes nothing."""
    settings = (None, [1], [0], [1], transposed, [0], 1)
    assert macs(aten.convolution.default, x, weight, *settings, out=out) == expected
    assert macs(aten._convolution.default, x, weight, *settings, False, False, True, True, out=out) == expected


@each_convolution
@pytest.mark.parametrize("mask", [(True, True, True), (True, False, True), (False, True, False), (False, False, True)])
def test_each_gradient_of_a_convolution_costs_the_forward_pass(x, weight, out, transposed, expected, mask):
    settings = ([8], [1], [0], [1], transposed, [0], 1, list(mask))
    counted = macs(aten.convolution_backward.default, out, x, weight, *settings, out=(x, weight, (8,)))
    assert counted == expected * (mask[0] + mask[1])


X, W, Y = (2, 4, 5, 5), (6, 2, 3, 3), (2, 6, 3, 3)  # 2 groups
FORWARD = 2 * 6 * 3 * 3 * 2 * 3 * 3
UP_W, UP_Y = (4, 3, 2, 2), (2, 6, 10, 10)
UPWARD = 2 * 4 * 5 * 5 * 3 * 2 * 2
DEEP_X, DEEP_W, DEEP_Y = (1, 2, 4, 4, 4), (2, 1, 2, 2, 2), (1, 2, 3, 3, 3)
DEEP = 2 * 3 * 3 * 3 * 2 * 2 * 2

BACKENDS = [
    (aten.conv2d.default, (X, W, None, [1, 1], [0, 0], [1, 1], 2), Y, FORWARD),
    (aten.conv2d.padding, (X, W, None, [1, 1], "valid", [1, 1], 2), Y, FORWARD),
    (aten.convolution_overrideable.default, (X, W, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 2), Y,
     FORWARD),
    (aten.cudnn_convolution.default, (X, W, [0, 0], [1, 1], [1, 1], 2, False, False, True), Y, FORWARD),
    (aten.cudnn_convolution_relu.default, (X, W, None, [1, 1], [0, 0], [1, 1], 2), Y, FORWARD),
    (aten.cudnn_convolution_add_relu.default, (X, W, Y, 1, None, [1, 1], [0, 0], [1, 1], 2), Y, FORWARD),
    (aten.mkldnn_convolution.default, (X, W, None, [0, 0], [1, 1], [1, 1], 2), Y, FORWARD),
    (aten.miopen_convolution.default, (X, W, None, [0, 0], [1, 1], [1, 1], 2, False, False), Y, FORWARD),
    (aten.miopen_depthwise_convolution.default, (X, W, None, [0, 0], [1, 1], [1, 1], 2, False, False), Y,
     FORWARD),
    (aten._mps_convolution.default, (X, W, None, [0, 0], [1, 1], [1, 1], 2), Y, FORWARD),
    (aten._slow_conv2d_forward.default, ((1, 2, 5, 5), W, [3, 3], None, [1, 1], [0, 0]), (1, 6, 3, 3),
     6 * 9 * 18),
    (aten._conv_depthwise2d.default, ((1, 6, 5, 5), (6, 1, 3, 3), [3, 3], None, [1, 1], [0, 0], [1, 1]),
     (1, 6, 3, 3), 6 * 9 * 9),
    (aten.slow_conv3d_forward.default, (DEEP_X, (2, 2, 2, 2, 2), [2, 2, 2], None, [1] * 3, [0] * 3), DEEP_Y,
     2 * DEEP),
    (aten.conv_depthwise3d.default, (DEEP_X, DEEP_W, [2, 2, 2], None, [1] * 3, [0] * 3, [1] * 3), DEEP_Y,
     DEEP),
    (aten.conv_transpose2d.input, (X, UP_W, None, [2, 2], [0, 0], [0, 0], 2), UP_Y, UPWARD),
    (aten.cudnn_convolution_transpose.default, (X, UP_W, [0, 0], [0, 0], [2, 2], [1, 1], 2, False, False,
                                                True), UP_Y,
     UPWARD),
    (aten.slow_conv_transpose2d.default, (X, (4, 6, 2, 2), [2, 2]), UP_Y, 2 * UPWARD),
    (aten.conv_tbc.default, ((7, 2, 3), (4, 3, 5), (5,)), (4, 2, 5), 4 * 2 * 5 * 4 * 3),
    (aten.mps_convolution_backward.default, (X, Y, W, [0, 0], [1, 1], [1, 1], 2, [True, True, False]), None,
     2 * FORWARD),
    (aten.mps_convolution_transpose_backward.default,
     (X, UP_Y, UP_W, [0, 0], [0, 0], [2, 2], [1, 1], 2, [False, True]), None, UPWARD),
    (aten._slow_conv2d_backward.output_mask,
     ((1, 6, 3, 3), (1, 2, 5, 5), W, [3, 3], [1, 1], [0, 0], [True, False, True]), None, 6 * 9 * 18),
    (aten.convolution_backward_overrideable.default,
     (Y, X, W, [1, 1], [0, 0], [1, 1], False, [0, 0], 2, [True, True, True]), None, 2 * FORWARD),
    ("mkldnn::_convolution_pointwise", (X, W, None, [0, 0], [1, 1], [1, 1], 2, "relu", [],
                                                       ""), Y, FORWARD),
    # prepared for oneDNN: 2 groups of (3, 2, 3, 3)
    ("mkldnn::_convolution_pointwise", (X, (2, 3, 2, 3, 3), None, [0, 0], [1, 1], [1, 1], 2,
                                                       "none", [], ""),
     Y, FORWARD),
    ("mkldnn::_convolution_pointwise.binary",
     (X, Y, W, None, [0, 0], [1, 1], [1, 1], 2, "add", None, None, [], None), Y, FORWARD),
    ("mkldnn::_convolution_pointwise_.binary",
     (Y, X, W, None, [0, 0], [1, 1], [1, 1], 2, "add", None, None, [], None), Y, FORWARD),
    ("mkldnn::_convolution_transpose_pointwise",
     (X, UP_W, None, [0, 0], [0, 0], [2, 2], [1, 1], 2, "none", [], ""), UP_Y, UPWARD),
    ("onednn::qconv2d_pointwise", (X, 1.0, 0, W, (6,), (6,), None, [1, 1], [0, 0], [1, 1], 2,
                                                  1.0, 0,
                                                  None, "none", [], ""), Y, FORWARD),
]  # fmt: skip


@pytest.mark.parametrize(("op", "args", "out", "expected"), BACKENDS, ids=[name(row[0]) for row in BACKENDS])
def test_a_convolution_counts_the_same_on_every_backend(op, args, out, expected):
    assert macs(op, *args, out=out) == expected


# --- matrix products ------------------------------------------------------------------------------

PRODUCTS = [
    (aten.mm.default, ((3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    (aten.bmm.default, ((2, 3, 4), (2, 4, 5)), (2, 3, 5), 2 * 3 * 4 * 5),
    (aten.mv.default, ((3, 4), (4,)), (3,), 3 * 4),
    (aten.dot.default, ((4,), (4,)), (), 4),
    (aten.vdot.default, ((4,), (4,)), (), 4),
    (aten.addmm.default, ((5,), (3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    (aten.addmm_.default, ((3, 5), (3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    (aten.addmv.default, ((3,), (3, 4), (4,)), (3,), 3 * 4),
    (aten.addr.default, ((3, 4), (3,), (4,)), (3, 4), 0),
    (aten.baddbmm.default, ((2, 3, 5), (2, 3, 4), (2, 4, 5)), (2, 3, 5), 2 * 3 * 4 * 5),
    (aten.addbmm.default, ((3, 5), (2, 3, 4), (2, 4, 5)), (3, 5), 2 * 3 * 4 * 5),
    (aten._addmm_activation.default, ((5,), (3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    ("aten::_foreach_mm", ([(3, 4), (1, 2)], [(4, 5), (2, 6)]), None, 3 * 4 * 5 + 1 * 2 * 6),
    (aten._int_mm.default, ((3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    (aten._scaled_mm.default, ((3, 4), (4, 5), (), ()), (3, 5), 3 * 4 * 5),
    ("aten::_grouped_mm", ((9, 4), (2, 4, 5), (2,)), (9, 5), 9 * 4 * 5),
    ("aten::_grouped_mm", ((2, 3, 4), (2, 4, 5)), (2, 3, 5), 2 * 3 * 4 * 5),
    ("aten::_grouped_mm", ((3, 8), (8, 5), (2,)), (2, 3, 5), 3 * 8 * 5),
    (aten._weight_int8pack_mm.default, ((3, 4), (5, 4), (5,)), (3, 5), 3 * 4 * 5),
    (aten._weight_int4pack_mm.default, ((3, 64), (1, 1, 32, 4), 32, (2, 8, 2)), (3, 8), 3 * 64 * 8),
    (aten.linear.default, ((4,), (5, 4)), (5,), 4 * 5),
    (aten.linear.default, ((2, 3, 4), (5, 4), (5,)), (2, 3, 5), 2 * 3 * 4 * 5),
    (aten.linear_backward.default, ((2, 3, 4), (2, 3, 5), (5, 4), [True, True, True]), None,
     2 * (2 * 3 * 4 * 5)),
    (aten.mkldnn_linear.default, ((3, 4), (5, 4)), (3, 5), 3 * 4 * 5),
    (aten.mkldnn_linear_backward_input.default, ([3, 4], (3, 5), (5, 4)), (3, 4), 3 * 4 * 5),
    (aten.mkldnn_linear_backward_weights.default, ((3, 5), (3, 4), (5, 4), True), None, 3 * 4 * 5),
    ("mkldnn::_linear_pointwise", ((3, 4), (5, 4), None, "relu", [], ""), (3, 5), 3 * 4 * 5),
    ("onednn::qlinear_pointwise", ((3, 4), 1.0, 0, (4, 5), (5,), (5,)), (3, 5), 3 * 4 * 5),
    ("quantized::linear", ((3, 4), Packed(), 1.0, 0), (3, 5), 3 * 4 * 5),
    (aten.matmul.default, ((7, 1, 3, 4), (2, 4, 5)), (7, 2, 3, 5), 7 * 2 * 3 * 4 * 5),
    (aten.matmul.default, ((4,), (2, 4, 5)), (2, 5), 2 * 4 * 5),
    (aten.matmul.default, ((4,), (4,)), (), 4),
    (aten.matmul_backward.default, ((2, 3, 5), (2, 3, 4), (2, 4, 5), [True, True]), None,
     2 * (2 * 3 * 4 * 5)),
    (aten.inner.default, ((2, 4), (3, 4)), (2, 3), 2 * 3 * 4),
    (aten.tensordot.default, ((2, 3, 4), (4, 3, 5), [1, 2], [1, 0]), (2, 5), 2 * 5 * 3 * 4),
    (aten.bilinear.default, ((7, 3), (7, 4), (5, 3, 4)), (7, 5), 7 * 5 * 3 * 4),
    # bilinear as it arrives: (7, 3), (5, 3, 4), (7, 4) in the space (7, 5, 3, 4)
    (aten._trilinear.default, ((7, 3), (5, 3, 4), (7, 4), [1, 3], [0], [1, 2], [2, 3]), (7, 5),
     7 * 5 * 3 * 4),
    (aten.einsum.default, ("bij,bkj->bik", [(2, 3, 4), (2, 5, 4)]), (2, 3, 5), 2 * 3 * 5 * 4),
    (aten.einsum.default, ("ij,jk", [(3, 4), (4, 5)]), (3, 5), 3 * 4 * 5),
    (aten.einsum.default, ("...ij,...jk->...ik", [(7, 1, 3, 4), (2, 4, 5)]), (7, 2, 3, 5), 7 * 2 * 3 * 4 * 5),
    (aten.einsum.default, ("i,j->ij", [(3,), (4,)]), (3, 4), 0),  # outer: a product added to nothing
    (aten.einsum.default, ("ii->i", [(3, 3)]), (3,), 0),
    # j is summed away in the left operand first; then 3 products of length 5
    (aten.einsum.default, ("ijk,k->i", [(3, 4, 5), (5,)]), (3,), 3 * 5),
    (aten.einsum.default, ("ijk,kl->il", [(3, 4, 5), (5, 2)]), (3, 2), 3 * 5 * 2),
    # from the left: (2, 3) with (5, 3, 4) over i, then (2, 5, 4) with (2, 4) over j
    (aten.einsum.default, ("bi,oij,bj->bo", [(2, 3), (5, 3, 4), (2, 4)]), (2, 5), 2 * 5 * 3 * 4 + 2 * 5 * 4),
    (aten._euclidean_dist.default, ((30, 4), (20, 4)), (30, 20), 30 * 20 * 4),
    (aten._cdist_forward.default, ((2, 3, 4), (2, 5, 4), 2.0, None), (2, 3, 5), 2 * 3 * 5 * 4),
    (aten._cdist_forward.default, ((3, 4), (5, 4), 1.0, None), (3, 5), 0),
    (aten._sparse_semi_structured_linear.default, ((3, 8), (5, 4), (5, 1)), (3, 5), 3 * 5 * 8 // 2),
    (aten._sparse_semi_structured_mm.default, ((5, 4), (5, 1), (8, 3)), (5, 3), 3 * 5 * 8 // 2),
    (aten._sparse_semi_structured_addmm.default, ((5,), (5, 4), (5, 1), (8, 3)), (5, 3), 3 * 5 * 8 // 2),
    (aten._cslt_sparse_mm.default, ((23,), (8, 3)), (5, 3), 3 * 5 * 8 // 2),
]  # fmt: skip


@pytest.mark.parametrize(("op", "args", "out", "expected"), PRODUCTS, ids=[f"{name(r[0])} {r[1]}" for r in PRODUCTS])
def test_product(op, args, out, expected):
    assert macs(op, *args, out=out) == expected


def test_float4_comes_two_to_an_element():
    packed = getattr(torch, "float4_e2m1fn_x2", None)
    if packed is None:
        pytest.skip("this torch has no float4")
    a, b = shape(3, 4, dtype=packed), shape(4, 5, dtype=packed)
    assert costs.macs(aten._scaled_mm.default, (a, b, shape(), shape()), {}, shape(3, 5)) == 3 * 8 * 5


def test_sparse_products_count_the_stored_non_zeros():
    sparse, dense = shape(6, 8, nnz=5), shape(8, 3)
    assert costs.macs(aten.mm.default, (sparse, dense), {}, shape(6, 3)) == 5 * 3
    assert costs.macs(aten.mm.default, (shape(2, 6), sparse), {}, shape(2, 8)) == 2 * 5
    assert costs.macs(aten.mv.default, (sparse, shape(8)), {}, shape(6)) == 5
    assert costs.macs(aten._sparse_addmm.default, (shape(6, 3), sparse, dense), {}, shape(6, 3)) == 5 * 3
    assert costs.macs(aten._sparse_mm_reduce_impl.default, (sparse, dense, "sum"), {}, (shape(6, 3), shape(6, 3))) == 15
    assert costs.macs(aten.sparse_sampled_addmm.default, (sparse, shape(6, 4), shape(4, 8)), {}, sparse) == 5 * 4
    # where both are sparse, it depends on where the non-zeros meet
    assert costs.macs(aten.mm.default, (sparse, shape(8, 3, nnz=4)), {}, shape(6, 3, nnz=2)) is None
    assert costs.macs(aten._sparse_sparse_matmul.default, (sparse, sparse), {}, sparse) is None


def test_a_complex_mac_is_4_and_a_half_complex_one_2():
    real, imaginary = shape(3, 4), shape(4, 5, dtype=torch.complex64)
    assert costs.macs(aten.mm.default, (real, shape(4, 5)), {}, shape(3, 5)) == 60
    assert costs.macs(aten.mm.default, (real, imaginary), {}, shape(3, 5)) == 2 * 60
    both = (shape(3, 4, dtype=torch.complex64), imaginary)
    assert costs.macs(aten.mm.default, both, {}, shape(3, 5)) == 4 * 60
    # a list of operands counts as operands; integers are no numbers here
    assert costs.macs(aten.einsum.default, ("ij,jk->ik", list(both)), {}, shape(3, 5)) == 4 * 60
    lengths = shape(2, dtype=torch.int32)
    assert (
        costs.macs(
            "aten::_grouped_mm",
            (shape(9, 4, dtype=torch.bfloat16), shape(2, 4, 5, dtype=torch.bfloat16), lengths),
            {},
            shape(9, 5),
        )
        == 180
    )


# --- attention ------------------------------------------------------------------------------------

Q, K, V, O = (2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 7), (2, 4, 5, 7)
ATTENTION = 2 * 4 * (5 * 6 * 8 + 5 * 6 * 7)  # scores, then values
SHARED = (2, 2, 6, 8)  # two key heads for four query heads
SELF = 2 * 4 * 5 * 5 * (8 + 8)

ATTENTIONS = [
    (aten.scaled_dot_product_attention.default, (Q, K, V), O, ATTENTION),
    (aten.scaled_dot_product_attention.default, (Q, Q, Q, None, 0.0, True), Q, SELF),  # causal: no discount
    (aten.scaled_dot_product_attention.default, (Q, SHARED, SHARED), Q, 2 * 4 * 5 * 6 * (8 + 8)),
    (aten.scaled_dot_product_attention.default, ((5, 8), (6, 8), (6, 7)), (5, 7), 5 * 6 * (8 + 7)),
    (aten._scaled_dot_product_attention_math.default, (Q, K, V), (O, O), ATTENTION),
    (aten._scaled_dot_product_flash_attention.default, (Q, K, V), (O, (2, 4, 5)), ATTENTION),
    (aten._scaled_dot_product_flash_attention_for_cpu.default, (Q, K, V), (O, (2, 4, 5)), ATTENTION),
    (aten._scaled_dot_product_efficient_attention.default, (Q, K, V, None, True), (O, (2, 4, 32)), ATTENTION),
    (aten._scaled_dot_product_cudnn_attention.default, (Q, K, V, None, True), (O, (2, 4, 5)), ATTENTION),
    (aten._scaled_dot_product_fused_attention_overrideable.default, (Q, K, V), (O, (2, 4, 5)), ATTENTION),
    (aten._scaled_dot_product_flash_attention_backward.default, (O, Q, K, V), None, 2 * ATTENTION),
    (aten._scaled_dot_product_flash_attention_for_cpu_backward.default, (O, Q, K, V), None, 2 * ATTENTION),
    (aten._scaled_dot_product_efficient_attention_backward.default, (O, Q, K, V), None, 2 * ATTENTION),
    (aten._scaled_dot_product_cudnn_attention_backward.default, (O, Q, K, V), None, 2 * ATTENTION),
    # (N, L, H, E): two sequences of 5 queries and 6 keys
    (aten._flash_attention_forward.default, ((2, 5, 4, 8), (2, 6, 4, 8), (2, 6, 4, 8), None, None, 5, 6,
                                             0.0, True, False),
     ((2, 5, 4, 8), (2, 4, 5)), 2 * 4 * 5 * 6 * (8 + 8)),
    # packed: three sequences of 5 queries each, 14 keys in all
    (aten._flash_attention_forward.default, ((15, 4, 8), (14, 4, 8), (14, 4, 8), (4,), (4,), 5, 9, 0.0,
                                             False, False),
     ((15, 4, 8), (4, 15)), 4 * 5 * 14 * (8 + 8)),
    # 11 queries in three sequences that have 6 keys each
    (aten._flash_attention_forward.default, ((11, 4, 8), (18, 4, 8), (18, 4, 8), (4,), (4,), 5, 6, 0.0,
                                             False, False),
     ((11, 4, 8), (4, 11)), 4 * 11 * 6 * (8 + 8)),
    # ragged on both sides: the lengths are values, and shapes cannot tell
    (aten._flash_attention_forward.default, ((11, 4, 8), (14, 4, 8), (14, 4, 8), (4,), (4,), 5, 9, 0.0,
                                             False, False),
     ((11, 4, 8), (4, 11)), None),
    (aten._efficient_attention_forward.default,
     ((2, 5, 4, 8), (2, 6, 4, 8), (2, 6, 4, 8), None, None, None, None, None, 0.0,
      0), None, 2 * 4 * 5 * 6 * (8 + 8)),
    (aten._efficient_attention_forward.default,
     ((1, 15, 4, 8), (1, 14, 4, 8), (1, 14, 4, 8), None, (4,), (4,), 5, 9, 0.0,
      0), None, 4 * 5 * 14 * (8 + 8)),
    (aten._cudnn_attention_forward.default, (Q, K, V, None, None, None, 5, 6, False), None, ATTENTION),
    (aten._flash_attention_backward.default,
     ((2, 5, 4, 8), (2, 5, 4, 8), (2, 6, 4, 8), (2, 6, 4, 8), (2, 5, 4, 8), (2, 4, 5), None, None, 5,
      6), None,
     2 * (2 * 4 * 5 * 6 * (8 + 8))),
    (aten._efficient_attention_backward.default,
     ((1, 11, 4, 8), (1, 11, 4, 8), (1, 14, 4, 8), (1, 14, 4, 8), None, (1, 11, 4, 8), (4,), (4,), 5,
      9), None, None),
    (aten._cudnn_attention_backward.default,
     (O, Q, K, V, O, (2, 4, 5), (), (), None, None, None, 5, 6, 0.0, False), None, 2 * ATTENTION),
    # in and out projections of 10 queries, key and value projections of 12 keys, 2 sequences of 5 x 6 pairs
    (aten._native_multi_head_attention.default, ((2, 5, 8), (2, 6, 8), (2, 6, 8), 8, 2, (24, 8), (24,),
                                                 (8, 8), (8,)),
     ((2, 5, 8), (2, 5, 6)), 2 * 10 * 8 * 8 + 2 * 12 * 8 * 8 + 2 * 5 * 6 * (8 + 8)),
    # 10 tokens: four projections and two linear layers; 2 sequences of 5 x 5 pairs
    (aten._transformer_encoder_layer_fwd.default,
     ((2, 5, 8), 8, 2, (24, 8), (24,), (8, 8), (8,), False, False, 1e-5, (8,), (8,), (8,), (8,), (16, 8),
      (16,), (8, 16),
      (8,)), (2, 5, 8), 10 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 5 * 5 * (8 + 8)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "args", "out", "expected"), ATTENTIONS, ids=[f"{name(r[0])} {r[1][0]}" for r in ATTENTIONS]
)
def test_attention(op, args, out, expected):
    assert macs(op, *args, out=out) == expected


def test_a_call_on_nested_tensors_is_the_calls_on_what_they_hold():
    """Sequences of 4 and 5 tokens, not two of 5."""
    x = shape(2, 5, 3, parts=((4, 3), (5, 3)))
    out = shape(2, 5, 6, parts=((4, 6), (5, 6)))
    assert costs.macs(aten.linear.default, (x, shape(6, 3)), {}, out) == (4 + 5) * 3 * 6
    attention = (x, x, x, 3, 1, shape(9, 3), shape(9), shape(3, 3), shape(3))
    expected = (4 + 5) * 4 * 3 * 3 + (4 * 4 + 5 * 5) * (3 + 3)
    assert costs.macs(aten._native_multi_head_attention.default, attention, {}, (x, None)) == expected


# --- recurrent ------------------------------------------------------------------------------------

# two layers in two directions, input 5, hidden 7: per direction 4 gates x 7 rows
LSTM = [(28, 5), (28, 7), (28,), (28,), (28, 5), (28, 7), (28,), (28,),
        (28, 14), (28, 7), (28,), (28,), (28, 14), (28, 7), (28,), (28,)]  # fmt: skip
LSTM_STEP = 2 * 4 * 7 * ((5 + 7) + (14 + 7))
PROJECTED = [(28, 5), (28, 3), (28,), (28,), (3, 7)]  # the hidden state is projected from 7 to 3
GRU = [(21, 5), (21, 7), (21,), (21,)]
STATE = [(4, 2, 7), (4, 2, 7)]

RECURRENT = [
    (aten.lstm.input, ((3, 2, 5), STATE, LSTM, True, 2, 0.0, False, True, False), 3 * 2 * LSTM_STEP),
    (aten.lstm.input, ((3, 5), STATE, LSTM, True, 2, 0.0, False, True, False), 3 * LSTM_STEP),  # unbatched
    (aten.lstm.data, ((5, 5), (3,), STATE, LSTM, True, 2, 0.0, False, True),
     5 * LSTM_STEP),  # lengths 3 and 2
    (aten.lstm.input, ((3, 2, 5), STATE, PROJECTED, True, 1, 0.0, False, False, False),
     6 * (28 * 5 + 28 * 3 + 3 * 7)),
    (aten.gru.input, ((3, 2, 5), (1, 2, 7), GRU, True, 1, 0.0, False, False, False), 6 * (21 * 5 + 21 * 7)),
    (aten.rnn_tanh.input, ((3, 2, 5), (1, 2, 7), [(7, 5), (7, 7)], False, 1, 0.0, False, False, False),
     6 * 7 * 12),
    (aten.rnn_relu.data, ((5, 5), (3,), (1, 2, 7), [(7, 5), (7, 7)], False, 1, 0.0, False, False),
     5 * 7 * 12),
    (aten._cudnn_rnn.default, ((3, 2, 5), LSTM, 4, None, (4, 2, 7), (4, 2, 7), 2, 7, 0, 2), 6 * LSTM_STEP),
    (aten.mkldnn_rnn_layer.default, ((3, 2, 5), (28, 5), (28, 7), (28,), (28,), (1, 2, 7), (1, 2, 7)),
     6 * 28 * 12),
    (aten.mkldnn_rnn_layer_backward.default, ((3, 2, 5), (28, 5), (28, 7), (28,), (28,)), 2 * 6 * 28 * 12),
    (aten._cudnn_rnn_backward.default,
     ((3, 2, 5), LSTM, 4, (99,), (4, 2, 7), (4, 2, 7), (3, 2, 14), (3, 2, 14), None, None, 2, 7, 0, 2,
      False, 0.0,
      True, True, [], None, (9,), [True, True, True, True]), 2 * 6 * LSTM_STEP),
    (aten._cudnn_rnn_backward.default,
     ((3, 2, 5), LSTM, 4, (99,), (4, 2, 7), (4, 2, 7), (3, 2, 14), (3, 2, 14), None, None, 2, 7, 0, 2,
      False, 0.0,
      True, True, [], None, (9,), [True, True, True, False]), 6 * LSTM_STEP),  # frozen weights
    (aten.lstm_cell.default, ((2, 5), [(2, 7), (2, 7)], (28, 5), (28, 7)), 2 * 28 * 12),
    (aten.gru_cell.default, ((5,), (7,), (21, 5), (21, 7)), 21 * 12),
    (aten._thnn_fused_lstm_cell.default, ((2, 28), (2, 28), (2, 7)), 0),
    (aten._thnn_fused_gru_cell.default, ((2, 21), (2, 21), (2, 7)), 0),
    (aten.quantized_lstm.input, ((3, 2, 5), STATE, [], True, 2, 0.0, False, True, False), 6 * LSTM_STEP),
    (aten.quantized_gru.data, ((5, 5), (3,), (1, 2, 7), [], True, 1, 0.0, False, False), 5 * 21 * 12),
    ("quantized::quantized_lstm_cell_dynamic", ((2, 5), [(2, 7), (2, 7)]), 2 * 28 * 12),
    ("quantized::quantized_gru_cell_dynamic", ((2, 5), (2, 7)), 2 * 21 * 12),
    ("quantized::quantized_rnn_tanh_cell_dynamic", ((2, 5), (2, 7)), 2 * 7 * 12),
]  # fmt: skip


@pytest.mark.parametrize(("op", "args", "expected"), RECURRENT, ids=[f"{name(r[0])} {r[1][0]}" for r in RECURRENT])
def test_recurrent(op, args, expected):
    assert macs(op, *args) == expected


def test_deformable_convolution_counts_as_a_plain_one():
    """Its package needn't be loaded: operators are known by name."""

    def named(name):
        return type("Op", (), {"namespace": "torchvision", "name": staticmethod(lambda: f"torchvision::{name}")})()

    offsets = (1, 18, 6, 6)
    assert macs(named("deform_conv2d"), (1, 4, 8, 8), (6, 4, 3, 3), offsets, out=(1, 6, 6, 6)) == 6 * 6 * 6 * 4 * 9
    backward = named("_deform_conv2d_backward")
    assert macs(backward, (1, 6, 6, 6), (1, 4, 8, 8), (6, 4, 3, 3), offsets) == 2 * 6 * 6 * 6 * 4 * 9
    assert macs(named("nms"), (9, 4), (9,), out=(3,)) == 0
    assert macs(named("roi_align"), (1, 4, 8, 8), (2, 5), out=(2, 4, 3, 3)) == 0
    assert macs(named("decode_jpeg"), (99,), out=(3, 8, 8)) is None


# --- invariants -----------------------------------------------------------------------------------

sizes = st.integers(1, 6)


@given(batch=sizes, groups=sizes, cin=sizes, cout=sizes, kernel=st.lists(sizes, min_size=1, max_size=3), data=st.data())
def test_a_convolution_and_its_transpose_cost_the_same(batch, groups, cin, cout, kernel, data):
    """x -> y by a weight, y -> x by the same weight transposed: the same pairs meet."""
    small = data.draw(st.lists(sizes, min_size=len(kernel), max_size=len(kernel)))
    large = [s + k - 1 for s, k in zip(small, kernel, strict=True)]
    x, y = (batch, groups * cin, *large), (batch, groups * cout, *small)
    weight = (groups * cout, cin, *kernel)
    settings = (None, [1], [0], [1])
    there = macs(aten.convolution.default, x, weight, *settings, False, [0], groups, out=y)
    back = macs(aten.convolution.default, y, weight, *settings, True, [0], groups, out=x)
    assert there == back == batch * prod(small) * groups * cout * cin * prod(kernel)


@given(m=sizes, k=sizes, n=sizes, b=sizes)
def test_a_product_costs_the_same_however_it_is_spelled(m, k, n, b):
    whole = b * m * k * n
    assert macs(aten.bmm.default, (b, m, k), (b, k, n), out=(b, m, n)) == whole
    assert macs(aten.matmul.default, (b, m, k), (k, n), out=(b, m, n)) == whole
    assert macs(aten.linear.default, (b, m, k), (n, k), out=(b, m, n)) == whole
    assert macs(aten.mm.default, (b * m, k), (k, n), out=(b * m, n)) == whole
    assert macs(aten.einsum.default, "bik,bkj->bij", [(b, m, k), (b, k, n)], out=(b, m, n)) == whole
    assert macs(aten.tensordot.default, (b, m, k), (k, n), [2], [0], out=(b, m, n)) == whole
    assert (
        macs(aten.convolution.default, (b, k, m), (n, k, 1), None, [1], [0], [1], False, [0], 1, out=(b, n, m)) == whole
    )
    dense = shape(m, k, nnz=m * k)
    assert costs.macs(aten.mm.default, (dense, shape(k, n)), {}, shape(m, n)) == m * k * n
