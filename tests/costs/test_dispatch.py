"""What the dispatcher really shows for layers and products, summed and held against hand-derived totals.

Each case runs on the CPU with real tensors and, where torch can, on meta; nothing may be uncounted.
"""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from helpers.dispatched import Recorder, on, recorded, total
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["cpu", "meta"])
def device(request):
    return request.param


# --- convolutions and linear layers ---------------------------------------------------------------

LAYERS = [
    ("conv1d", lambda: nn.Conv1d(3, 8, 5), (2, 3, 10), 2 * 6 * 8 * 3 * 5),
    ("conv2d with bias", lambda: nn.Conv2d(3, 8, 3, padding=1), (2, 3, 6, 6), 2 * 6 * 6 * 8 * 3 * 9),
    ("conv2d, stride 2", lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 6, 6), 3 * 3 * 8 * 3 * 9),
    ("conv2d, dilation 2", lambda: nn.Conv2d(3, 8, 3, dilation=2), (1, 3, 6, 6), 2 * 2 * 8 * 3 * 9),
    ("conv2d, 2 groups", lambda: nn.Conv2d(4, 8, 3, groups=2), (1, 4, 6, 6), 4 * 4 * 8 * 2 * 9),
    ("depthwise", lambda: nn.Conv2d(4, 4, 3, groups=4), (1, 4, 6, 6), 4 * 4 * 4 * 9),
    ("channel multiplier 3", lambda: nn.Conv2d(4, 12, 3, groups=4), (1, 4, 6, 6), 4 * 4 * 12 * 9),
    ("same padding", lambda: nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 6, 6), 6 * 6 * 8 * 3 * 9),
    ("same padding, even kernel", lambda: nn.Conv1d(3, 8, 4, padding="same"), (1, 3, 6), 6 * 8 * 3 * 4),
    ("circular padding", lambda: nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), (1, 3, 6, 6),
     36 * 8 * 27),
    ("reflected padding", lambda: nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), (1, 3, 6, 6),
     36 * 8 * 27),
    ("unbatched", lambda: nn.Conv2d(3, 8, 3), (3, 6, 6), 4 * 4 * 8 * 3 * 9),
    ("conv3d", lambda: nn.Conv3d(2, 3, 2), (1, 2, 4, 5, 6), 3 * 4 * 5 * 3 * 2 * 8),
    ("transposed 1-d", lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), (2, 4, 5), 2 * 5 * 4 * 6 * 3),
    ("transposed 2-d", lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), (1, 4, 5, 5),
     25 * 4 * 6 * 9),
    ("transposed, 2 groups", lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (1, 4, 5, 5), 25 * 4 * 3 * 9),
    ("transposed 3-d, unbatched", lambda: nn.ConvTranspose3d(2, 3, 2), (2, 3, 3, 3), 27 * 2 * 3 * 8),
    ("linear, 1-d", lambda: nn.Linear(4, 5), (4,), 4 * 5),
    ("linear, 2-d", lambda: nn.Linear(4, 5), (3, 4), 3 * 4 * 5),
    ("linear, 3-d", lambda: nn.Linear(4, 5), (2, 3, 4), 2 * 3 * 4 * 5),
    ("linear, 4-d, no bias", lambda: nn.Linear(4, 5, bias=False), (7, 2, 3, 4), 7 * 2 * 3 * 4 * 5),
]  # fmt: skip


@pytest.mark.parametrize(("build", "sizes", "expected"), [row[1:] for row in LAYERS], ids=[row[0] for row in LAYERS])
def test_layer(build, sizes, expected, device):
    layer = build().to(device)
    assert total(lambda: layer(on(device, *sizes))) == expected


TRAINED = [row for row in LAYERS if "linear" not in row[0]]


