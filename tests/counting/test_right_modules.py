"""Modules of every make: shared, wrapped, parametrised, compiled; inputs and outputs of every structure."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.truths import Does, T, count, macs
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from archprof.counting.counts import profile

X = T(3, 5)
LINEAR = 3 * 5 * 7


# --- how a module is called -------------------------------------------------------------------------------------


def test_forward_called_directly() -> None:
    found = count(Does(lambda layer, x: layer.forward(x), nn.Linear(5, 7)), X)
    assert (found.macs, found.parameters) == (LINEAR, 42)


def test_a_subclass_counts_as_what_it_computes() -> None:
    class Twice(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + super().forward(x)

    class Lazybones(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return x

    assert macs(Twice(5, 7), X) == 2 * LINEAR
    assert macs(Lazybones(3, 3, 3), T(1, 3, 8, 8)) == 0


def test_forward_replaced_on_the_instance() -> None:
    layer = nn.Conv2d(3, 3, 3)
    layer.forward = lambda x: x @ x  # type: ignore[method-assign]
    assert macs(nn.Sequential(layer), T(1, 3, 8, 8)) == 3 * 8**3


def test_called_in_a_loop() -> None:
    square = nn.Linear(5, 5)
    found = count(Does(lambda layer, x: layer(layer(layer(x))), square), X)
    assert (found.macs, found.parameters) == (3 * 3 * 25, 30)
    assert [row.parameters for row in found.layers] == [30, 0, 0]  # read for the first time, and again


def test_weights_tied() -> None:
    first, second = nn.Linear(5, 7, bias=False), nn.Linear(5, 7, bias=False)
    second.weight = first.weight
    found = count(Does(lambda a, b, x: a(x) + b(x), first, second), X)
    assert (found.macs, found.parameters) == (2 * LINEAR, 35)


def test_tied_to_an_embedding() -> None:
    embedding, head = nn.Embedding(11, 5), nn.Linear(5, 11, bias=False)
    head.weight = embedding.weight
    found = count(Does(lambda e, h, i: h(e(i)), embedding, head), torch.tensor([[1, 2, 3]]))
    assert (found.macs, found.parameters) == (3 * 5 * 11, 55)


def test_owned_twice() -> None:
    layer = nn.Linear(5, 5)
    found = count(nn.Sequential(layer, nn.ReLU(), layer), X)
    assert (found.macs, found.parameters) == (2 * 3 * 25, 30)
    assert [row.module for row in found.layers] == ["0", "1", "0"]


def test_no_parameters_at_all() -> None:
    found = count(nn.Sequential(nn.ReLU(), nn.Flatten()), X)
    assert (found.macs, found.parameters, found.by_type[0].type) == (0, 0, "activation")
    found = count(nn.Identity(), X)
    assert (found.macs, found.layers, found.peak_at) == (0, (), "")


def test_never_used() -> None:
    found = count(Does(lambda used, unused, x: used(x), nn.Linear(5, 7), nn.Linear(50, 50)), X)
    rows = {row.type: row.parameters for row in found.by_type}
    assert rows == {"fully connected": 42, "not used in this pass": 2550}


# --- inputs and outputs -----------------------------------------------------------------------------------------


@dataclass
class Batch:
    x: Tensor
    scale: float = 1.0


STRUCTURES: dict[str, tuple[Any, tuple, dict]] = {
    "dict in": (lambda layer, d: layer(d["x"]), ({"x": X},), {}),
    "list in": (lambda layer, xs: layer(xs[0]) + layer(xs[1]), ([X, X],), {}),
    "tuple in": (lambda layer, xs: layer(xs[0]) + layer(xs[1]), ((X, X),), {}),
    "nested in": (lambda layer, d: layer(d["a"][0]["b"]), ({"a": [{"b": X}]},), {}),
    "dataclass in": (lambda layer, b: layer(b.x) * b.scale, (Batch(X),), {}),
    "None in": (lambda layer, x, mask: layer(x) if mask is None else x, (X, None), {}),
    "int in": (lambda layer, x, times: [layer(x) for _ in range(times)][-1], (X, 2), {}),
    "str in": (lambda layer, x, how: layer(x) if how == "go" else x, (X, "go"), {}),
    "keyword only": (lambda layer, *, x: layer(x), (), {"x": X}),
    "absent": (lambda layer: layer(torch.ones(3, 5)), (), {}),
    "dict out": (lambda layer, x: {"logits": layer(x), "none": None}, (X,), {}),
    "list out": (lambda layer, x: [layer(x), layer(x)], (X,), {}),
    "dataclass out": (lambda layer, x: Batch(layer(x)), (X,), {}),
    "None out": (lambda layer, x: print(end="") if layer(x) is None else None, (X,), {}),
    "int out": (lambda layer, x: layer(x).shape[0], (X,), {}),
}
CALLS = {"list in": 2, "tuple in": 2, "int in": 2, "list out": 2}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str) -> None:
    forward, args, kwargs = STRUCTURES[name]
    found = count(Does(forward, nn.Linear(5, 7)), *args, **kwargs)
    assert found.macs == CALLS.get(name, 1) * LINEAR
    assert not found.notes


# --- dressed-up modules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dress",
    [
        nn.utils.parametrizations.weight_norm,
        pytest.param(lambda layer: nn.utils.weight_norm(layer), id="old weight_norm"),
        pytest.param(lambda layer: prune.l1_unstructured(layer, "weight", amount=0.5), id="pruned"),
    ],
)
def test_dressed_weights(dress: Any) -> None:
    """A mask or a norm multiplies elements, and adds nothing up: the layer costs what it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = dress(nn.Linear(5, 7))
    found = count(layer, X)
    assert found.macs == LINEAR
    rows = {row.type: row for row in found.by_type}
    assert rows["fully connected"].parameters == found.parameters  # the mask's or norm's own row has none of them
    assert rows["fully connected"].weights >= 35


