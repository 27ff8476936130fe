"""Closed forms and the shape memory against torch's own answers: the same shapes, strides, types and profiles."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archprof.counting.closed_forms import CLOSED, CORRECTED
from archprof.counting.counts import profile, profile_of
from archprof.counting.shapes import ShapeMemory
from archprof.models import zoo

aten = torch.ops.aten
FEW = settings(
    max_examples=settings.default.max_examples // 4,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SIZES = st.integers(0, 5)
DTYPES = st.sampled_from([torch.float32, torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.complex64])


@st.composite
def tensors(
    draw: st.DrawFn, shape: tuple[int, ...] | None = None, rank: int | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """On meta: mostly contiguous, sometimes transposed, expanded, sliced or channels-last."""
    if shape is None:
        count = rank if rank is not None else draw(st.integers(0, 4))
        shape = tuple(draw(st.lists(SIZES, min_size=count, max_size=count)))
    x = torch.empty(shape, dtype=dtype or draw(DTYPES), device="meta")
    how = draw(st.sampled_from(["plain"] * 4 + ["transposed", "expanded", "sliced", "channels_last"]))
    if how == "transposed" and len(shape) >= 2:
        x = torch.empty((*shape[:-2], shape[-1], shape[-2]), dtype=x.dtype, device="meta").transpose(-1, -2)
    elif how == "expanded" and shape:
        x = x[:1].expand(shape) if shape[0] else x
    elif how == "sliced" and shape:
        x = torch.empty((*shape[:-1], 2 * shape[-1]), dtype=x.dtype, device="meta")[..., ::2]
    elif how == "channels_last" and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    return x


def _layout(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_layout(item) for item in value]
    return None if value is None else (tuple(value.shape), value.stride(), value.dtype)


def _agree(func: Any, *args: Any, **kwargs: Any) -> None:
    """A closed form that answers answers as torch does; where torch refuses, it must not answer."""
    layouts = CLOSED[func](*args, **kwargs)
    if any(isinstance(arg, Tensor) and arg.is_complex() for arg in args):
        return  # the memory asks torch for these
    try:
        truth = _layout(func(*args, **kwargs))
    except (RuntimeError, IndexError, TypeError, ValueError, AssertionError) as error:
        assert layouts is None, f"{func} answers {layouts} where torch says {error}"
        return
    if layouts is not None:
        assert layouts == truth, func


UNARY = [func for func, form in CLOSED.items() if form.__name__ == "_unary"]
BINARY = [func for func, form in CLOSED.items() if form.__name__ == "_binary"]
LIKE = [func for func, form in CLOSED.items() if form.__name__ == "_like"]


@FEW
@given(st.data(), st.sampled_from(UNARY))
def test_unary(data: st.DataObject, func: Any) -> None:
    _agree(func, data.draw(tensors()))


@FEW
@given(st.data(), st.sampled_from([aten.clone.default, *LIKE]))
def test_likes(data: st.DataObject, func: Any) -> None:
    form = data.draw(st.sampled_from([None, torch.preserve_format, torch.contiguous_format, torch.channels_last]))
    _agree(func, data.draw(tensors()), **({} if form is None else {"memory_format": form}))


@FEW
@given(st.data(), st.sampled_from(BINARY))
def test_binary(data: st.DataObject, func: Any) -> None:
    x = data.draw(tensors())
    shape = data.draw(
        st.sampled_from(
            [
                tuple(x.shape),
                tuple(1 if i % 2 else n for i, n in enumerate(x.shape)),
                tuple(x.shape[1:]),
                (1, *x.shape),
                (),
            ]
        )
    )
    other = data.draw(st.one_of(tensors(shape), tensors(shape, dtype=x.dtype), st.sampled_from([2, 2.0, True])))
    _agree(func, x, other)


@FEW
@given(st.data(), st.integers(1, 3))
def test_convolution(data: st.DataObject, spatial: int) -> None:
    groups, per_group, out = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    ints = st.lists(st.integers(1, 3), min_size=spatial, max_size=spatial)
    x = data.draw(
        tensors(
            (data.draw(st.integers(0, 2)), groups * per_group, *[data.draw(st.integers(0, 7))] * spatial),
            dtype=torch.float32,
        )
    )
    weight = torch.empty(groups * out, per_group, *data.draw(ints), device="meta")
    bias = data.draw(st.sampled_from([None, torch.empty(groups * out, device="meta")]))
    padding = [n - 1 for n in data.draw(ints)]
    _agree(
        aten.convolution.default,
        x,
        weight,
        bias,
        data.draw(ints),
        padding,
        data.draw(ints),
        data.draw(st.sampled_from([False] * 5 + [True])),
        [0] * spatial,
        groups,
    )


@FEW
@given(st.data())
def test_products(data: st.DataObject) -> None:
    n, m, k, b = (data.draw(SIZES) for _ in range(4))
    kind = data.draw(DTYPES)
    x, y = data.draw(tensors((n, m), dtype=kind)), data.draw(tensors((data.draw(st.sampled_from([m, m, k])), k)))
    _agree(aten.mm.default, x, y)
    _agree(aten.mm.default, x, data.draw(tensors((m, k), dtype=kind)))
    for bias in ((k,), (n, k), (1, k), (n,), ()):
        _agree(aten.addmm.default, data.draw(tensors(bias, dtype=kind)), x, data.draw(tensors((m, k), dtype=kind)))
    _agree(aten.bmm.default, data.draw(tensors((b, n, m), dtype=kind)), data.draw(tensors((b, m, k), dtype=kind)))
    _agree(aten.bmm.default, data.draw(tensors(rank=3)), data.draw(tensors(rank=3)))


@FEW
@given(st.data())
def test_norms_and_softmax(data: st.DataObject) -> None:
    x = data.draw(tensors(rank=data.draw(st.integers(1, 4))))
    _agree(aten._safe_softmax.default, x, data.draw(st.integers(-x.dim(), x.dim() - 1)))
    _agree(aten._softmax.default, x, data.draw(st.integers(-x.dim(), x.dim() - 1)), data.draw(st.booleans()))
    last = data.draw(st.integers(1, x.dim()))
    _agree(aten.native_layer_norm.default, x, list(x.shape[x.dim() - last :]), None, None, 1e-5)


@FEW
@given(st.data(), st.booleans())
def test_batch_norm_in_training(data: st.DataObject, affine: bool) -> None:
    x = data.draw(tensors(rank=data.draw(st.integers(2, 4)), dtype=torch.float32))
    weight = torch.empty(x.shape[1], device="meta") if affine else None
    _agree(aten.native_batch_norm.default, x, weight, weight, None, None, True, 0.1, 1e-5)


@FEW
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_batch_norm_in_eval_is_as_on_a_device(n: int, c: int, side: int) -> None:
    """torch's meta kernel hands out statistics that no device makes; the closed form follows the devices."""
    x, c_ones = torch.ones(n, c, side, side), torch.ones(c)
    args = (c_ones, c_ones, c_ones, c_ones, False, 0.1, 1e-5)
    assert CLOSED[aten.native_batch_norm.default](x, *args) == [
        tuple(one) for one in _layout(aten.native_batch_norm.default(x, *args))
    ]