@pytest.mark.parametrize(("build", "sizes", "expected"), [row[1:] for row in TRAINED], ids=[row[0] for row in TRAINED])
def test_training_a_convolution_costs_three_forward_passes_and_two_where_the_input_needs_no_gradient(
    build, sizes, expected, device
):
    layer = build().to(device)
    x = on(device, *sizes)
    assert total(lambda: layer(x).sum().backward(), grad=True) == 2 * expected
    assert total(lambda: layer(x.clone().requires_grad_()).sum().backward(), grad=True) == 3 * expected
    layer.requires_grad_(False)  # frozen: the gradient passes through
    assert total(lambda: layer(x.clone().requires_grad_()).sum().backward(), grad=True) == 2 * expected


def test_training_a_linear_layer(device):
    layer = nn.Linear(4, 5, device=device)
    x = on(device, 3, 4).requires_grad_()
    assert total(lambda: layer(x).sum().backward(), grad=True) == 3 * (3 * 4 * 5)


def test_checkpointing_runs_the_forward_pass_twice(device):
    from torch.utils.checkpoint import checkpoint

    layers = nn.Sequential(nn.Linear(4, 5), nn.ReLU()).to(device)  # the ReLU's result is what backward waits for
    x = on(device, 3, 4).requires_grad_()
    assert total(lambda: checkpoint(layers, x, use_reentrant=False).sum().backward(), grad=True) == 4 * (3 * 4 * 5)


# --- products, however they are spelled -----------------------------------------------------------

PRODUCTS = [
    ("mm", lambda t: torch.mm(t(3, 4), t(4, 5)), 60),
    ("bmm", lambda t: torch.bmm(t(2, 3, 4), t(2, 4, 5)), 120),
    ("mv", lambda t: torch.mv(t(3, 4), t(4)), 12),
    ("dot", lambda t: torch.dot(t(4), t(4)), 4),
    ("addmm", lambda t: torch.addmm(t(5), t(3, 4), t(4, 5)), 60),
    ("addmv", lambda t: torch.addmv(t(3), t(3, 4), t(4)), 12),
    ("addbmm", lambda t: torch.addbmm(t(3, 5), t(2, 3, 4), t(2, 4, 5)), 120),
    ("baddbmm", lambda t: torch.baddbmm(t(2, 3, 5), t(2, 3, 4), t(2, 4, 5)), 120),
    ("outer, addr: no sums", lambda t: (torch.outer(t(3), t(4)), torch.addr(t(3, 4), t(3), t(4))), 0),
    ("@ of vectors", lambda t: t(4) @ t(4), 4),
    ("vector @ batch", lambda t: t(4) @ t(2, 4, 5), 2 * 4 * 5),
    ("batch @ vector", lambda t: t(2, 3, 4) @ t(4), 2 * 3 * 4),
    ("@, broadcast on the left", lambda t: t(3, 4) @ t(2, 4, 5), 2 * 3 * 4 * 5),
    ("@, broadcast on the right", lambda t: t(2, 3, 4) @ t(4, 5), 2 * 3 * 4 * 5),
    ("@, broadcast on both", lambda t: t(7, 1, 3, 4) @ t(2, 4, 5), 7 * 2 * 3 * 4 * 5),
    ("inner", lambda t: torch.inner(t(2, 4), t(3, 4)), 2 * 3 * 4),
    ("einsum", lambda t: torch.einsum("bij,bkj->bik", t(2, 3, 4), t(2, 5, 4)), 2 * 3 * 5 * 4),
    ("einsum, one side summed first", lambda t: torch.einsum("ijk,k->i", t(3, 4, 5), t(5)), 3 * 5),
    ("tensordot", lambda t: torch.tensordot(t(2, 3, 4), t(4, 3, 5), ([1, 2], [1, 0])), 2 * 5 * 12),
    # (AB)C: 2*3*4 + 2*4*5 = 64; A(BC): 3*4*5 + 2*3*5 = 90; the cheaper one is taken
    ("multi_dot", lambda t: torch.linalg.multi_dot([t(2, 3), t(3, 4), t(4, 5)]), 64),
    ("bilinear", lambda t: F.bilinear(t(7, 3), t(7, 4), t(5, 3, 4), t(5)), 7 * 5 * 3 * 4),
    ("cdist", lambda t: torch.cdist(t(2, 3, 4), t(2, 5, 4)), 2 * 3 * 5 * 4),
    ("cdist, many points", lambda t: torch.cdist(t(30, 4), t(20, 4)), 30 * 20 * 4),
    ("cdist, p=1", lambda t: torch.cdist(t(3, 4), t(5, 4), p=1.0), 0),
    ("functional linear", lambda t: F.linear(t(3, 4), t(5, 4)), 60),
    ("vmap", lambda t: torch.vmap(lambda a, b: a @ b)(t(7, 3, 4), t(7, 4, 5)), 7 * 60),
]  # fmt: skip


