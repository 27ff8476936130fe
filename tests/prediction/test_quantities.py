"""What the time of a pass is made of, by arithmetic that a reader can do."""

from __future__ import annotations

import pytest

from archprof.prediction.quantities import QUANTITIES, kinds_of, quantities
from archprof.results.profile import LayerCost, StaticProfile


def of(*layers: LayerCost, batch_size: int = 1, parameters: int = 0) -> dict[str, float]:
    """The quantities that are not 0."""
    profile = StaticProfile("x", "", (3, 8, 8), batch_size, parameters, 0, 0, 0, 0, 0, 0, 0, None, layers=layers)
    found = quantities(profile)
    assert tuple(found) == QUANTITIES
    return {name: value for name, value in found.items() if value}


def conv(kind: str, cin: int, cout: int, kernel: int, side: int, groups: int = 1, stride: int = 1) -> LayerCost:
    """A convolution without bias from (cin, stride * side, stride * side) to (cout, side, side)."""
    weights = cout * cin // groups * kernel**2
    given, made = (1, cin, side * stride, side * stride), (1, cout, side, side)
    moved = 4 * (weights + cin * (side * stride) ** 2 + cout * side**2)
    return LayerCost(
        "", "aten.convolution", f"{kind} {kernel}x{kernel}", given, made, side**2 * weights, cout * side**2, weights,
        weights, moved, (kernel, kernel), (stride, stride),
    )  # fmt: skip


def test_a_convolution():
    # 3x3 from 16 to 32 channels, 10 x 10: 4,608 weights; 1,600 elements in, 3,200 out
    assert of(conv("conv", 16, 32, 3, 10), parameters=4608) == {
        "macs.convolution": 460_800,
        "moved.convolution": 4_800,
        "bound.convolution": 4_800,  # above 460,800 / 150 = 3,072
        "tiles64.convolution": 460_800 * 64 / 32 * 160 / 144,
        "tiles128.convolution": 460_800 * 128 / 32 * 192 / 144,
        "macs.within_256": 460_800,  # 100 positions
        "weights.convolution": 4_608,
        "calls.convolution": 1,
        "parameters": 4_608,
    }


def test_channels_that_are_no_multiple_of_eight():
    found = of(conv("conv", 3, 32, 3, 20))
    assert found["macs.odd"] == found["macs.convolution"] == 20 * 20 * 32 * 3 * 9
    assert "macs.within_256" not in found


@pytest.mark.parametrize(
    ("kernel", "name"), [(3, "depthwise_3"), (5, "depthwise_5"), (7, "depthwise_7"), (9, "depthwise_7")]
)
def test_a_depthwise_convolution(kernel, name):
    found = of(conv("depthwise conv", 8, 8, kernel, 20, groups=8, stride=2))
    assert found[f"macs.{name}"] == 20 * 20 * 8 * kernel**2
    assert found["moved.depthwise"] == found["moved.depthwise_strided"] == 8 * 40 * 40 + 8 * 20 * 20
    assert kinds_of(dict.fromkeys(QUANTITIES, 0.0) | found, "moved")["depthwise"] == 8 * 40 * 40 + 8 * 20 * 20


def test_a_1x1_convolution_is_pointwise_and_a_grouped_one_grouped():
    assert {name.partition(".")[2] for name in of(conv("conv", 64, 128, 1, 40))} == {"pointwise"}
    assert of(conv("grouped conv", 64, 64, 3, 40, groups=4))["macs.grouped"] == 40 * 40 * 64 * 16 * 9


@pytest.mark.parametrize(
    ("op", "kind", "name"),
    [
        ("aten.relu", "activation", "moved.activation_simple"),
        ("aten.hardtanh", "activation", "moved.activation_simple"),
        ("aten.gelu", "activation", "moved.activation_exponential"),
        ("aten.native_layer_norm", "layer norm", "moved.layer_norm_tokens"),
        ("aten.cat", "concatenation", "moved.concatenation"),
        ("aten.lstm", "recurrent", "moved.other"),
    ],
)
def test_what_multiplies_nothing_is_elements_and_calls(op, kind, name):
    layer = LayerCost("", op, kind, (1, 50, 20), (1, 50, 20), 0, bytes_moved=4 * 2_000)
    found = of(layer, layer)
    assert found.pop(name) == 4_000
    assert found == {
        f"calls.{name.partition('.')[2].rpartition('_')[0] if 'activ' in name or 'tokens' in name else name[6:]}": 2
    }


def test_layer_norm_over_channels_of_a_map_counts_apart():
    layer = LayerCost("", "aten.native_layer_norm", "layer norm", (1, 8, 8, 16), (1, 8, 8, 16), 0, bytes_moved=8_192)
    assert of(layer)["moved.layer_norm_channels"] == 2_048


def attention(softmax: str) -> list[LayerCost]:
    """Four heads of 10 tokens and 16 features: scaled, queries by keys, softmax, by values."""
    heads, tokens, size = 4, 10, 16
    scores, tensor = (heads, tokens, tokens), (heads, tokens, size)
    macs = heads * tokens * tokens * size
    moved = 4 * (2 * heads * tokens * size + heads * tokens * tokens)
    return [
        LayerCost("", "aten.mul", "elementwise", tensor, tensor, 0, bytes_moved=8 * heads * tokens * size),
        LayerCost("", "aten.mul", "elementwise", tensor, tensor, 0, bytes_moved=8 * heads * tokens * size),
        LayerCost("", "aten.bmm", "matrix product", tensor, scores, macs, bytes_moved=moved),
        LayerCost("", softmax, "softmax", scores, scores, 0, bytes_moved=8 * heads * tokens * tokens),
        LayerCost("", "aten.bmm", "matrix product", scores, tensor, macs, bytes_moved=moved),
    ]


def test_scaled_dot_product_attention_is_one_call_that_keeps_its_scores():
    found = of(*attention("aten._safe_softmax"))
    assert found == {
        "macs.attention": 2 * 4 * 10 * 10 * 16,
        "moved.attention": 4 * 4 * 10 * 16,  # queries, keys, values and output
        "bound.attention": 4 * 4 * 10 * 16,
        "calls.attention": 1,
    }


def test_attention_that_a_network_writes_out_is_its_parts():
    found = of(*attention("aten._softmax"))
    assert found["macs.product"] == 2 * 4 * 10 * 10 * 16 and "macs.attention" not in found
    assert (found["calls.product"], found["calls.softmax"], found["calls.elementwise"]) == (2, 1, 2)


def test_a_batch_is_divided_and_calls_are_not():
    one = of(conv("conv", 16, 32, 3, 10), parameters=7)
    two = of(conv("conv", 16, 32, 3, 10), parameters=7, batch_size=2)
    assert two["macs.convolution"] == one["macs.convolution"] / 2
    assert (two["calls.convolution"], two["weights.convolution"], two["parameters"]) == (1, 4_608, 7)
