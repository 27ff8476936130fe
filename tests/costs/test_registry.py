"""Which operators are free, which uncounted, and the registry's manners."""

from __future__ import annotations

import inspect
import subprocess
import sys
from math import prod

import pytest
import torch

from archprof import costs
from archprof.base.errors import BadOption
from archprof.costs import Shape, free, registry

aten = torch.ops.aten


def shape(*sizes: int, **facts) -> Shape:
    return Shape(sizes, facts.pop("dtype", torch.float32), **facts)


def macs(op, *args, out=None, **kwargs):
    """Tuples of ints stand for tensors, lists and tuples of them for lists and tuples of tensors."""

    def tensors(value):
        if type(value) is tuple and all(type(size) is int for size in value):
            return shape(*value)
        return type(value)(tensors(item) for item in value) if type(value) in (list, tuple) else value

    return costs.macs(op, tuple(tensors(arg) for arg in args), kwargs, tensors(out))


# --- free, uncounted ------------------------------------------------------------------------------

#: Seen in forward and backward passes of 166 of timm's networks (two of each family), and in torch's layers.
SEEN = """
    _adaptive_avg_pool2d _adaptive_avg_pool2d_backward _safe_softmax _softmax _softmax_backward_data
    _to_copy _unsafe_view _upsample_bicubic2d_aa _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa
    _upsample_bilinear2d_aa_backward add.Tensor add_.Scalar add_.Tensor addcmul addmm alias amax arange
    arange.start as_strided as_strided_ avg_pool2d avg_pool2d_backward bernoulli_.float bitwise_not bmm
    cat clamp clamp.Tensor clamp_min clone col2im constant_pad_nd convolution convolution_backward copy_
    cos cumsum detach div.Scalar div.Tensor div.Tensor_mode div_.Scalar div_.Tensor empty.memory_format
    empty_like eq.Scalar eq.Tensor exp expand flip ge.Scalar ge.Tensor gelu gelu_backward hardsigmoid
    hardsigmoid_backward hardswish hardswish_ hardswish_backward hardtanh hardtanh_backward im2col
    index.Tensor index_put le.Scalar le.Tensor leaky_relu_ leaky_relu_backward linalg_vector_norm
    logical_and masked_fill_.Scalar max.dim max_pool2d_with_indices max_pool2d_with_indices_backward
    mean.dim mm mul.Scalar mul.Tensor native_batch_norm native_batch_norm_backward native_group_norm
    native_group_norm_backward native_layer_norm native_layer_norm_backward neg new_empty
    new_empty_strided new_zeros ones ones_like permute pow.Scalar pow.Tensor_Scalar reflection_pad2d
    reflection_pad2d_backward relu relu_ repeat roll rsqrt rsub.Scalar scalar_tensor scatter.src
    select.int select_backward sigmoid sigmoid_ sigmoid_backward silu silu_ silu_backward sin
    slice.Tensor slice_backward split.Tensor split_with_sizes squeeze.dim stack sub.Tensor sum
    sum.dim_IntList t tanh tanh_ tanh_backward threshold_backward transpose.int unbind.int unfold
    unfold_backward unsafe_split.Tensor unsqueeze upsample_bicubic2d upsample_bicubic2d_backward
    upsample_bilinear2d upsample_bilinear2d_backward upsample_nearest2d upsample_nearest2d_backward view
    where.self zeros zeros_like _local_scalar_dense lift_fresh embedding embedding_dense_backward
    _embedding_bag grid_sampler_2d grid_sampler_3d affine_grid_generator native_dropout
    native_dropout_backward topk sort nonzero index_add scatter_add index_select gather _log_softmax
    _log_softmax_backward_data nll_loss_forward nll_loss_backward mse_loss mse_loss_backward
    upsample_trilinear3d upsample_linear1d avg_pool3d max_pool3d_with_indices adaptive_max_pool2d
    fractional_max_pool2d max_unpool2d native_channel_shuffle pixel_shuffle rrelu_with_noise
    _fused_rms_norm _weight_norm_interface randn rand randint randperm multinomial masked_select
    searchsorted.Tensor _thnn_fused_lstm_cell _thnn_fused_gru_cell mkldnn_rnn_layer mv dot vdot baddbmm
    _trilinear _euclidean_dist _foreach_add_.List _fused_adam_ _pack_padded_sequence view_as_real
    view_as_complex complex polar
""".split()