@pytest.mark.skipif(not hasattr(aten, "_grouped_mm"), reason="this torch has no grouped products")
@FEW
@given(st.data(), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]), st.sampled_from([True, False]))
def test_grouped_products_are_as_on_a_device(data: st.DataObject, dtype: torch.dtype, several: bool) -> None:
    """torch's meta kernel takes bfloat16 alone, and only where all strides are multiples of 16 bytes."""
    groups, rows, inner, columns = (data.draw(st.sampled_from([1, 3, 4, 8, 16])) for _ in range(4))
    transposed = data.draw(st.booleans())
    a = torch.ones(groups, rows, inner, dtype=dtype) if several else torch.ones(rows, inner, dtype=dtype)
    b = torch.ones(groups, columns, inner, dtype=dtype).transpose(1, 2) if transposed else None
    b = torch.ones(groups, inner, columns, dtype=dtype) if b is None else b
    ends = None if several else torch.full((groups,), rows, dtype=torch.int32)
    foretold = CLOSED[aten._grouped_mm.default](a, b, ends)
    try:
        truth = _layout(aten._grouped_mm.default(a, b, ends))
    except RuntimeError as error:
        assert foretold is None, error
        return
    assert foretold == truth


def test_what_is_corrected_is_tested_against_a_device() -> None:
    assert {form.__name__ for func, form in CLOSED.items() if func in CORRECTED} <= {"_batch_norm", "_grouped_mm"}
    assert aten.native_batch_norm.default in CORRECTED