def test_spectral_norm_counts_its_own_products() -> None:
    """In eval mode sigma is u @ (W @ v): 7 * 5 + 7, the power iteration belongs to training."""
    assert macs(parametrizations.spectral_norm(nn.Linear(5, 7)), X) == LINEAR + 7 * 5 + 7


def test_low_rank_update() -> None:
    def adapted(layer: nn.Linear, down: nn.Linear, up: nn.Linear, x: Tensor) -> Tensor:
        return F.linear(x, layer.weight + up.weight @ down.weight, layer.bias)

    network = Does(adapted, nn.Linear(5, 7), nn.Linear(5, 2, bias=False), nn.Linear(2, 7, bias=False))
    found = count(network, X)
    assert found.macs == LINEAR + 7 * 2 * 5
    assert {row.type: row.parameters for row in found.by_type if row.parameters} == {"fully connected": 42 + 10 + 14}


def test_lazy_modules() -> None:
    network = nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(7))
    found = count(network, T(1, 3, 6, 6))
    assert found.macs == 16 * 8 * 27 + 16 * 8 * 7
    assert found.parameters == 8 * 27 + 8 + 16 + 16 * 8 * 7 + 7
    assert isinstance(network[0], nn.LazyConv2d) and network[0].has_uninitialized_params()


def test_quantised() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(5, 7)), {nn.Linear})
    assert macs(network, X) == LINEAR


def test_scripted_and_traced() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 7)).eval()
        truth = 16 * 8 * 27 + 128 * 7
        assert macs(torch.jit.script(network), T(1, 3, 6, 6)) == truth
        assert macs(torch.jit.trace(network, torch.rand(1, 3, 6, 6)), T(1, 3, 6, 6)) == truth
        inner = nn.Sequential(torch.jit.script(network), nn.Linear(7, 2))
        assert macs(inner, T(1, 3, 6, 6)) == truth + 14