@pytest.mark.parametrize("name", SEEN)
def test_every_operator_seen_in_practice_has_a_verdict(name):
    packet, _, overload = name.partition(".")
    if not hasattr(aten, packet):
        pytest.skip("not in this torch")
    op = getattr(getattr(aten, packet), overload or "default")
    assert (f"aten::{packet}" in registry.FORMULAS) != free.is_free(op, op.name())


UNCOUNTED = [aten._fft_r2c.default, aten.linalg_inv_ex.default, aten._linalg_svd.default,
             aten._linalg_solve_ex.default,
             aten.cholesky_solve.default, aten.linalg_matrix_exp.default, aten.linalg_qr.default]  # fmt: skip


@pytest.mark.parametrize("op", UNCOUNTED, ids=[op.name() for op in UNCOUNTED])
def test_what_multiplies_in_ways_that_shapes_dont_tell_is_uncounted(op):
    assert macs(op, (4, 4), out=(4, 4)) is None


def test_no_operator_is_both_free_and_counted():
    for name in registry.FORMULAS:
        assert not free.is_free(None, name), name


def test_free_names_are_written_once_and_mean_something():
    names = [name for names in free.FREE.values() for name in names.split()]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    known = {
        name.removeprefix("aten::").partition(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::")
    }
    unknown = set(names) - {free.root_of(name) for name in known}
    if torch.__version__.startswith("2.13."):
        assert sorted(unknown) == []
    assert len(unknown) < len(names) / 10  # another torch may lack some; most it has


OF_TORCH = [one for one in registry.FORMULAS if one.startswith(("aten::", "mkldnn::", "mkl::"))]


@pytest.mark.parametrize("name", OF_TORCH)
def test_a_formula_takes_its_operators_arguments_in_their_order(name):
    """It asks for no more than the schema has; what it calls by the schema's name stands in that place."""
    namespace, _, operator = name.partition("::")
    packet, _, overload = operator.partition(".")
    packet = getattr(getattr(torch.ops, namespace), packet, None)
    if packet is None:
        pytest.skip("not in this torch")
    parameters = inspect.signature(registry.FORMULAS[name].formula).parameters.values()
    wanted = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    for one in [overload] if overload else packet.overloads():
        if "out" in one or one == "sublist":  # results, and TorchScript alone
            continue
        offered = [a.name for a in getattr(packet, one)._schema.arguments if not a.kwarg_only]
        assert len([p for p in wanted if p.default is p.empty]) <= len(offered)
        for place, parameter in enumerate(wanted):
            if parameter.name in offered:
                assert offered.index(parameter.name) == place, parameter.name


# --- the registry ---------------------------------------------------------------------------------


@pytest.fixture
def mylib(monkeypatch):
    """A package with operators of its own; the registry is afterwards as it was."""
    monkeypatch.setattr(registry, "FORMULAS", dict(registry.FORMULAS))
    library = torch.library.Library("archprof_test", "FRAGMENT")
    for schema in (
        "fused(Tensor x, Tensor w, *, float scale=1.0) -> Tensor",
        "plain(Tensor x) -> Tensor",
        "plain.twice(Tensor x, int times) -> Tensor",
    ):
        library.define(schema)
    yield torch.ops.archprof_test
    library._destroy()


def test_a_custom_operator_is_uncounted_until_it_has_a_formula(mylib):
    assert macs(mylib.fused.default, (3, 4), (4, 5), out=(3, 5)) is None

    before = costs.generation

    @costs.macs_of(mylib.fused)
    def fused(x, w, *, out):
        return prod(out) * x[-1]

    assert fused((3, 4), None, out=(3, 5)) == 60  # returned as it was
    assert costs.generation == before + 1
    assert macs(mylib.fused.default, (3, 4), (4, 5), out=(3, 5)) == 60
    assert macs(mylib.fused.default, (3, 4), (4, 5), out=(3, 5), scale=2.0) == 60  # not named, not passed


def test_a_formula_names_only_what_it_needs(mylib):
    @costs.macs_of("archprof_test::fused")
    def by_scale(x, *, scale=1.0):
        return int(scale) * prod(x)

    assert macs(mylib.fused.default, (3, 4), (4, 5), out=(3, 5)) == 12
    assert macs(mylib.fused.default, (3, 4), (4, 5), out=(3, 5), scale=7.0) == 84


def test_an_argument_called_out_is_the_arguments_own(mylib):
    """`plain.twice` has two arguments: the second fills the parameter before the result could."""
    costs.macs_of(mylib.plain)(lambda x, out: prod(x) * (out if isinstance(out, int) else len(out)))
    assert macs(mylib.plain.twice, (3,), 5, out=(7, 7)) == 15
    assert macs(mylib.plain.default, (3,), out=(7, 7)) == 6


def test_an_overload_may_have_its_own_formula(mylib):
    costs.macs_of(mylib.plain)(lambda x: prod(x))
    costs.macs_of(mylib.plain.twice)(lambda x, times: times * prod(x))
    assert macs(mylib.plain.default, (3,)) == 3
    assert macs(mylib.plain.twice, (3,), 5) == 15


def test_what_custom_op_returns_is_an_operator(mylib):
    @torch.library.custom_op("archprof_test::mine", mutates_args=())
    def mine(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    costs.macs_of(mine)(lambda x: prod(x))
    assert macs(torch.ops.archprof_test.mine.default, (3, 4)) == 12


def test_a_second_formula_is_refused_unless_it_replaces(mylib):
    with pytest.raises(BadOption, match=r"aten::mm has a formula already.*replace=True"):
        costs.macs_of(aten.mm)(lambda a, b: 0)
    costs.macs_of(aten.mm, replace=True)(lambda a, b: 1)
    assert macs(aten.mm.default, (3, 4), (4, 5), out=(3, 5)) == 1


def test_bad_registrations_and_formulas_say_what_is_wrong(mylib):
    with pytest.raises(BadOption, match=r"\[\] is no operator"):
        costs.macs_of([])
    with pytest.raises(BadOption, match="7 is no operator"):
        costs.macs_of(7)
    with pytest.raises(BadOption, match="'mm' is no operator"):
        costs.macs_of("mm")
    with pytest.raises(BadOption, match="names no operator"):
        costs.macs_of()
    with pytest.raises(BadOption, match="decorates a function"):
        costs.macs_of(mylib.fused)(3)
    costs.macs_of(mylib.fused)(lambda x, w: prod(x) / 2)
    with pytest.raises(BadOption, match=r"formula of archprof_test::fused returned 6.0"):
        macs(mylib.fused.default, (3, 4), (4, 5))
    costs.macs_of(mylib.fused, replace=True)(lambda x, w: x[2])
    with pytest.raises(BadOption, match="formula of archprof_test::fused cannot take this call: IndexError"):
        macs(mylib.fused.default, (3, 4), (4, 5))


def test_a_formula_may_decline(mylib):
    costs.macs_of(mylib.fused)(lambda x, w: None)
    assert macs(mylib.fused.default, (3, 4), (4, 5)) is None


def test_a_formula_given_to_torchs_own_counter_is_used(mylib):
    from torch.utils import flop_counter

    flop_counter.register_flop_formula(mylib.fused)(lambda x, w, out_shape=None, **kwargs: 2 * x[0] * x[1] * w[1])
    flop_counter.register_flop_formula(mylib.plain, get_raw=True)(lambda x, *args, out_val=None: 2 * x.shape[0])
    try:
        assert macs(mylib.fused.default, (3, 4), (4, 5), out=(3, 5)) == 60
        assert macs(mylib.plain.default, (3, 4), out=(3, 5)) == 3
    finally:
        del flop_counter.flop_registry[mylib.fused], flop_counter.flop_registry[mylib.plain]


def test_an_out_argument_changes_nothing():
    result = shape(3, 5)
    assert costs.macs(aten.mm.out, (shape(3, 4), shape(4, 5)), {"out": result}, result) == 60


def test_the_shape_of_a_tensor():
    assert Shape.of(torch.empty(2, 3, dtype=torch.float16)) == (2, 3)
    assert Shape.of(torch.empty(2, dtype=torch.float16)).dtype is torch.float16
    assert Shape.of(torch.empty(2, device="meta")).device == "meta"
    assert Shape.of(torch.empty(2, 3)).nnz is None
    assert Shape.of(torch.eye(3).to_sparse()).nnz == 3
    assert Shape.of(torch.eye(3).to_sparse_csr()).nnz == 3
    assert Shape.of(torch.eye(4).to_sparse_bsr((2, 2))).nnz == 8  # two stored blocks of four
    assert Shape.of(torch.nn.LazyLinear(2).weight) == ()
    ragged = Shape.of(torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(4, 3)]))
    assert ragged == (2, 4, 3)
    assert ragged.parts == ((2, 3), (4, 3))
    assert ragged.shape is ragged


def test_importing_the_formulas_imports_no_torch():
    code = "import sys; import archprof.costs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
