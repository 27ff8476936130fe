"""Matrix products, linear layers and their relatives. An added bias or matrix is free.

One fact carries most: every element of the result is a dot product as long as the contracted dimension.
"""

from __future__ import annotations

from math import prod
from typing import Any

from .registry import Shape, aten, macs_of


def product(a: Shape, b: Shape, out: Shape) -> int | None:
    """a (..., m, k) @ b (..., k, n) -> out: out's elements times k.

    Where one side is sparse, each of its stored non-zeros meets a column (row) of the other; where both
    are, the count depends on where the non-zeros lie: uncounted.
    """
    if a.nnz is not None and b.nnz is not None:
        return None
    if a.nnz is not None:
        return a.nnz * (b[-1] if len(b) > 1 else 1)
    if b.nnz is not None:
        return b.nnz * (a[-2] if len(a) > 1 else 1)
    return prod(out) * a[-1]


@macs_of(
    aten.mm,
    aten.bmm,
    aten.mv,
    aten.dot,
    aten.vdot,
    aten.matmul,
    aten.linalg_matmul,
    aten.inner,
    aten._int_mm,
    aten._sparse_mm,
    aten.smm,
    aten.hspmm,
    aten._sparse_mm_reduce_impl,
    "quantized::matmul",
)
def matrix_product(a: Shape, b: Shape, *, out: Any) -> int | None:
    """(m, k) @ (k, n), batched or not, broadcast or not, vectors too; `inner` contracts last dimensions."""
    return product(a, b, out if isinstance(out, Shape) else out[0])


@macs_of(
    aten.addmm,
    aten.addmm_,
    aten.addmv,
    aten.addmv_,
    aten.baddbmm,
    aten.baddbmm_,
    aten._addmm_activation,
    aten._sparse_addmm,
    aten.sspaddmm,
)
def added_product(added: Shape, a: Shape, b: Shape, *, out: Shape) -> int | None:
    """added + a @ b."""
    return product(a, b, out)


@macs_of(aten.addbmm, aten.addbmm_)
def summed_products(added: Shape, a: Shape, b: Shape) -> int | None:
    """added + sum over the batch of a (b, m, k) @ b (b, k, n)."""
    return product(a, b, Shape((*a[:-1], b[-1])))


@macs_of(aten.sparse_sampled_addmm)
def sampled_product(sampled: Shape, a: Shape, b: Shape) -> int | None:
    """a (m, k) @ b (k, n) where `sampled` (m, n) has an entry, and nowhere else."""
    return None if sampled.nnz is None else sampled.nnz * a[-1]


@macs_of(aten._scaled_mm, aten._scaled_mm_v2)
def scaled_product(a: Shape, b: Shape, *, out: Shape) -> int:
    """(m, k) @ (k, n); float4 comes two to an element."""
    return prod(out) * a[-1] * (2 if "float4" in str(a.dtype) else 1)


@macs_of(aten._grouped_mm, aten._scaled_grouped_mm, aten._scaled_grouped_mm_v2)
def grouped_product(a: Shape, b: Shape) -> int:
    """a (M, k) @ b (G, k, N), each row of a (or column of b, or slice of k) belonging to one group;
    a batch of products where both have three dimensions."""
    groups = a[0] if len(a) == len(b) == 3 else 1
    return groups * a[-2] * a[-1] * b[-1] * (2 if "float4" in str(a.dtype) else 1)


@macs_of(aten._foreach_mm, "_native::_foreach_mm_native_0")
def many_products(left: list[Shape], right: list[Shape]) -> int:
    """A list of (m, k) @ (k, n)."""
    return sum(prod(a) * b[-1] for a, b in zip(left, right, strict=True))


