"""What holds for every network of the zoo, found through the registry."""

import itertools

import pytest
import torch

import archprof
from archprof import models
from archprof.counting import aggregate
from archprof.counting.trace import trace
from archprof.measure.weights import realistic
from archprof.models import zoo

NAMES = list(zoo.architectures())


@pytest.mark.parametrize("name", NAMES)
def test_one_logit_for_each_class(name):
    found = zoo.find(name)
    for classes in (found.options["num_classes"].default, 7):
        profile = archprof.profile(f"{name}(num_classes={classes})", batch_size=3)
        last = [module for module in profile.modules if module.path == ""]
        assert last[0].outputs == 3 * classes


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_linear_in_the_batch(name):
    one, four = archprof.profile(name), archprof.profile(name, batch_size=4)
    assert (four.macs, four.activations, four.parameters) == (4 * one.macs, 4 * one.activations, one.parameters)
    assert four.by_type == tuple(
        type(row)(row.type, row.parameters, 4 * row.macs, row.calls, row.weights, 4 * row.activations)
        for row in one.by_type
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_real_pass_counts_the_same(name):
    found = models.find(name)
    module = realistic(found.make)
    channels, height, width = found.input_shape
    smaller = max(height // 2, 75) if height > 64 else height  # the smallest that every Inception can take
    x = torch.randn(1, channels, smaller, smaller if width > 64 else width)
    really = trace(module, (x,), memory=None)
    on_meta = archprof.profile(name, input_shape=tuple(x.shape[1:]))
    total = 0
    for call in really.calls:
        facts = aggregate.facts_of(call.op)
        assert facts.macs is not None, call.op.name
        total += facts.macs
    assert total == on_meta.macs
    with torch.no_grad():
        assert torch.isfinite(module.eval()(x)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_costs_about_three_passes(name):
    """Backward is one product for each gradient: of the weights, and of the inputs but the image itself."""
    forward, step = archprof.profile(name, batch_size=2), archprof.profile(name, batch_size=2, mode="train")
    assert step.uncounted == ()
    assert 2.3 * forward.macs < step.macs <= 3 * forward.macs
    assert step.training_activation_bytes > forward.peak_activation_bytes


WITH_ACTIVATION = [name for name in NAMES if "activation" in zoo.find(name).options]


ACTIVATIONS = ["relu", "sigmoid", "leaky_relu", "relu6", "gelu"]


def test_an_activation_changes_no_count():
    assert len(WITH_ACTIVATION) > 40
    for name, activation in zip(WITH_ACTIVATION, itertools.cycle(ACTIVATIONS)):
        usual, other = archprof.profile(name), archprof.profile(f"{name}(activation={activation})")
        assert (other.macs, other.parameters) == (usual.macs, usual.parameters), name


def test_an_activation_that_nobody_knows_is_refused():
    with pytest.raises(archprof.ArchprofError, match="relu"):
        archprof.profile("resnet18(activation=reluu)")


@pytest.mark.parametrize("depth", [20, 32, 56])
def test_plain_and_residual_twins_differ_by_the_skips_alone(depth):
    plain, residual = archprof.profile(f"plain{depth}_cifar"), archprof.profile(f"resnet{depth}_cifar")
    for measure in ("macs", "parameters", "activations"):
        assert getattr(plain, measure) == getattr(residual, measure)
    additions = {row.type: row.calls for row in residual.by_type}["addition"]
    assert additions == (depth - 2) // 2
    assert "addition" not in {row.type for row in plain.by_type}