@pytest.mark.parametrize(("run", "expected"), [row[1:] for row in PRODUCTS], ids=[row[0] for row in PRODUCTS])
def test_product(run, expected, device):
    assert total(lambda: run(lambda *sizes: on(device, *sizes))) == expected


@pytest.mark.parametrize("equation", ["bij,bkj->bik", "bij,kj->bik", "ij,jk", "...ij,jk->...ik", "bij,bjk,bkl->bil"])
def test_einsum_costs_the_same_whole_and_in_parts(equation):
    """Under inference_mode it arrives whole, under no_grad as what it is made of."""
    sizes = dict(zip("bijkl", (2, 3, 4, 5, 6), strict=True))
    terms = equation.partition("->")[0].split(",")
    operands = [torch.ones([2] * ("..." in term) + [sizes[i] for i in term.replace("...", "")]) for term in terms]
    with torch.backends.opt_einsum.flags(enabled=False):
        in_parts = recorded(lambda: torch.einsum(equation, *operands))
        with torch.inference_mode():
            whole = recorded(lambda: torch.einsum(equation, *operands))
    assert "einsum" in whole.macs and "einsum" not in in_parts.macs
    assert whole.macs.total() == in_parts.macs.total() > 0


@pytest.mark.parametrize("build", [
    lambda: (nn.Linear(4, 5), (2, 3, 4)),
    lambda: (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 5, 5)),
    lambda: (nn.Conv1d(4, 6, 3, padding="same"), (4, 5)),
    lambda: (nn.ConvTranspose2d(4, 6, 3, groups=2), (2, 4, 5, 5)),
    lambda: (nn.LSTM(4, 6, 2, bidirectional=True), (3, 2, 4)),
    lambda: (nn.LSTM(4, 6, proj_size=3), (3, 2, 4)),
    lambda: (nn.GRU(4, 6), (3, 2, 4)),
    lambda: (nn.RNN(4, 6), (3, 4)),
])  # fmt: skip
def test_a_layer_costs_the_same_whole_and_in_parts(build, device):
    layer, sizes = build()
    layer = layer.to(device)
    x = on(device, *sizes)
    in_parts = recorded(lambda: layer(x)).macs
    with torch.inference_mode():
        whole = recorded(lambda: layer(x)).macs
    assert set(whole) != set(in_parts)
    assert whole.total() == in_parts.total() > 0


def test_complex_products(device):
    a, b = on(device, 3, 4, dtype=torch.complex64), on(device, 4, 5, dtype=torch.complex64)
    assert total(lambda: a @ b) == 4 * 60
    assert total(lambda: torch.einsum("ij,jk->ik", a, b)) == 4 * 60
    assert total(lambda: torch.vdot(a[0], b[:, 0])) == 4 * 4


def test_torch_runs_a_complex_convolution_as_three_real_ones(device):
    """(a + bi)(c + di) by Gauss: three products; they arrive as real convolutions and count as such."""
    x, weight = on(device, 1, 2, 5, 5, dtype=torch.complex64), on(device, 3, 2, 3, 3, dtype=torch.complex64)
    assert total(lambda: F.conv2d(x, weight)) == 3 * (3 * 3 * 3 * 2 * 9)


