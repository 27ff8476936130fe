"""Predicted memory against what torch's allocator really held: exact where the allocator's record is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archprof
from archprof.base import kept
from archprof.counting import counts, lifetimes
from archprof.counting.recording import Owned, walk
from archprof.counting.shapes import Shape, describe
from archprof.counting.trace import trace
from archprof.measure import device
from archprof.measure.memory import bytes_of, peak_bytes
from archprof.measure.scratch import MeasuredScratch
from archprof.measure.steps import forward_step, loss_of
from archprof.memory.attention import fused_attention
from archprof.memory.scratch import cpu_scratch
from archprof.memory.updates import optimizer_of, update_memory
from archprof.results.comparison import ArchitectureResult
from archprof.results.conditions import Conditions
from archprof.results.optimizers import OPTIMIZERS, optimizer_memory
from archprof.runs.fits import Needs
from archprof.runs.prediction import Predictor

CPU = torch.device("cpu")


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.heads = nn.LayerNorm(64), nn.MultiheadAttention(64, 4, batch_first=True)
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        x = x + self.heads(self.norm(x), self.norm(x), self.norm(x), need_weights=False)[0]
        return self.out(x.mean(1))


NETWORKS = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 300), nn.GELU(), nn.Linear(300, 10)),
        (100,),
    ),
    "in place": (lambda: nn.Sequential(nn.Linear(100, 200), nn.ReLU(inplace=True), nn.Linear(200, 10)), (100,)),
    "pooled": (
        lambda: nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(192, 10)),
        (3, 32, 32),
    ),
    "attention": (Attends, (12, 64)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_inference_is_predicted_to_the_byte(name):
    make, shape = NETWORKS[name]
    module = make().eval()
    entry = Predictor(counts.subject_of(module, shape), scratch=cpu_scratch(torch.get_num_threads())).at(4)
    step = forward_step(module, (torch.randn(4, *shape),), Conditions())
    held = bytes_of([list(module.parameters()), list(module.buffers())])
    assert step.peak_bytes() - held == entry.peak_activation_bytes + entry.scratch_bytes


@pytest.mark.parametrize("name", ["mlp", "pooled", "attention"])
def test_a_training_step_is_predicted_nearly_to_the_byte(name):
    """All but the few bytes of the loss, and what the gradients' sums take for themselves."""
    make, shape = NETWORKS[name]
    module = make()
    predictor = Predictor(counts.subject_of(module, shape))
    row = ArchitectureResult(
        name, "instance", profile=archprof.profile(module, input_shape=shape), optimizers=predictor.optimizers()
    )
    for optimizer in ("sgd", "adam"):
        step = forward_step(module, (torch.randn(4, *shape),), Conditions(mode="train", optimizer=optimizer))
        whole = row.training_bytes(predictor.at(4), optimizer)
        assert step.peak_bytes() == pytest.approx(whole, rel=0.01), optimizer


@pytest.mark.parametrize("name", [*NETWORKS, "resnet_tiny", "plain_tiny"])
@pytest.mark.parametrize("training", [False, True])
def test_the_meta_pass_has_the_storages_of_a_real_one(name, training):
    make, shape = NETWORKS.get(name) or (lambda: archprof.load(name), archprof.profile(name).input_shape)
    module = make()
    backward = loss_of if training else None
    x = torch.randn(2, *shape)
    really = trace(module, (x,), memory=None, training=training, backward=backward)
    with fused_attention():
        on_meta = trace(
            module, (torch.empty(x.shape, device="meta"),), memory=counts.SHARED, training=training, backward=backward
        )
    assert lifetimes.peak(on_meta).nbytes == lifetimes.peak(really).nbytes
    assert lifetimes.saved_for_backward(on_meta) == lifetimes.saved_for_backward(really)


#: Options that change what an update keeps or takes, and some that go together.
OPTIONS = (
    "sgd(momentum=0)", "sgd(nesterov=true)", "sgd(weight_decay=0.1)", "sgd(nesterov=true, weight_decay=0.1)",
    "sgd(foreach=true, weight_decay=0.1)", "sgd(fused=true)", "sgd(maximize=true)", "adam(weight_decay=0.1)",
    "adam(amsgrad=true)", "adam(foreach=true)", "adam(foreach=true, maximize=true, amsgrad=true)", "adamw(fused=true)",
    "adamw(weight_decay=0)", "adadelta(weight_decay=0.1)", "adadelta(foreach=true)", "adamax(foreach=true)",
    "adamax(weight_decay=0.1)",
)  # fmt: skip