def test_exported_and_symbolically_traced() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    assert macs(torch.fx.symbolic_trace(network), X) == LINEAR


def test_compiled() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    found = count(torch.compile(network), X)
    assert (found.macs, found.name) == (LINEAR, "Sequential")
    network[0].compile()
    assert macs(network, X) == LINEAR
    assert macs(nn.Sequential(torch.compile(nn.Linear(5, 7)), nn.ReLU()), X) == LINEAR


def test_data_parallel() -> None:
    assert macs(nn.DataParallel(nn.Linear(5, 7)), X) == LINEAR


def test_checkpointed() -> None:
    """Training computes a checkpointed part again; nothing is computed twice in eval mode."""
    inner = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2))
    x, truth = X.clone().requires_grad_(), LINEAR + 3 * 7 * 2
    again = Does(lambda layer, x: checkpoint(layer, x, use_reentrant=True), inner)
    assert macs(again, x) == truth
    assert macs(again, x, mode="train") == 4 * truth
    # the newer kind stops as soon as it has what backward wants: nobody wants the last product
    sparing = Does(lambda layer, x: checkpoint(layer, x, use_reentrant=False), inner)
    assert macs(sparing, x) == truth
    assert macs(sparing, x, mode="train") == 3 * truth + LINEAR


def test_custom_autograd_function() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(x, w)
            return x @ w.t()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple:
            x, w = ctx.saved_tensors
            return grad @ w, grad.t() @ x

    network = Does(lambda layer, x: Product.apply(x, layer.weight), nn.Linear(5, 7, bias=False))
    assert macs(network, X) == LINEAR
    assert macs(network, X, mode="train") == 3 * LINEAR


def test_a_custom_operator_is_said_to_be_uncounted() -> None:
    @torch.library.custom_op("archprof_modules::fused", mutates_args=())
    def fused(x: Tensor, w: Tensor) -> Tensor:
        return torch.relu(x @ w.t())

    @fused.register_fake
    def _(x: Tensor, w: Tensor) -> Tensor:
        return x.new_empty(x.shape[0], w.shape[0])

    network = Does(lambda layer, x: layer(fused(x, T(5, 5))), nn.Linear(5, 7))
    found = profile(network, (X,))
    assert found.macs == LINEAR
    assert [(row.op, row.calls) for row in found.uncounted] == [("archprof_modules.fused", 1)]


# --- transforms and modes inside forward --------------------------------------------------------------------------


def test_vmap() -> None:
    network = Does(lambda layer, x: torch.vmap(layer)(x), nn.Linear(5, 7))
    assert macs(network, T(4, 3, 5)) == 4 * LINEAR
    assert macs(Does(lambda layer, x: torch.vmap(layer)(x), nn.Conv2d(3, 8, 3)), T(4, 2, 3, 6, 6)) == 8 * 16 * 8 * 27


def test_functional_call() -> None:
    layer = nn.Linear(5, 7)
    given = {name: tensor.detach() for name, tensor in layer.named_parameters()}
    assert macs(lambda x: torch.func.functional_call(layer, given, (x,)), X) == LINEAR
    assert (
        macs(
            Does(
                lambda layer, x: torch.func.functional_call(layer, dict(layer.named_parameters()), (x,)),
                nn.Linear(5, 7),
            ),
            X,
        )
        == LINEAR
    )


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_modes_inside_forward(mode: Any) -> None:
    def forward(conv: nn.Module, linear: nn.Module, x: Tensor) -> Tensor:
        with mode():
            return linear(conv(x).flatten(1))

    assert macs(Does(forward, nn.Conv2d(3, 8, 3), nn.Linear(128, 7)), T(2, 3, 6, 6)) == 2 * (16 * 8 * 27 + 128 * 7)