@FEW
@given(st.data())
def test_pooling_and_means(data: st.DataObject) -> None:
    x = data.draw(tensors(rank=data.draw(st.integers(3, 4))))
    pair = st.lists(st.integers(1, 3), min_size=1, max_size=2)
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=2))
    _agree(
        aten.max_pool2d_with_indices.default,
        x,
        kernel,
        data.draw(st.one_of(pair, st.just([]))),
        [n - 1 for n in data.draw(pair)],
        data.draw(pair),
        data.draw(st.booleans()),
    )
    _agree(aten._adaptive_avg_pool2d.default, x, data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=2)))
    dims = data.draw(st.lists(st.integers(-x.dim(), x.dim() - 1), max_size=2))
    _agree(aten.mean.dim, x, dims, data.draw(st.booleans()))


@FEW
@given(st.data())
def test_concatenation(data: st.DataObject) -> None:
    first = data.draw(tensors(dtype=torch.float32))
    others = [data.draw(st.one_of(tensors(tuple(first.shape), dtype=torch.float32), tensors())) for _ in range(2)]
    _agree(aten.cat.default, [first, *others], data.draw(st.integers(-4, 3)))


@FEW
@given(st.data(), st.sampled_from([func for func, form in CLOSED.items() if form.__name__ == "_activation_backward"]))
def test_gradients_of_activations(data: st.DataObject, func: Any) -> None:
    x = data.draw(tensors())
    grad = data.draw(st.one_of(tensors(tuple(x.shape), dtype=x.dtype), tensors(tuple(x.shape)), tensors()))
    more = {"threshold_backward": (0,), "hardtanh_backward": (0.0, 6.0), "leaky_relu_backward": (0.1, False)}
    _agree(func, grad, x, *more.get(func.name().removeprefix("aten::"), ()))


@FEW
@given(st.data(), st.sampled_from([aten.div.Scalar, aten.mul.Scalar]))
def test_scaled_gradients(data: st.DataObject, func: Any) -> None:
    _agree(func, data.draw(tensors()), data.draw(st.sampled_from([2, 2.0])))
    channels = data.draw(tensors((2, 3, 1, 1), dtype=torch.float32))
    _agree(func, channels.expand(2, 3, data.draw(st.integers(1, 3)), 4), 12)
    assert CLOSED[func](torch.empty(2, 3, 1, 1, device="meta").expand(2, 3, 4, 4), 16) is not None


@FEW
@given(st.data(), st.booleans())
def test_sums(data: st.DataObject, keep: bool) -> None:
    x = data.draw(tensors(rank=3))
    _agree(aten.sum.default, x)
    one = torch.empty((), device="meta").expand(data.draw(st.integers(1, 3)), 2, 3)
    _agree(aten.sum.dim_IntList, one, data.draw(st.lists(st.integers(-3, 2), max_size=3)), keep)
    _agree(aten.sum.dim_IntList, x, data.draw(st.lists(st.integers(-3, 2), max_size=3)), keep)


MASKS = st.lists(st.booleans(), min_size=3, max_size=3).filter(any)


@FEW
@given(st.data(), MASKS)
def test_gradients_of_convolution(data: st.DataObject, wanted: list[bool]) -> None:
    groups, transposed = data.draw(st.integers(1, 2)), data.draw(st.booleans())
    x = data.draw(tensors((2, 2 * groups, 5, 5), dtype=torch.float32))
    weight = data.draw(tensors((2 * groups, 2, 3, 3), dtype=torch.float32))
    rest = ([2, 1], [1, 0], [1, 1], transposed, [0, 0], groups)
    out = aten.convolution.default(x, weight, None, *rest)
    grad = data.draw(tensors(tuple(out.shape), dtype=torch.float32))
    _agree(aten.convolution_backward.default, grad, x, weight, [out.shape[1]], *rest, wanted)


@FEW
@given(st.data(), MASKS, st.booleans())
def test_gradients_of_batch_norm(data: st.DataObject, wanted: list[bool], affine: bool) -> None:
    x = data.draw(tensors((2, 3, 4, 4), dtype=torch.float32))
    grad = data.draw(tensors((2, 3, 4, 4), dtype=torch.float32))
    c = torch.empty(3, device="meta")
    weight = c if affine else None
    _agree(aten.native_batch_norm_backward.default, grad, x, weight, c, c, c, c, True, 1e-5, wanted)


