"""What is timed: the pass, the training step, and the memory that they take."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archprof.measure import device, memory, weights
from archprof.measure.steps import forward_step, loss_of
from archprof.memory.updates import LEARNING_RATE, optimizer_of
from archprof.results.conditions import Conditions
from archprof.results.optimizers import OPTIMIZERS


def network() -> nn.Module:
    return weights.fill(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    )


def test_a_forward_step_is_the_networks_own_pass():
    module = device.materialise(network(), Conditions())
    (x,) = device.inputs((3, 8, 8), 2, Conditions())
    out = forward_step(module, (x,), Conditions())()
    assert out.is_inference()
    with torch.inference_mode():
        assert torch.equal(out, module(x))


def test_keyword_arguments_reach_forward():
    class Scaled(nn.Module):
        def forward(self, x, *, by):
            return x * by

    assert float(forward_step(Scaled(), (torch.ones(1),), Conditions(), {"by": 3.0})()) == 3.0


@pytest.mark.parametrize(
    ("optimizer", "states"),
    # one tensor of each parameter's size: momentum; two: both moments; ASGD keeps the average
    [("sgd", 1), ("adam", 2), ("adamw", 2), ("adadelta", 2), ("adamax", 2), ("asgd", 1)],
)
def test_a_training_step_updates_every_parameter(optimizer, states):
    conditions = Conditions(mode="train", optimizer=optimizer)
    module = device.materialise(network(), conditions)
    step = forward_step(module, device.inputs((3, 8, 8), 4, conditions), conditions)
    assert step.optimizer_state_bytes == 0
    step()
    assert module.training and all(parameter.grad is not None for parameter in module.parameters())
    count = sum(parameter.numel() for parameter in module.parameters())
    scalars = step.optimizer_state_bytes - 4 * states * count  # step counts, eta and mu: a few bytes each
    assert 0 <= scalars <= 64 * len(list(module.parameters()))


def test_a_training_steps_peak_counts_weights_gradients_and_state_once():
    """A linear layer of 1 M weights dwarfs the rest: weights, gradients and Adam's two moments 4 times it."""
    conditions = Conditions(mode="train", optimizer="adam")
    module = device.materialise(nn.Linear(1024, 1024, bias=False), conditions)
    step = forward_step(module, (torch.randn(2, 1024),), conditions)
    weights_bytes = 4 * 1024 * 1024
    first, later = step.peak_bytes(), step.peak_bytes()
    assert 4 * weights_bytes <= first <= 6.5 * weights_bytes  # and what the update works with
    assert 4 * weights_bytes <= later <= 6.5 * weights_bytes


def test_outside_training_there_is_no_optimizer():
    assert forward_step(nn.Identity(), (torch.ones(1),), Conditions()).optimizer_state_bytes is None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_table_is_torchs(name):
    made = optimizer_of(nn.Linear(2, 2).parameters(), name)
    assert type(made).__name__.lower() == name and made.defaults["lr"] == LEARNING_RATE


def test_a_loss_can_be_taken_of_whatever_networks_return():
    logits = torch.zeros(3, 5)
    assert float(loss_of(logits)) == pytest.approx(torch.log(torch.tensor(5.0)).item())
    assert float(loss_of((logits, logits))) == pytest.approx(2 * float(loss_of(logits)))
    assert float(loss_of({"out": torch.full((1, 2, 2, 2), 3.0), "none": None, "cache": object(), "no": ()})) == 9.0
    assert float(loss_of([(logits[:, None], ()), {"a": (torch.ones(1, 1, 1),)}])) == 1.0
    with pytest.raises(TypeError, match="no loss can be taken of an output of type str"):
        loss_of("text")


def test_the_measured_peak_is_weights_inputs_and_what_the_pass_allocates():
    module = nn.Linear(256, 1024, bias=False)
    x = torch.randn(64, 256)
    step = forward_step(module, (x,), Conditions())
    held, out = 4 * (256 * 1024 + 64 * 256), 4 * 64 * 1024
    assert held + out <= step.peak_bytes() <= held + 2 * out  # the library may pack its operands


def test_a_peak_is_the_highest_point_not_the_sum():
    def step() -> None:
        for _ in range(5):
            torch.empty(1000, dtype=torch.float32)

    assert memory.peak_bytes(step, torch.device("cpu")) == 4000


def test_shared_storage_counts_once():
    base = torch.zeros(10)
    assert memory.bytes_of([base, base[2:], {"again": (base,)}, None]) == 40


def test_reduced_precision_and_channels_last_run():
    conditions = Conditions(dtype="bfloat16", channels_last=True)
    module = device.materialise(network(), conditions)
    assert forward_step(module, device.inputs((3, 8, 8), 2, conditions), conditions)().dtype == torch.bfloat16