@macs_of(
    aten.linear, aten.mkldnn_linear, aten._weight_int8pack_mm, aten._weight_int4pack_mm,
    aten._weight_int4pack_mm_for_cpu, aten._weight_int4pack_mm_with_scales_and_zeros,
    aten._dyn_quant_matmul_4bit, aten._mixed_dtypes_linear, aten.fbgemm_linear_int8_weight,
    aten.fbgemm_linear_int8_weight_fp32_activation, aten.fbgemm_linear_fp16_weight,
    aten.fbgemm_linear_fp16_weight_fp32_activation, aten._wrapped_quantized_linear_prepacked,
    "mkldnn::_linear_pointwise", "mkl::_mkl_linear",
    "onednn::qlinear_pointwise", "onednn::linear_dynamic_fp16", "onednn::linear_relu_dynamic_fp16",
    *(f"quantized::linear{kind}" for kind in (
        "", "_relu", "_tanh", "_leaky_relu", "_dynamic", "_relu_dynamic", "_dynamic_fp16",
        "_relu_dynamic_fp16", "_dynamic_fp16_unpacked_weight", "_with_input_q_dq_qweight_dq_output_fp32",
        "_with_input_q_dq_qweight_dq_relu_output_fp32")),
)  # fmt: skip
def linear(x: Shape, *, out: Shape) -> int:
    """x (*, in) -> out (*, out), however the weight is packed: `in` MACs for each element of out."""
    return prod(out) * x[-1]


@macs_of(aten.linear_backward)
def linear_backward(x: Shape, grad: Shape, weight: Shape, output_mask: Any) -> int:
    """x (*, in), grad (*, out): x's gradient and the weight's cost a forward pass each."""
    return sum(map(bool, output_mask[:2])) * prod(grad) * x[-1]


@macs_of(aten.mkldnn_linear_backward)
def mkldnn_linear_backward(x: Shape, grad: Shape, weight: Shape, output_mask: Any) -> int:
    """As linear_backward."""
    return linear_backward(x, grad, weight, output_mask)


@macs_of(aten.mkldnn_linear_backward_input)
def linear_backward_input(sizes: Any, grad: Shape, weight: Shape) -> int:
    """grad (*, out) @ weight (out, in)."""
    return prod(grad) * weight[-1]


@macs_of(aten.mkldnn_linear_backward_weights)
def linear_backward_weights(grad: Shape, x: Shape) -> int:
    """grad (*, out) and x (*, in) -> (out, in)."""
    return prod(grad) * x[-1]


@macs_of(aten.matmul_backward)
def matmul_backward(grad: Shape, a: Shape, b: Shape, mask: Any) -> int:
    """grad (..., m, n): each gradient asked for costs a forward pass."""
    return sum(map(bool, mask)) * prod(grad) * a[-1]


@macs_of(aten._sparse_mm_reduce_impl_backward)
def sparse_reduce_backward(
    sparse: Shape, grad: Shape, weight: Shape, reduce: str, arg: Any, output_mask: Any
) -> int | None:
    """Each stored non-zero of the sparse side meets the columns of grad, for each gradient."""
    return None if sparse.nnz is None else sum(map(bool, output_mask)) * sparse.nnz * grad[-1]


# 2:4 semi-structured sparsity keeps two of every four values: half the contracted length.


@macs_of(aten._sparse_semi_structured_linear)
def semi_structured_linear(x: Shape, weight: Shape, *, out: Shape) -> int:
    """x (*, in), weight (out, in/2) compressed."""
    return prod(out) * weight[-1]


@macs_of(aten._sparse_semi_structured_mm)
def semi_structured_product(a: Shape, meta: Shape, b: Shape) -> int:
    """a (m, k/2) compressed @ b (k, n)."""
    return prod(a) * b[-1]


@macs_of(aten._sparse_semi_structured_addmm)
def semi_structured_added(added: Shape, a: Shape, meta: Shape, b: Shape) -> int:
    """a (m, k/2) compressed @ b (k, n)."""
    return prod(a) * b[-1]


@macs_of(aten._cslt_sparse_mm)
def cusparselt_product(compressed: Shape, b: Shape, *, out: Shape) -> int:
    """The compressed side is opaque; b (k, n)."""
    return prod(out) * b[0] // 2