@FEW
@given(st.data())
def test_gradients_of_pooling(data: st.DataObject) -> None:
    x = data.draw(tensors((2, 3, 4, 4), dtype=torch.float32))
    grad = data.draw(tensors((2, 3, 2, 2), dtype=torch.float32))
    indices = data.draw(tensors((2, 3, 2, 2), dtype=torch.int64))
    _agree(aten.max_pool2d_with_indices_backward.default, grad, x, [2, 2], [2, 2], [0, 0], [1, 1], False, indices)
    _agree(aten._adaptive_avg_pool2d_backward.default, grad, x)


@FEW
@given(st.data(), st.booleans())
def test_prelu_and_slices(data: st.DataObject, alike: bool) -> None:
    x = data.draw(tensors((2, 3, 4)))
    weight = data.draw(tensors((1, 3, 1), dtype=x.dtype if alike else None))
    _agree(aten._prelu_kernel.default, x, weight)
    _agree(aten._prelu_kernel_backward.default, data.draw(tensors((2, 3, 4), dtype=x.dtype)), x, weight)
    _agree(aten.slice_backward.default, data.draw(tensors((2, 1, 4))), [2, 3, 4], 1, 0, 1, 1)


@FEW
@given(st.data(), st.integers(0, 2))
def test_losses(data: st.DataObject, reduction: int) -> None:
    x = data.draw(st.one_of(tensors((3, 4)), tensors((4,))))
    target = torch.empty(x.shape[:-1], dtype=torch.int64, device="meta")
    _agree(aten._log_softmax.default, x, -1, data.draw(st.booleans()))
    grad = data.draw(st.one_of(tensors(tuple(x.shape), dtype=x.dtype), tensors(tuple(x.shape))))
    _agree(aten._log_softmax_backward_data.default, grad, x, -1, x.dtype)
    _agree(aten.nll_loss_forward.default, x, target, None, reduction, -100)
    scalar = torch.empty((3,) if reduction == 0 and x.dim() == 2 else (), dtype=x.dtype, device="meta")
    _agree(
        aten.nll_loss_backward.default,
        scalar,
        x,
        target,
        None,
        reduction,
        -100,
        torch.empty((), dtype=x.dtype, device="meta"),
    )


def test_every_closed_form_is_tested() -> None:
    assert {form.__name__ for form in CLOSED.values()} | {"_grouped_mm"} == {
        "_unary",
        "_binary",
        "_like",
        "_clone",
        "_convolution",
        "_grouped_mm",
        "_addmm",
        "_mm",
        "_bmm",
        "_softmax",
        "_safe_softmax",
        "_layer_norm",
        "_batch_norm",
        "_mean",
        "_sum",
        "_adaptive_avg_pool2d",
        "_max_pool2d",
        "_cat",
        "_activation_backward",
        "_scaled",
        "_pooling_backward",
        "_batch_norm_backward",
        "_convolution_backward",
        "_prelu",
        "_prelu_backward",
        "_slice_backward",
        "_log_softmax",
        "_log_softmax_backward",
        "_nll_loss",
        "_nll_loss_backward",
    }


def test_activations_are_the_outputs_of_what_multiplies() -> None:
    """ResNet-50 makes 11,113,984 outputs by convolutions and 1,000 by its classifier.

    fvcore's ActivationCountAnalysis says the same, 11,114,984. (11,112,512, a figure also met, is no sum of the maps
    of 224-pixel convolutions and the classifier: it is 2,472 less, where the smallest map has 7 x 7 x 512.)
    """
    found = profile("resnet50")
    assert found.activations == 11_113_984 + 1_000
    assert sum(row.activations for row in found.by_type if row.type.startswith("conv")) == 11_113_984


# --- the memory -----------------------------------------------------------------------------------------------------

KNOWING = ShapeMemory()


