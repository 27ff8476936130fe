"""Operators that the CPU has and the meta device has not: what they are predicted to take, against the allocator."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import archprof
from archprof.counting import counts
from archprof.measure.scratch import MeasuredScratch
from archprof.measure.steps import forward_step
from archprof.memory.scratch import cpu_scratch
from archprof.results.comparison import ArchitectureResult
from archprof.results.conditions import Conditions
from archprof.runs.prediction import Predictor


class Attends(nn.Module):
    """Attention of 8 heads over 64 features, with so many heads for keys and values."""

    def __init__(self, heads: int = 8, mask: torch.dtype | None = None, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.mask, self.causal = heads, mask, causal
        self.q, self.k, self.v = nn.Linear(64, 64), nn.Linear(64, 8 * heads), nn.Linear(64, 8 * heads)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (one(x).view(batch, length, -1, 8).transpose(1, 2) for one in (self.q, self.k, self.v))
        mask = None if self.mask is None else torch.ones(length, length, device=x.device).tril().to(self.mask)
        y = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=self.causal, enable_gqa=self.heads < 8
        )
        return y.transpose(1, 2).reshape(batch, length, 64)


class First(nn.Module):
    """The output of a recurrent layer, without its state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


def activated(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 512), activation, nn.Linear(512, 512), activation, nn.Linear(512, 16))


TOKENS, SEQUENCE, IMAGE = (96, 64), (20, 16), (8, 20, 20)

NETWORKS = {
    "attention": (lambda: Attends(), TOKENS),
    "attention, causal": (lambda: Attends(causal=True), TOKENS),
    "attention, boolean mask": (lambda: Attends(mask=torch.bool), TOKENS),
    "attention, number mask": (lambda: Attends(mask=torch.float32), TOKENS),
    "attention, two groups": (lambda: Attends(heads=2), TOKENS),
    "attention, one group, mask": (lambda: Attends(heads=1, mask=torch.bool), TOKENS),
    "silu": (lambda: activated(nn.SiLU()), (16,)),
    "mish": (lambda: activated(nn.Mish()), (16,)),
    "permuted linear": (lambda: nn.Sequential(nn.Unflatten(1, (4, 24)), Swapped(), nn.Linear(4, 200)), TOKENS),
    "gru": (lambda: First(nn.GRU(16, 32, batch_first=True)), SEQUENCE),
    "gru, both ways": (lambda: First(nn.GRU(16, 32, 2, batch_first=True, bidirectional=True)), SEQUENCE),
    "rnn": (lambda: First(nn.RNN(16, 32, nonlinearity="relu", bias=False, batch_first=True)), SEQUENCE),
    "lstm, projected": (lambda: First(nn.LSTM(16, 32, proj_size=8, batch_first=True)), SEQUENCE),
    "one dimension": (lambda: nn.Sequential(nn.Conv1d(20, 32, 5, 2), nn.ReLU()), (20, 100)),
    "three dimensions": (lambda: nn.Sequential(nn.Conv3d(8, 16, 3), nn.ReLU()), (8, 8, 8, 8)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.ReLU()), IMAGE),
    "dilated": (lambda: nn.Sequential(nn.Conv2d(8, 16, 3, dilation=2), nn.ReLU()), IMAGE),
    "strided": (lambda: nn.Sequential(nn.Conv2d(8, 16, 4, 3), nn.ReLU()), IMAGE),
    "grouped": (lambda: nn.Sequential(nn.Conv2d(8, 16, 3, groups=2), nn.ReLU()), IMAGE),
}


class Swapped(nn.Module):
    def forward(self, x):
        return x.transpose(1, 3)


def totals(module: nn.Module, shape: tuple[int, ...], batch_size: int, mode: str) -> tuple[int | None, int]:
    """Bytes predicted and measured for a pass or a step in that mode."""
    measured = MeasuredScratch(Conditions())
    subject = counts.subject_of(module, shape)
    predictor = Predictor(subject, cpu_scratch(torch.get_num_threads(), measure=measured), workspace=measured.workspace)
    entry = predictor.at(batch_size)
    row = ArchitectureResult("net", "instance", profile=counts.profile_of(subject), optimizers=predictor.optimizers())
    step = forward_step(module.train(mode == "train"), (torch.randn(batch_size, *shape),), Conditions(mode=mode))
    if mode == "train":
        return None if entry.training_scratch_bytes is None else row.training_bytes(entry, "sgd"), step.peak_bytes()
    return None if entry.scratch_bytes is None else row.inference_bytes(entry), step.peak_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_inference_is_predicted_nearly_to_the_byte(name):
    make, shape = NETWORKS[name]
    predicted, measured = totals(make(), shape, 2, "eval")
    assert predicted == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_is_predicted_nearly_to_the_byte(name):
    make, shape = NETWORKS[name]
    predicted, measured = totals(make(), shape, 2, "train")
    assert predicted == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_an_lstm_s_layers_are_predicted(mode):
    """Its kernel keeps a workspace for the backward pass, and works in its own layout."""
    predicted, measured = totals(First(nn.LSTM(16, 32, 2, batch_first=True)), SEQUENCE, 4, mode)
    assert predicted == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize("name", ["gru", "lstm, projected", "silu", "attention, two groups"])
def test_counts_and_torch_are_as_before(name):
    make, shape = NETWORKS[name]
    module = make()
    functions = (functional.scaled_dot_product_attention, functional.linear, dict(vars(torch._VF)))
    before = archprof.profile(module, input_shape=shape)
    totals(module, shape, 2, "train")
    after = archprof.profile(module.eval(), input_shape=shape)
    assert (after.macs, after.activations, after.by_type, after.layers) == (
        before.macs, before.activations, before.by_type, before.layers,
    )  # fmt: skip
    assert (functional.scaled_dot_product_attention, functional.linear, dict(vars(torch._VF))) == functions
    assert not torch._C._dispatch_has_kernel_for_dispatch_key("aten::mish_backward", "Meta")


def test_what_others_wrote_is_not_run_by_itself():
    ran = []

    @torch.library.custom_op("archprof_tests::counted", mutates_args=())
    def counted(x: torch.Tensor) -> torch.Tensor:
        ran.append(1)
        return x.clone()

    x = torch.ones(2)
    from archprof.counting.shapes import describe

    op = describe(torch.ops.archprof_tests.counted.default, (x,), {}, x)
    assert MeasuredScratch(Conditions())(op) is None and not ran