@pytest.mark.parametrize("text", [*OPTIMIZERS, *OPTIONS])
def test_an_optimizer_keeps_and_takes_what_is_foretold(text):
    parameters = [nn.Parameter(torch.randn(size)) for size in (1000, 50_000, 30_000, 40_000, 10)]
    optimizer = optimizer_of(parameters, text)
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    rules = {row.optimizer: row for row in optimizer_memory([p.nbytes for p in parameters])}
    state, taken = bytes_of([list(each.values()) for each in optimizer.state.values()]), peak_bytes(optimizer.step, CPU)
    for foretold in {rules.get(text), None if text == "asgd" else update_memory(parameters, text)} - {None}:
        assert foretold.state_bytes == state
        assert 0 <= taken - foretold.update_bytes <= 64  # scalars


LOOPS = [
    {"accumulate": 3}, {"zero_grad": "zero"}, {"accumulate": 3, "zero_grad": "zero"}, {"autocast": "bfloat16"},
    {"autocast": "bfloat16", "accumulate": 2, "optimizer": "adamw(fused=true)"}, {"dtype": "bfloat16"},
]  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS, ids=str)
@pytest.mark.parametrize("name", ["mlp", "attention"])
def test_a_step_of_any_loop_is_predicted_nearly_to_the_byte(name, loop):
    make, shape = NETWORKS[name]
    conditions = Conditions(mode="train", **loop)
    row = archprof.compare({name: make}, batch_sizes=[6], latency=False, input_shape=shape, conditions=conditions)[0]
    module = device.materialise(make(), conditions)
    inputs = device.inputs(shape, conditions.part_of(6), conditions)
    step = forward_step(module.train(), inputs, conditions)
    whole = row.training_bytes(row.memory[0], conditions.optimizer)
    assert row.memory[0].training_scratch_bytes is not None
    assert step.peak_bytes() == pytest.approx(whole, rel=0.01)


WAYS = [{"channels_last": True}, {"dtype": "bfloat16"}, {"autocast": "bfloat16"}]
IN_OTHER_WAYS = {
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(8, 16, 3, groups=4), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16)),
        (8, 20, 20),
    ),
    "encoder": (lambda: nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True), (24, 32)),
}


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", IN_OTHER_WAYS)
def test_what_operators_take_in_another_layout_or_type_is_measured(name, way, mode):
    make, shape = IN_OTHER_WAYS[name]
    conditions = Conditions(mode=mode, **way)
    row = archprof.compare({name: make}, batch_sizes=[2], latency=False, input_shape=shape, conditions=conditions)[0]
    module = device.materialise(make(), conditions).train(mode == "train")
    step = forward_step(module, device.inputs(shape, 2, conditions), conditions)
    entry = row.memory[0]
    assert (entry.scratch_bytes if mode == "eval" else entry.training_scratch_bytes) is not None
    whole = row.training_bytes(entry, "sgd") if mode == "train" else row.inference_bytes(entry)
    assert step.peak_bytes() == pytest.approx(whole, rel=0.01)


def measured_by(ticks, **given):
    """The scratch of a convolution's call, by a clock that shows these seconds, and how often it was run."""
    x, weight = torch.ones(1, 8, 6, 6, device="meta"), torch.ones(8, 8, 3, 3, device="meta")
    args = (x, weight, None, [1, 1], [1, 1], [1, 1], True, [0, 0], 1)
    op = describe(torch.ops.aten.convolution.default, args, {}, torch.ops.aten.convolution(*args))
    clock = iter(ticks)
    return MeasuredScratch(Conditions(threads=1), clock=lambda: next(clock), **given), op


def test_nobody_waits_longer_than_patience_for_scratch(tmp_path, monkeypatch):
    monkeypatch.setattr("archprof.measure.scratch._KEPT", {})
    scratch, op = measured_by([0, 5, 5, 5], patience_s=4)
    known = scratch(op)
    assert known is not None and known > 0
    other = describe(op.func, (Shape((1, 8, 7, 7), torch.float32), *op.args[1:]), {}, op.out)
    assert scratch(other) is None  # five of four seconds are gone
    assert scratch(op) == known  # what is known costs none