def test_sparse_products_count_the_non_zeros():
    sparse = torch.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [1.0, 2.0, 3.0], (2, 3))
    dense = torch.ones(3, 4)
    for spelled in (
        lambda: sparse @ dense,
        lambda: torch.sparse.mm(sparse, dense),
        lambda: sparse.to_sparse_csr() @ dense,
        lambda: torch.sparse.addmm(torch.ones(2, 4), sparse, dense),
        lambda: torch.addmm(torch.ones(2, 4), sparse, dense),
        lambda: torch.sparse.mm(sparse.to_sparse_csr(), dense, "mean"),
        lambda: F.linear(dense.t(), sparse.to_sparse_csr()),
    ):
        assert total(spelled) == 3 * 4
    assert total(lambda: sparse @ torch.ones(3)) == 3
    assert total(lambda: torch.bmm(torch.stack([sparse, sparse]), torch.ones(2, 3, 4))) == 6 * 4
    sampled = sparse.to_sparse_csr()
    assert total(lambda: torch.sparse.sampled_addmm(sampled, torch.ones(2, 5), torch.ones(5, 3))) == 3 * 5


# --- quantised, oneDNN, other ways to run ---------------------------------------------------------


def test_quantised_layers():
    quantisation = pytest.importorskip("torch.ao.quantization")
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this torch has no quantised kernels")

    def dynamic(module):
        return quantisation.quantize_dynamic(nn.Sequential(module), {type(module)})

    linear, lstm, cell = dynamic(nn.Linear(4, 5)), dynamic(nn.LSTM(4, 5, 2)), dynamic(nn.GRUCell(4, 5))
    assert total(lambda: linear(torch.ones(2, 4))) == 2 * 4 * 5
    assert total(lambda: lstm(torch.ones(3, 2, 4))) == 6 * 20 * (4 + 5 + 5 + 5)
    assert total(lambda: cell(torch.ones(2, 4))) == 2 * 15 * (4 + 5)

    layers = nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Conv2d(6, 2, 1), nn.Flatten(), nn.Linear(18, 3)
    network = nn.Sequential(quantisation.QuantStub(), *layers, quantisation.DeQuantStub()).eval()
    network.qconfig = quantisation.get_default_qconfig("fbgemm")
    prepared = quantisation.prepare(network)
    prepared(torch.ones(1, 4, 5, 5))
    quantised = quantisation.convert(prepared)
    assert total(lambda: quantised(torch.ones(1, 4, 5, 5))) == 9 * 6 * 2 * 9 + 9 * 2 * 6 + 18 * 3


def test_a_onednn_network():
    from torch.utils import mkldnn

    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    network = mkldnn.to_mkldnn(nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Linear(3, 4)).eval())
    x = torch.ones(1, 4, 5, 5).to_mkldnn()
    assert total(lambda: network(x)) == 9 * 6 * 2 * 9 + 18 * 3 * 4


def test_scripted_traced_lazy_and_half_precision_layers_count_alike():
    layer, x = nn.Linear(4, 5), torch.ones(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted, traced = torch.jit.script(layer), torch.jit.trace(layer, x)
    half = nn.Linear(4, 5).bfloat16()
    for module in (scripted, traced, nn.LazyLinear(5)):
        assert total(lambda module=module: module(x)) == 60
    assert total(lambda: half(x.bfloat16())) == 60
    with torch.autocast("cpu", torch.bfloat16):
        assert total(lambda: layer(x)) == 60


def test_layers_on_nested_tensors_count_the_tokens_that_are_there():
    for layout in (torch.strided, torch.jagged):
        x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=layout)
        assert total(lambda x=x: F.linear(x, torch.ones(5, 3))) == (2 + 4) * 3 * 5