@pytest.mark.parametrize("name", sorted(zoo.architectures()))
def test_memory_changes_no_profile_of_the_zoo(name: str) -> None:
    from archprof.counting.counts import subject_of

    subject = subject_of(name, shape_memory=KNOWING)
    assert not subject.notes  # built on meta
    forgetful = profile_of(replace(subject, shape_memory=ShapeMemory(remember=False)))
    assert not forgetful.notes  # and counted there
    assert not forgetful.uncounted
    assert sum(row.parameters for row in forgetful.by_type) == forgetful.parameters
    assert sum(row.macs for row in forgetful.by_type) == forgetful.macs
    assert sum(row.parameters for row in forgetful.modules) == forgetful.parameters
    assert profile_of(replace(subject, shape_memory=ShapeMemory())) == forgetful  # remembering within one network
    assert profile_of(replace(subject, shape_memory=KNOWING)) == forgetful  # what other networks left
    assert profile_of(replace(subject, shape_memory=KNOWING)) == forgetful  # everything known


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A small image classifier, and the shape of its input."""
    channels, layers = draw(st.integers(1, 4)), []
    shape = (draw(st.integers(1, 3)), channels, draw(st.integers(6, 9)), draw(st.integers(6, 9)))
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["conv", "depthwise", "residual", "norm", "act", "pool", "last"]))
        if kind == "conv":
            out = draw(st.integers(1, 4))
            layers.append(
                nn.Conv2d(
                    channels,
                    out,
                    3,
                    stride=draw(st.integers(1, 2)),
                    bias=draw(st.booleans()),
                    padding=1,
                    padding_mode=draw(st.sampled_from(["zeros", "circular"])),
                )
            )
            channels = out
        elif kind == "depthwise":
            layers.append(nn.Conv2d(channels, channels, 3, padding=1, groups=channels))
        elif kind == "residual":
            layers.append(Residual(nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))))
        elif kind == "norm":
            layers.append(
                nn.BatchNorm2d(
                    channels,
                    affine=draw(st.booleans()),
                    track_running_stats=draw(st.booleans()),
                    momentum=draw(st.sampled_from([0.1, None])),
                )
            )
        elif kind == "act":
            layers.append(draw(st.sampled_from([nn.ReLU, nn.ReLU6, nn.GELU, nn.Hardswish, nn.Sigmoid]))())
            if draw(st.booleans()) and hasattr(layers[-1], "inplace"):
                layers[-1].inplace = True
        elif kind == "pool":
            layers.append(nn.MaxPool2d(2, stride=1, ceil_mode=draw(st.booleans())))
        else:
            layers.append(nn.Conv2d(channels, channels, 1).to(memory_format=torch.channels_last))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)), shape


@settings(FEW, max_examples=settings.default.max_examples * 2 // 5)
@given(networks(), st.sampled_from(["eval", "train"]))
def test_memory_changes_no_profile_of_random_networks(built: tuple, mode: str) -> None:
    network, shape = built
    x = (torch.zeros(shape),)
    fresh = ShapeMemory()
    forgetful = profile(network, x, mode=mode, shape_memory=ShapeMemory(remember=False))
    for memory in (fresh, fresh, KNOWING):
        assert profile(network, x, mode=mode, shape_memory=memory) == forgetful


def test_a_full_memory_is_emptied_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from archprof.counting import shapes

    monkeypatch.setattr(shapes, "MEMORY_LIMIT", 5)
    memory, network = ShapeMemory(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    first = profile(network, (torch.zeros(1, 3, 8, 8),), shape_memory=memory)
    assert profile(network, (torch.zeros(1, 3, 8, 8),), shape_memory=memory) == first
    assert len(memory) <= 5


def _wrong(name: str) -> nn.Module:
    """A layer with one tensor of a shape that does not fit the others."""
    layer = nn.Conv2d(3, 4, 3) if name == "weight" else nn.BatchNorm2d(3)
    wrong = {"weight": torch.zeros(4, 2, 3, 3), "running_mean": torch.zeros(4), "running_var": torch.zeros(2)}[name]
    setattr(layer, name, nn.Parameter(wrong) if name == "weight" else wrong)
    return nn.Sequential(layer)


@pytest.mark.parametrize("name", ["weight", "running_mean", "running_var"])
def test_what_does_not_fit_is_refused_by_torch(name: str) -> None:
    from archprof.base.errors import ForwardFailed

    with pytest.raises(ForwardFailed, match="layer '0'"):
        profile(_wrong(name), (torch.zeros(1, 3, 8, 8),), shape_memory=ShapeMemory())


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_profile_imports_no_compiler(mode: str) -> None:
    """torch's first Python meta kernel imports half of torch's compiler: half a second, and 200 MB."""
    code = (
        "import sys, archprof\n"
        f"for name in ('resnet50', 'mobilenetv1', 'alexnet', 'vgg16'): archprof.profile(name, mode='{mode}', "
        "batch_size=2)\n"
        "heavy = ['torch._dynamo', 'torch.fx.experimental.symbolic_shapes', 'pandas', 'matplotlib', 'torchinfo',"
        " 'fvcore']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