def test_modes_around_the_profile() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(128, 7))
    truth = 16 * 8 * 27 + 128 * 7
    with torch.inference_mode():
        assert macs(network, T(1, 3, 6, 6)) == truth
    with torch.no_grad():
        assert macs(network, T(1, 3, 6, 6), mode="train") == 3 * truth - 16 * 8 * 27


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_autocast_inside_forward(device: str) -> None:
    def forward(conv: nn.Module, linear: nn.Module, x: Tensor) -> Tensor:
        with warnings.catch_warnings(), torch.autocast(device, dtype=torch.bfloat16):
            return linear(conv(x).flatten(1)) @ torch.ones(7, 2)

    found = count(Does(forward, nn.Conv2d(3, 8, 3), nn.Linear(128, 7)), T(1, 3, 6, 6))
    assert found.macs == 16 * 8 * 27 + 128 * 7 + 7 * 2
    assert {row.type: row.parameters for row in found.by_type if row.parameters} == {
        "conv 3x3": 224,
        "fully connected": 903,
    }


def test_on_meta() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 7))
    for x in (T(1, 3, 6, 6), T(1, 3, 6, 6, device="meta")):
        found = count(network, x)
        assert found.macs == 16 * 8 * 27 + 128 * 7
        assert not found.notes


def test_bfloat16_halves_the_bytes() -> None:
    wide = count(nn.Sequential(nn.Linear(5, 7), nn.ReLU()), X)
    narrow = count(nn.Sequential(nn.Linear(5, 7), nn.ReLU()).bfloat16(), X.bfloat16())
    assert wide.macs == narrow.macs == LINEAR
    assert wide.parameter_bytes == 2 * narrow.parameter_bytes
    assert wide.peak_activation_bytes == 2 * narrow.peak_activation_bytes


# --- networks that look at values -----------------------------------------------------------------------------------


def test_a_branch_on_data_is_counted_in_a_real_pass() -> None:
    def forward(layer: nn.Linear, x: Tensor) -> Tensor:
        return layer(x) if x.sum() <= 1e9 else layer(layer(x))

    found = count(Does(forward, nn.Linear(5, 5)), X)
    assert found.macs == 3 * 5 * 5
    assert "real pass" in found.notes[0]


def test_mixture_of_experts() -> None:
    """Every token goes to one expert, whichever it is: 3 tokens, and the router's products."""

    def forward(router: nn.Linear, *rest: Any) -> Tensor:
        *experts, x = rest
        chosen = router(x).argmax(-1)
        out = torch.zeros(x.shape[0], 7)
        for number, expert in enumerate(experts):
            rows = (chosen == number).nonzero()[:, 0]
            out[rows] = expert(x[rows])
        return out

    found = count(Does(forward, nn.Linear(5, 4), *(nn.Linear(5, 7) for _ in range(4))), X)
    assert found.macs == 3 * 5 * 4 + LINEAR
    assert "real pass" in found.notes[0]


def test_values_of_small_constants_are_known() -> None:
    """Stochastic-depth rates, window indices: what depends on no input may be looked at."""

    def forward(layer: nn.Linear, x: Tensor) -> Tensor:
        for _ in range(int(torch.linspace(1, 3, 3).sum().item())):
            x = layer(x)
        return x

    found = count(Does(forward, nn.Linear(5, 5)), X)
    assert (found.macs, found.notes) == (6 * 3 * 25, ())


def test_indices_keep_their_values() -> None:
    """Token counts and masks are whole numbers: a network may look at them without a real pass."""

    def forward(layer: nn.Embedding, tokens: Tensor) -> Tensor:
        assert tokens.max() < 10
        return layer(tokens) @ layer.weight.t()

    found = count(Does(forward, nn.Embedding(10, 5)), torch.tensor([[1, 2, 3]]))
    assert (found.macs, found.notes) == (3 * 5 * 10, ())


def test_a_deep_copy_counts_the_same() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(128, 7))
    assert count(network, T(1, 3, 6, 6)) == count(copy.deepcopy(network), T(1, 3, 6, 6))