def test_what_was_measured_is_known_the_next_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("archprof.base.cache.may_keep", True)
    monkeypatch.setattr("archprof.measure.scratch._KEPT", {})
    scratch, op = measured_by([0, 1])
    known = scratch(op)
    monkeypatch.setattr("archprof.measure.scratch._KEPT", {})
    kept._opened.cache_clear()  # as in another process
    again, op = measured_by([], patience_s=0)
    assert again(op) == known
    (path,) = tmp_path.glob("archprof/*/scratch.jsonl")
    written = path.read_text()
    for wrong in ('"a lot"', "true", "-1", "null", "1.5", "[]"):
        path.write_text(written.replace(f'"value": {known}', f'"value": {wrong}'))
        monkeypatch.setattr("archprof.measure.scratch._KEPT", {})
        kept._opened.cache_clear()
        again, op = measured_by([0, 1])
        assert again(op) == known  # a value that is no number of bytes is measured anew


def test_autocast_in_inference_casts_weights_where_they_are_used():
    conditions = Conditions(autocast="bfloat16")
    make, shape = NETWORKS["mlp"]
    row = archprof.compare({"mlp": make}, batch_sizes=[6], latency=False, input_shape=shape, conditions=conditions)[0]
    step = forward_step(make().eval(), device.inputs(shape, 6, conditions), conditions)
    assert step.peak_bytes() == pytest.approx(row.inference_bytes(row.memory[0]), rel=0.01)


CONVOLUTIONS = [
    # batch, channels in, out, kernel, stride, groups, side
    (2, 3, 64, 7, 2, 1, 64),
    (2, 64, 64, 3, 1, 1, 28),
    (2, 96, 12, 3, 1, 1, 16),
    (2, 64, 24, 1, 1, 1, 28),
    (2, 40, 40, 3, 1, 40, 28),
    (2, 24, 48, 3, 1, 3, 28),
    (1, 16, 16, 3, 1, 1, 32),
    (1, 64, 64, 1, 1, 1, 8),
    (2, 12, 32, 1, 1, 1, 28),
    (1, 512, 512, 3, 1, 1, 7),
]


@pytest.mark.parametrize("shape", CONVOLUTIONS)
def test_the_scratch_space_of_a_convolution(shape):
    batch, channels, out, kernel, stride, groups, side = shape
    module = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    x = torch.randn(batch, channels, side, side)
    with device.applied(Conditions(threads=2)), torch.no_grad():
        y = module(x)
        args = (x, module.weight, None, [stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], groups)
        op = describe(torch.ops.aten.convolution.default, args, {}, y)
        assert peak_bytes(lambda: module(x), CPU) == y.nbytes + cpu_scratch(
            2, measure=MeasuredScratch(Conditions(threads=2))
        )(op)


def test_what_is_measured_is_quiet_and_repeats(capfd):
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 30 * 30, 10))
    training = Conditions(mode="train", optimizer="adam")
    for conditions in (Conditions(), training):
        step = forward_step(module, (torch.randn(2, 3, 32, 32),), conditions)
        step()
        assert step.peak_bytes() == step.peak_bytes()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("limit", [2**20, 3 * 2**20])
def test_the_largest_batch_really_fits(limit):
    make, shape = NETWORKS["mlp"]
    module = make().eval()
    predictor = Predictor(counts.subject_of(module, shape))
    row = ArchitectureResult(
        "mlp", "instance", profile=archprof.profile(module, input_shape=shape), optimizers=predictor.optimizers()
    )
    fits = Needs(predictor, row).largest(limit)

    def measured(batch_size: int) -> int:
        return forward_step(module, (torch.randn(batch_size, *shape),), Conditions()).peak_bytes()

    assert measured(fits.inference) <= limit < measured(fits.inference + 1)


def test_trainable_parameters_alone_have_gradients():
    module = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    module[0].requires_grad_(False)
    assert lifetimes.gradient_sizes(Owned(walk(module))) == [400, 40]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "densenet121"])
def test_prediction_is_within_five_percent_on_a_gpu(name):
    conditions = Conditions(device="cuda")
    module = device.materialise(archprof.load(name), conditions)
    row = archprof.compare([name], batch_sizes=[8], device="cuda", latency=False).architectures[0]
    step = forward_step(module, device.inputs((3, 224, 224), 8, conditions), conditions)
    measured = step.peak_bytes() - row.held_bytes
    assert row.memory_at(8).peak_activation_bytes == pytest.approx(measured, rel=0.05)