# --- free -----------------------------------------------------------------------------------------

FREE = [
    *((layer.__class__.__name__, layer, (2, 4, 8, 8)) for layer in (
        nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.LayerNorm(8),
        nn.LocalResponseNorm(2), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(3), nn.LPPool2d(2, 2), nn.FractionalMaxPool2d(2,
                                                                           output_size=3), nn.ReLU(),
                                                                           nn.ReLU6(),
        nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.PReLU(), nn.ELU(), nn.SELU(), nn.LeakyReLU(),
        nn.GLU(1),
        nn.Softplus(), nn.Tanh(), nn.Sigmoid(), nn.LogSigmoid(), nn.Softmax(1), nn.LogSoftmax(1),
        nn.Dropout(), nn.Dropout2d(),
        nn.AlphaDropout(), nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(2), nn.ZeroPad2d(1),
        nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), nn.CircularPad2d(1), nn.Unfold(3), nn.Flatten(),
        nn.Identity(),
        nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(scale_factor=2, mode="bicubic"), nn.Upsample(size=5, mode="area"))),
    ("RMSNorm", getattr(nn, "RMSNorm", nn.LayerNorm)(8), (2, 4, 8)),
    ("BatchNorm1d", nn.BatchNorm1d(4), (2, 4, 8)),
    ("BatchNorm3d", nn.BatchNorm3d(4), (2, 4, 3, 3, 3)),
    ("MaxPool1d", nn.MaxPool1d(2), (2, 4, 8)),
    ("AvgPool3d", nn.AvgPool3d(2), (2, 4, 4, 4, 4)),
    ("trilinear", nn.Upsample(scale_factor=2, mode="trilinear"), (1, 2, 3, 3, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "sizes"), [row[1:] for row in FREE], ids=[row[0] for row in FREE])
@pytest.mark.parametrize("training", [False, True])
def test_free_layer(layer, sizes, training, device):
    if device == "meta" and isinstance(layer, nn.FractionalMaxPool2d):
        pytest.skip("draws random samples")
    import copy

    layer = copy.deepcopy(layer).train(training).to(device)
    x = on(device, *sizes).requires_grad_(training)

    def run():
        out = layer(x)
        if training:
            out.sum().backward()

    assert total(run, grad=training) == 0


def test_embeddings_losses_and_sampling_are_free(device):
    indices = torch.zeros(2, 3, dtype=torch.long, device=device)
    embedding, bag = nn.Embedding(9, 4).to(device), nn.EmbeddingBag(9, 4).to(device)
    assert total(lambda: embedding(indices).sum().backward(), grad=True) == 0
    assert total(lambda: bag(indices)) == 0
    x, target = on(device, 2, 5).requires_grad_(), torch.zeros(2, dtype=torch.long, device=device)
    assert total(lambda: F.cross_entropy(x, target).backward(), grad=True) == 0
    assert total(lambda: F.mse_loss(x, on(device, 2, 5)).backward(), grad=True) == 0
    image, grid = on(device, 1, 2, 4, 4), on(device, 1, 3, 3, 2)
    assert total(lambda: F.grid_sample(image, grid, align_corners=False)) == 0
    assert total(lambda: F.affine_grid(on(device, 1, 2, 3), [1, 2, 3, 3], align_corners=False)) == 0


def test_an_optimiser_step_is_free():
    layer = nn.Linear(4, 5)
    layer(torch.ones(3, 4)).sum().backward()
    for optimiser in (torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9), torch.optim.AdamW(layer.parameters())):
        assert total(optimiser.step) == 0


def test_what_is_uncounted_is_said():
    with torch.no_grad(), Recorder() as recorder:
        torch.fft.rfft(torch.ones(8))
        torch.linalg.inv(torch.eye(3))
    assert recorder.uncounted == ["_fft_r2c", "linalg_inv_ex"]