@macs_of(aten.bilinear)
def bilinear(a: Shape, b: Shape, weight: Shape, *, out: Shape) -> int:
    """a (*, m), b (*, n), weight (out, m, n): each weight once a sample; a outer b is free."""
    return prod(out) * prod(weight[1:])


@macs_of(aten._trilinear)
def trilinear(a: Shape, b: Shape, c: Shape, expand_a: list[int], expand_b: list[int], expand_c: list[int]) -> int:
    """a * b * c, broadcast after inserting dimensions, then summed: one MAC for each point of the whole
    index space. What `bilinear` and its gradients come down to."""
    dims = len(a) + len(expand_a)
    whole = [1] * dims
    for shape, expand in ((a, expand_a), (b, expand_b), (c, expand_c)):
        kept = [dim for dim in range(dims) if dim not in {e % dims for e in expand}]
        for dim, size in zip(kept, shape, strict=True):
            whole[dim] = max(whole[dim], size)
    return prod(whole)


@macs_of(aten.tensordot)
def tensordot(a: Shape, b: Shape, dims_a: list[int], dims_b: list[int], *, out: Shape) -> int:
    """Every element of out is a dot product over the contracted dimensions."""
    return prod(out) * prod(max(a[i], b[j]) for i, j in zip(dims_a, dims_b, strict=True))


@macs_of(aten.einsum)
def einsum(equation: str, operands: list[Shape], *, path: list[int] | None = None) -> int:
    """Operands are contracted in pairs (along `path`, else from the left), each pair over the indices that
    neither a later operand nor the result has. A pair without such an index is a plain product: free."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = _spelled_out(inputs.split(","), operands)
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, operands, strict=True):
        for index, size in zip(term, shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    written = "".join(inputs.split(","))
    kept = set(output) if arrow else {index for index in sizes if written.count(index) == 1}
    if "..." in equation:
        kept |= {index for index in sizes if index.isdigit()}
    order = list(path or [])
    total, pending = 0, [set(term) for term in terms]
    while len(pending) > 1:
        first, second = (order.pop(0), order.pop(0)) if order else (0, 1)
        pair = [pending[first], pending[second]]
        pending = [term for position, term in enumerate(pending) if position not in (first, second)]
        needed = kept.union(*pending)
        # an index that one side alone has is summed away before the product
        left, right = (one - (one - other - needed) for one, other in (pair, reversed(pair)))
        if (left | right) - needed:
            total += prod(sizes[index] for index in left | right)
        result = (left | right) & needed
        pending = [*pending, result] if path else [result, *pending]
    return total


def _spelled_out(terms: list[str], operands: list[Shape]) -> list[list[str]]:
    """Each term as a list of indices, an ellipsis as numbers of the dimensions it hides, from the right."""
    spelled = []
    for term, shape in zip(terms, operands, strict=True):
        before, ellipsis, after = term.partition("...")
        hidden = len(shape) - len(before) - len(after) if ellipsis else 0
        spelled.append([*before, *(str(dim) for dim in reversed(range(hidden))), *after])
    return spelled


# A distance is a difference, a power and a sum: free. The Euclidean one torch computes by a product,
# |a - b|^2 = a.a - 2 a.b + b.b, from 26 points on; it is counted so at every size.


@macs_of(aten._euclidean_dist)
def euclidean_distance(a: Shape, b: Shape, *, out: Shape) -> int:
    """a (*, p, m), b (*, r, m) -> out (*, p, r)."""
    return prod(out) * a[-1]


@macs_of(aten.cdist, aten._cdist_forward)
def distance(a: Shape, b: Shape, p: float = 2.0, *, out: Shape) -> int:
    """a (*, p, m), b (*, r, m) -> out (*, p, r)."""
    return euclidean_distance(a, b, out=out) if p == 2 else 0


@macs_of(aten._cdist_backward)
def distance_backward(grad: Shape, a: Shape, b: Shape, p: float) -> int:
    """The gradient of one side: a forward pass."""
    return prod(grad) * a[-1] if p == 2 else 0
