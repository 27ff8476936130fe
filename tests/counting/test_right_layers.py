"""Convolutions, linear layers and products of every spelling, against products written out by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from helpers.truths import Does, T, count, macs
from torch import nn

# input and output shapes, kernel and channels are spelled out: position by position, channel by channel
CONVOLUTIONS = {
    "1-d": (nn.Conv1d(4, 6, 3), T(2, 4, 10), 2 * 8 * 6 * 4 * 3),
    "2-d": (nn.Conv2d(3, 8, 3), T(1, 3, 10, 12), 8 * 10 * 8 * 3 * 9),
    "3-d": (nn.Conv3d(2, 4, (1, 2, 3)), T(1, 2, 5, 5, 5), 5 * 4 * 3 * 4 * 2 * 6),
    "without bias": (nn.Conv2d(3, 8, 3, bias=False), T(1, 3, 10, 12), 8 * 10 * 8 * 3 * 9),
    "stride": (nn.Conv2d(3, 8, 3, stride=2, padding=1), T(1, 3, 9, 9), 5 * 5 * 8 * 3 * 9),
    "dilation": (nn.Conv2d(3, 8, 3, dilation=2), T(1, 3, 9, 9), 5 * 5 * 8 * 3 * 9),
    "grouped": (nn.Conv2d(8, 12, 3, groups=4), T(1, 8, 6, 6), 4 * 4 * 12 * 2 * 9),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8, padding=1), T(2, 8, 6, 6), 2 * 6 * 6 * 8 * 9),
    "channel multiplier": (nn.Conv2d(4, 12, 3, groups=4, padding=1), T(1, 4, 6, 6), 6 * 6 * 12 * 9),
    "same padding": (nn.Conv2d(3, 8, 4, padding="same"), T(1, 3, 7, 7), 7 * 7 * 8 * 3 * 16),
    "valid padding": (nn.Conv2d(3, 8, 4, padding="valid"), T(1, 3, 7, 7), 4 * 4 * 8 * 3 * 16),
    "circular padding": (nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), T(1, 3, 7, 7), 7 * 7 * 8 * 3 * 9),
    "reflected padding": (nn.Conv1d(3, 8, 3, padding=1, padding_mode="reflect"), T(1, 3, 7), 7 * 8 * 3 * 3),
    "unbatched": (nn.Conv2d(3, 8, 3), T(3, 10, 12), 8 * 10 * 8 * 3 * 9),
    "unbatched 1-d": (nn.Conv1d(3, 8, 3), T(3, 10), 8 * 8 * 3 * 3),
    "channels last": (nn.Conv2d(3, 8, 3), T(1, 3, 10, 12).to(memory_format=torch.channels_last), 8 * 10 * 8 * 3 * 9),
    # every input element meets each output channel of its group and each weight of the kernel once
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2), T(1, 6, 5, 5), 5 * 5 * 6 * 4 * 9),
    "transposed, grouped": (nn.ConvTranspose2d(6, 4, 3, groups=2), T(1, 6, 5, 5), 5 * 5 * 6 * 2 * 9),
    "transposed 1-d, unbatched": (nn.ConvTranspose1d(6, 4, 3), T(6, 5), 5 * 6 * 4 * 3),
    "transposed 3-d": (nn.ConvTranspose3d(2, 4, 2), T(1, 2, 3, 3, 3), 27 * 2 * 4 * 8),
    "complex": (nn.Conv2d(3, 8, 3).to(torch.complex64), T(1, 3, 6, 6, dtype=torch.complex64), 4 * 16 * 8 * 3 * 9),
    "bfloat16": (nn.Conv2d(3, 8, 3).bfloat16(), T(1, 3, 6, 6, dtype=torch.bfloat16), 16 * 8 * 3 * 9),
    "empty batch": (nn.Conv2d(3, 8, 3), T(0, 3, 6, 6), 0),
    "functional": (lambda x: F.conv2d(x, T(8, 3, 3, 3)), T(1, 3, 6, 6), 16 * 8 * 3 * 9),
    "functional, transposed": (lambda x: F.conv_transpose2d(x, T(3, 8, 3, 3)), T(1, 3, 6, 6), 36 * 3 * 8 * 9),
}

LINEAR = {
    "1-d": (nn.Linear(5, 7), T(5), 5 * 7),
    "2-d": (nn.Linear(5, 7), T(3, 5), 3 * 5 * 7),
    "3-d": (nn.Linear(5, 7), T(2, 3, 5), 2 * 3 * 5 * 7),
    "4-d": (nn.Linear(5, 7), T(2, 3, 4, 5), 2 * 3 * 4 * 5 * 7),
    "1-d without bias": (nn.Linear(5, 7, bias=False), T(5), 5 * 7),
    "3-d without bias": (nn.Linear(5, 7, bias=False), T(2, 3, 5), 2 * 3 * 5 * 7),
    "4-d, not contiguous": (nn.Linear(5, 7), T(2, 5, 3, 4).permute(0, 2, 3, 1), 2 * 3 * 4 * 5 * 7),
    "functional": (lambda x: F.linear(x, T(7, 5)), T(3, 5), 3 * 5 * 7),
    # one product of three for each pair of features that it weighs
    "bilinear": (nn.Bilinear(3, 4, 5), (T(2, 3), T(2, 4)), 2 * 5 * 3 * 4),
    "bfloat16": (nn.Linear(5, 7).bfloat16(), T(3, 5, dtype=torch.bfloat16), 3 * 5 * 7),
    "half": (nn.Linear(5, 7).half(), T(3, 5, dtype=torch.half), 3 * 5 * 7),
    "double": (nn.Linear(5, 7).double(), T(3, 5, dtype=torch.double), 3 * 5 * 7),
    "no rows": (nn.Linear(5, 7), T(0, 5), 0),
}

A, B, V = T(3, 4), T(4, 5), T(4)
C = torch.complex64

PRODUCTS = {
    "mm": (torch.mm, (A, B), 3 * 4 * 5),
    "@": (lambda a, b: a @ b, (A, B), 3 * 4 * 5),
    "bmm": (torch.bmm, (T(2, 3, 4), T(2, 4, 5)), 2 * 3 * 4 * 5),
    "mv": (torch.mv, (A, V), 3 * 4),
    "dot": (torch.dot, (V, V), 4),
    "inner": (torch.inner, (A, A), 3 * 3 * 4),
    "vdot": (torch.vdot, (V, V), 4),
    "addmm": (torch.addmm, (T(5), A, B), 3 * 4 * 5),
    "addmv": (torch.addmv, (T(3), A, V), 3 * 4),
    "baddbmm": (torch.baddbmm, (T(2, 3, 5), T(2, 3, 4), T(2, 4, 5)), 2 * 3 * 4 * 5),
    "addbmm": (torch.addbmm, (T(3, 5), T(2, 3, 4), T(2, 4, 5)), 2 * 3 * 4 * 5),
    "matmul, left broadcast": (torch.matmul, (A, T(6, 4, 5)), 6 * 3 * 4 * 5),
    "matmul, right broadcast": (torch.matmul, (T(6, 3, 4), B), 6 * 3 * 4 * 5),
    "matmul, both broadcast": (torch.matmul, (T(2, 1, 3, 4), T(6, 4, 5)), 2 * 6 * 3 * 4 * 5),
    "matmul, vector left": (torch.matmul, (V, T(6, 4, 5)), 6 * 4 * 5),
    "matmul, vector right": (torch.matmul, (T(6, 3, 4), V), 6 * 3 * 4),
    "matmul, vectors": (torch.matmul, (V, V), 4),
    "einsum, matrices": (lambda a, b: torch.einsum("ij,jk->ik", a, b), (A, B), 3 * 4 * 5),
    "einsum, attention": (
        lambda q, k: torch.einsum("bhld,bhsd->bhls", q, k),
        (T(2, 3, 5, 4), T(2, 3, 6, 4)),
        2 * 3 * 5 * 6 * 4,
    ),
    "einsum, transposed copy": (lambda a: torch.einsum("ij->ji", a), (A,), 0),
    "einsum, ellipsis": (lambda a, b: torch.einsum("...ij,jk", a, b), (T(2, 3, 4), B), 2 * 3 * 4 * 5),
    "tensordot": (lambda a, b: torch.tensordot(a, b, dims=([1, 2], [0, 1])), (T(2, 3, 4), T(3, 4, 5)), 2 * 12 * 5),
    # (2x3)(3x10) then (2x10)(10x1), or (3x10)(10x1) then (2x3)(3x1): torch takes the cheaper
    "multi_dot": (lambda *m: torch.linalg.multi_dot(m), (T(2, 3), T(3, 10), T(10, 1)), 3 * 10 + 2 * 3),
    "chain_matmul as products": (lambda a, b, c: a @ b @ c, (T(2, 3), T(3, 10), T(10, 1)), 2 * 3 * 10 + 2 * 10),
    "matrix_power": (lambda a: torch.matrix_power(a, 3), (T(4, 4),), 2 * 4**3),
    "in place": (lambda o, a, b: o.addmm_(a, b), (T(3, 5), A, B), 3 * 4 * 5),
    "complex mm": (torch.mm, (T(3, 4, dtype=C), T(4, 5, dtype=C)), 4 * 3 * 4 * 5),
    "complex @, conjugated": (lambda a, b: a @ b.conj().T, (T(3, 4, dtype=C), T(5, 4, dtype=C)), 4 * 3 * 4 * 5),
    "complex einsum": (
        lambda a, b: torch.einsum("ij,jk->ik", a, b),
        (T(3, 4, dtype=C), T(4, 5, dtype=C)),
        4 * 3 * 4 * 5,
    ),
    "elementwise product": (lambda a: a * a + a / 2, (A,), 0),
    "outer product": (torch.outer, (V, V), 0),
    "integers": (torch.mm, (T(3, 4, dtype=torch.int64), T(4, 5, dtype=torch.int64)), 3 * 4 * 5),
}


def _ones(nonzeros: int) -> torch.Tensor:
    matrix = torch.zeros(3, 4)
    matrix.view(-1)[:nonzeros] = 1
    return matrix


KEPT = _ones(7).to_sparse()

SPARSE = {
    "COO times dense": (torch.sparse.mm, (_ones(7).to_sparse(), B), 7 * 5),
    "COO @ dense": (lambda a, b: a @ b, (_ones(7).to_sparse(), B), 7 * 5),
    "COO times vector": (lambda a, v: a @ v, (_ones(7).to_sparse(), V), 7),
    "CSR times dense": (lambda a, b: a @ b, (_ones(5).to_sparse_csr(), B), 5 * 5),
    "made inside": (lambda a, b: a.to_sparse() @ b, (_ones(5), B), 5 * 5),
    "kept by the network": (lambda b: torch.sparse.mm(KEPT, b), (B,), 7 * 5),
}

FREE = {
    "batch norm": (nn.BatchNorm2d(3), T(2, 3, 4, 4)),
    "layer norm": (nn.LayerNorm(4), T(2, 3, 4)),
    "group norm": (nn.GroupNorm(2, 4), T(2, 4, 4, 4)),
    "instance norm": (nn.InstanceNorm2d(3), T(2, 3, 4, 4)),
    "RMS norm": (nn.RMSNorm(4), T(2, 3, 4)),
    "local response norm": (nn.LocalResponseNorm(2), T(2, 3, 4, 4)),
    "max pooling": (nn.MaxPool2d(2), T(2, 3, 4, 4)),
    "average pooling": (nn.AvgPool2d(2), T(2, 3, 4, 4)),
    "adaptive pooling": (nn.AdaptiveAvgPool2d(2), T(2, 3, 5, 5)),
    "fractional pooling": (nn.FractionalMaxPool2d(2, output_size=2), T(2, 3, 5, 5)),
    "power pooling": (nn.LPPool2d(2, 2), T(2, 3, 4, 4)),
    "gelu": (nn.GELU(), T(4)),
    "softmax": (nn.Softmax(-1), T(4)),
    "PReLU": (nn.PReLU(), T(4)),
    "hardswish": (nn.Hardswish(), T(4)),
    "mish": (nn.Mish(), T(4)),
    "GLU": (nn.GLU(), T(4)),
    "interpolation": (nn.Upsample(scale_factor=2, mode="bilinear"), T(1, 3, 4, 4)),
    "pixel shuffle": (nn.PixelShuffle(2), T(1, 4, 4, 4)),
    "unfold": (nn.Unfold(2), T(1, 4, 4, 4)),
    "embedding": (nn.Embedding(10, 4), torch.tensor([1, 2])),
    "bag of embeddings": (nn.EmbeddingBag(10, 4), torch.tensor([[1, 2]])),
    "grid sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), (T(1, 3, 4, 4), T(1, 2, 2, 2))),
    "dropout": (nn.Dropout(), T(4)),
    "identity": (nn.Identity(), T(4)),
}


def _tuple(inputs: object) -> tuple:
    return inputs if isinstance(inputs, tuple) else (inputs,)


@pytest.mark.parametrize(
    ("network", "inputs", "truth"),
    [
        pytest.param(*row, id=f"{table}: {name}")
        for table, rows in [("conv", CONVOLUTIONS), ("linear", LINEAR), ("product", PRODUCTS), ("sparse", SPARSE)]
        for name, row in rows.items()
    ],
)
def test_products_are_counted(network: nn.Module, inputs: object, truth: int) -> None:
    assert macs(network, *_tuple(inputs)) == truth


@pytest.mark.parametrize(("network", "inputs"), [pytest.param(*row, id=name) for name, row in FREE.items()])
def test_what_multiplies_nothing_is_free(network: nn.Module, inputs: object) -> None:
    assert macs(network, *_tuple(inputs)) == 0


DEFORMABLE = """
import torch
from torch import nn

import archprof

library = torch.library.Library("torchvision", "FRAGMENT")
library.define("deform_conv2d(Tensor x, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int sh, int sw, int ph,"
               " int pw, int dh, int dw, int groups, int offset_groups, bool use_mask) -> Tensor")
library.impl("deform_conv2d", lambda x, weight, *_: x.new_empty(x.shape[0], weight.shape[0], 4, 4), "Meta")


class Net(nn.Conv2d):
    def forward(self, x, offset):
        return torch.ops.torchvision.deform_conv2d(
            x, self.weight, offset, x.new_ones(1, 9, 4, 4), self.bias, 1, 1, 0, 0, 1, 1, 2, 1, True)


print(archprof.profile(Net(4, 8, 3, groups=2), (torch.ones(1, 4, 6, 6), torch.ones(1, 18, 4, 4))).macs)
"""


def test_deformable_convolution() -> None:
    """The products of a plain convolution; sampling at offsets is interpolation.

    In a process of its own, where torchvision's operator can be declared as it is without torchvision.
    """
    done = subprocess.run([sys.executable, "-c", DEFORMABLE], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 4 * 4 * 8 * 2 * 9


def test_frozen_layers_count_the_same() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1)).requires_grad_(False)
    frozen = count(network, T(1, 3, 6, 6))
    learned = count(network.requires_grad_(True), T(1, 3, 6, 6))
    assert frozen.macs == learned.macs == 16 * 8 * 27 + 16 * 4 * 8
    assert (frozen.trainable_parameters, learned.trainable_parameters) == (0, frozen.parameters)
    assert frozen.layers == learned.layers


def test_a_weight_read_as_a_view_or_cast_belongs_to_its_layer() -> None:
    """Linear layers read `weight.t()`, autocast reads a cast copy: both are the layer's own weight."""
    layer = nn.Linear(5, 7)

    def cast(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x)

    for network in (
        layer,
        Does(cast, layer),
        Does(lambda layer, x: x @ layer.weight.t() + layer.bias, layer),
        Does(lambda layer, x: F.linear(x.double(), layer.weight.double(), layer.bias.double()), layer),
    ):
        rows = {row.type: row for row in count(network, T(3, 5)).by_type}
        assert rows["fully connected"].macs == 3 * 5 * 7
        assert rows["fully connected"].weights == 5 * 7
        assert "matrix product" not in rows
