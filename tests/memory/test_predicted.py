"""Memory predicted from storage lifetimes: by hand on small networks, then what must hold for all."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import archprof
from archprof.base.errors import BadOption
from archprof.cli import main
from archprof.counting import counts
from archprof.counting.shapes import ShapeMemory
from archprof.memory.scratch import cpu_scratch
from archprof.models import zoo
from archprof.render.tables import costs, times
from archprof.render.tables import fits as fit_tables
from archprof.render.tables.table import Table
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Latency
from archprof.results.memory import BatchMemory, LargestBatch, OptimizerMemory
from archprof.results.profile import StaticProfile
from archprof.runs.fits import largest_batch
from archprof.runs.prediction import Predictor

ROW = 4 * 100  # bytes of one sample of 100 float32 features


class Wide(nn.Module):
    """What a block of a dense network does: its input and what it makes of it, side by side."""

    def __init__(self, concatenate: bool) -> None:
        super().__init__()
        self.branch = nn.Linear(100, 100)
        self.concatenate = concatenate

    def forward(self, x):
        made = self.branch(x)
        return torch.cat([x, made], 1) if self.concatenate else x + made


class Values(nn.Module):
    """Looks at a value, so that only a real pass can count it."""

    def forward(self, x):
        return x if x.sum().item() == x.sum().item() else -x


def predicted(module: nn.Module, batch_size: int = 1, shape: tuple[int, ...] = (100,)) -> BatchMemory:
    return Predictor(counts.subject_of(module, shape)).at(batch_size)


def test_the_peak_is_where_input_and_two_maps_are_alive():
    chain = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 100))
    assert predicted(chain, 3).peak_activation_bytes == 3 * ROW * (1 + 2 + 2)  # input, before and after the ReLU


def test_an_in_place_relu_saves_a_map():
    def chain(inplace: bool) -> nn.Module:
        return nn.Sequential(nn.Linear(100, 200), nn.ReLU(inplace=inplace), nn.Linear(200, 100))

    assert predicted(chain(True)).peak_activation_bytes == ROW * (1 + 2 + 1)  # input, hidden, output
    assert predicted(chain(False)).peak_activation_bytes == ROW * (1 + 2 + 2)


def test_concatenation_costs_a_copy_of_its_inputs():
    assert predicted(Wide(concatenate=True)).peak_activation_bytes == ROW * (1 + 1 + 2)
    assert predicted(Wide(concatenate=False)).peak_activation_bytes == ROW * (1 + 1 + 1)


def test_a_dense_block_holds_all_its_maps_at_once():
    """densenet121's peak is a concatenation of the first block (growth rate 32, 64 maps before it) and its norm."""
    profile = archprof.profile("densenet121")
    assert "denseblock1" in profile.peak_at or "transition1" in profile.peak_at
    most = 4 * 56 * 56 * (64 + 6 * 32)
    assert profile.peak_activation_bytes > 2 * most  # the concatenated maps, twice


def test_views_are_counted_once():
    class Views(nn.Module):
        def forward(self, x):
            return x.view(-1, 10).t().reshape(10, -1)[:5], x[:, :50]

    assert predicted(Views()).peak_activation_bytes == ROW


def test_training_keeps_what_backward_needs_and_frees_it_as_it_goes():
    """x -> Linear -> Tanh -> Linear -> loss: by hand, for a batch of 2 and 100 features throughout."""
    chain = nn.Sequential(nn.Linear(100, 100, bias=False), nn.Tanh(), nn.Linear(100, 100, bias=False))
    found = predicted(chain, 2)
    # the input, the tanh's output and the logits, whose softmax is not made yet
    assert found.training_activation_bytes == 3 * 2 * ROW
    weights = 4 * 100 * 100
    # the first weight's gradient is made last: beside the second's, the input, the gradient before the tanh, and two
    # numbers, the loss and the samples that it is the mean of
    assert found.training_peak_bytes == 2 * weights + 2 * (2 * ROW) + 2 * 4


def test_gradients_that_a_module_has_come_back():
    module = nn.Linear(100, 5)
    module(torch.ones(1, 100)).sum().backward()
    before = [parameter.grad for parameter in module.parameters()]
    predicted(module)
    assert all(parameter.grad is gradient for parameter, gradient in zip(module.parameters(), before, strict=True))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "densenet121", "squeezenet1_1"])
def test_inference_and_what_is_saved_are_linear_in_the_batch_from_two_on(name):
    at = {size: Predictor(counts.subject_of(name)).at(size) for size in (2, 3, 5, 16)}
    for key in ("peak_activation_bytes", "training_activation_bytes"):
        slope = getattr(at[3], key) - getattr(at[2], key)
        for size in (5, 16):
            assert getattr(at[size], key) == getattr(at[2], key) + (size - 2) * slope
    slopes = [(at[b].training_peak_bytes - at[a].training_peak_bytes) / (b - a) for a, b in ((2, 3), (3, 5), (5, 16))]
    assert slopes == sorted(slopes)  # the highest of several straight lines


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "squeezenet1_0", "alexnet"])
def test_a_shape_memory_changes_nothing(name):
    subject = counts.subject_of(name)
    asked = Predictor(replace(subject, shape_memory=ShapeMemory(remember=False))).at(2)
    assert Predictor(subject).at(2) == asked
    assert asked.training_peak_bytes is not None


@pytest.mark.parametrize("name", ["resnet_tiny", "mobilenetv2_28"])
def test_an_instance_is_predicted_as_by_name(name):
    found = zoo.find(name)
    by_name = Predictor(counts.subject_of(name)).at(2)
    assert Predictor(counts.subject_of(found.build(), found.input_shape)).at(2) == by_name
    assert Predictor(counts.subject_of(found.build().eval(), found.input_shape)).at(2) == by_name


@settings(max_examples=settings.default.max_examples * 4 // 5)
@given(
    st.integers(0, 10**6),
    st.integers(1, 10**4),
    st.integers(0, 10**7),
    st.integers(1, 10**4),
    st.integers(0, 10**8),
    st.integers(1, 2),
)
def test_the_largest_batch_is_the_last_that_fits(first, slope, second, steeper, limit, least):
    """Against a plain definition, on the higher of two straight lines."""
    asked = []

    def needs(batch_size: int) -> int:
        asked.append(batch_size)
        return max(first + slope * batch_size, second + steeper * batch_size)

    found = largest_batch(needs, limit, least)
    fits = min((limit - first) // slope, (limit - second) // steeper)
    assert found == (fits if fits >= least else 0)
    assert len(set(asked)) <= 60  # the most that a random search of some seconds found is 42


def test_lines_that_meet_at_a_sharp_angle_do_not_take_a_question_for_each_batch():
    asked = set()

    def needs(batch_size: int) -> int:
        asked.add(batch_size)
        return max(4135 * batch_size, 9473570 + batch_size)

    assert largest_batch(needs, 9479431) == 2292 and len(asked) <= 40


def test_the_largest_batch_of_a_network_fits_and_one_more_does_not():
    row = archprof.compare(["resnet_tiny"], batch_sizes=[1], latency=False, memory=30 * 2**20).architectures[0]
    predictor = Predictor(counts.subject_of("resnet_tiny"))
    fits = row.largest_batch
    device_free = [row.inference_bytes(predictor.at(size)) for size in (fits.inference, fits.inference + 1)]
    assert device_free[0] <= 30 * 2**20  # scratch space comes on top
    training = [row.training_bytes(predictor.at(size), "sgd") for size in (fits.training, fits.training + 1)]
    assert training[0] <= 30 * 2**20
    assert fits.training < fits.inference


def test_memory_that_does_not_grow_is_refused():
    with pytest.raises(BadOption, match="does not grow"):
        largest_batch(lambda _: 5, 10)


@settings(max_examples=settings.default.max_examples * 2)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=3, max_size=3),
    st.integers(0, 10**7),
    st.integers(1, 2),
)
def test_memory_may_fall_where_other_kernels_take_over(lines, limit, least):
    """Batch 1, 2 to 15, and from 16 on each have their own line; against every batch that can fit at all."""

    def needs(batch_size: int) -> int:
        constant, slope = lines[(batch_size >= 2) + (batch_size >= 16)]
        return constant + slope * batch_size

    fits = [size for size in range(least, 16) if needs(size) <= limit]
    last = (limit - lines[2][0]) // lines[2][1]
    assert largest_batch(needs, limit, least) == (last if last >= 16 else max(fits, default=0))


def test_a_constant_that_outweighs_the_first_batches_is_no_end():
    assert largest_batch(lambda batch_size: max(10**6, 3 * batch_size), 2 * 10**6) == 666_666


def test_a_network_whose_memory_does_not_grow_keeps_its_row():
    def inputs(batch_size: int):
        return (torch.empty(1, 100, device="meta"),), {}

    row = archprof.compare([nn.Linear(100, 10)], inputs=inputs, latency=False, memory=2**20).architectures[0]
    assert row.profile.macs == 1000 and row.largest_batch is None and "does not grow" in row.error


@pytest.mark.parametrize("name", zoo.architectures())
def test_every_network_of_the_zoo_has_a_largest_batch(name):
    """Whatever kernels one or two threads take at it."""
    subject = counts.subject_of(name)
    passes = functools.cache(lambda batch_size: counts.run(subject, *subject.given(batch_size)))
    for threads in (1, 2):
        scratch = cpu_scratch(threads)
        fits = largest_batch(lambda size, scratch=scratch: scratch.peak(passes(size)).nbytes, 2**33)
        assert scratch.peak(passes(fits)).nbytes <= 2**33 < scratch.peak(passes(fits + 1)).nbytes


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [name for name in zoo.architectures() if "20_cifar" in name])
def test_a_batch_that_needs_less_than_a_single_sample_loses_no_row(name, threads):
    row = archprof.compare([name], batch_sizes=[1], latency=False, memory=2**33, threads=threads).architectures[0]
    assert row.error is None and row.largest_batch.inference > row.largest_batch.training > 1000


def test_a_memory_below_the_parameters_says_what_the_least_is(capsys):
    assert main(["compare", "resnet18", "--no-latency", "--memory", "40MiB", "--batch-sizes", "1"]) == 2
    said = capsys.readouterr().err
    assert "whose parameters and buffers alone take 44.6 MiB" in said
    assert "the least is" in said and "for inference." in said


def test_a_memory_without_unit_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "resnet18", "--memory", "8"])
    assert "the unit is missing" in capsys.readouterr().err


def test_a_memory_that_holds_inference_but_no_training_says_so(capsys):
    assert main(["compare", "resnet18", "--no-latency", "--memory", "64MiB", "--batch-sizes", "1"]) == 0
    said = capsys.readouterr().out
    assert "Largest batch that fits into 64.0 MiB" in said
    assert "resnet18: training needs" in said


def test_totals_are_the_sums_of_their_parts():
    row = archprof.compare(["vgg11"], batch_sizes=[1], latency=False).architectures[0]
    entry, profile = row.memory_at(1), row.profile
    held = profile.parameter_bytes + profile.buffer_bytes
    assert profile.gradient_bytes == profile.parameter_bytes == 4 * 132_863_336
    assert row.inference_bytes(entry) == held + entry.peak_activation_bytes + entry.scratch_bytes
    # an update with Adam: its moments, the gradients, and two temporaries of the first fully connected layer's weight
    # beside those of the bias before; the last convolution's bias comes before it
    largest = 4 * 4096 * 25_088
    step = next(item for item in row.optimizers if item.optimizer == "adam")
    assert step.state_bytes == 2 * profile.parameter_bytes + 4 * 22
    assert step.update_bytes == 2 * largest + 4 * 512
    assert row.training_bytes(entry, "adam") == held + step.state_bytes + max(
        entry.training_peak_bytes + entry.training_scratch_bytes,
        entry.input_bytes + profile.gradient_bytes + step.update_bytes,
    )


@pytest.mark.parametrize("name", ["resnet_tiny", "plain20_cifar"])
def test_half_the_bytes_of_a_number_are_half_the_memory(name):
    def predicted_in(dtype: str):
        row = archprof.compare([name], batch_sizes=[4], latency=False, dtype=dtype, memory=2**31).architectures[0]
        return row, row.memory_at(4)

    (whole, full), (half, entry) = predicted_in("float32"), predicted_in("bfloat16")
    assert half.profile.macs == whole.profile.macs
    assert 2 * half.profile.parameter_bytes == whole.profile.parameter_bytes
    assert 2 * half.profile.gradient_bytes == whole.profile.gradient_bytes
    assert 2 * entry.input_bytes == full.input_bytes
    assert entry.peak_activation_bytes == pytest.approx(full.peak_activation_bytes / 2, rel=0.02)
    assert half.training_bytes(entry, "sgd") < 0.6 * whole.training_bytes(full, "sgd")
    assert half.largest_batch.training > 1.5 * whole.largest_batch.training


@pytest.mark.parametrize("handed_over", [nn.Linear(100, 10), nn.Sequential(nn.Linear(100, 10), Values())])
def test_what_was_handed_over_keeps_its_own_type(handed_over):
    row = archprof.compare(
        [handed_over], input_shape=(100,), batch_sizes=[2], latency=False, dtype="bfloat16"
    ).architectures[0]
    assert row.profile.parameter_bytes == 2 * 1010
    assert 0 <= row.memory_at(2).peak_activation_bytes - 2 * 2 * 110 <= 2  # of Values, its sum
    assert all(parameter.dtype == torch.float32 for parameter in handed_over.parameters())


MEASURED = [{"dtype": "bfloat16"}, {"channels_last": True}, {"autocast": "bfloat16"}]


@pytest.mark.parametrize("conditions", MEASURED, ids=str)
def test_scratch_that_takes_too_long_to_measure_is_said(conditions, monkeypatch):
    monkeypatch.setattr("archprof.runs.counted_rows.SEARCHING_S", 0)
    result = archprof.compare(["resnet_tiny"], batch_sizes=[3], latency=False, memory=2**30, **conditions)
    entry = result.architectures[0].memory_at(3)
    assert entry.scratch_bytes is None and entry.training_scratch_bytes is None
    assert json.loads(result.to_json())["architectures"][0]["memory"][0]["scratch_bytes"] is None
    shown = costs.memory(result)
    assert "not known" in texts(shown) and "totals leave it out" in shown.notes[1]
    assert "not known" in next(fit_tables.tables(result)).notes[0]


def test_the_record_comes_back_from_json():
    result = archprof.compare(["resnet_tiny"], batch_sizes=[1, 2], latency=False, memory=2**30)
    assert Comparison.from_json(result.to_json()) == result
    assert result.architectures[0].largest_batch.limit_bytes == 2**30


def test_an_old_record_without_memory_is_still_read():
    assert ArchitectureResult("x", "zoo").held_bytes is None
    assert ArchitectureResult("x", "zoo").inference_bytes(BatchMemory(1, 10)) is None


def comparison_at_hand(latency: Latency, mode: str = "eval") -> Comparison:
    """One network of 100 bytes of parameters and 20 of buffers, 1,000 bytes at its peak and 24 of scratch."""
    profile = StaticProfile("net", "zoo", (3,), 1, 25, 25, 5, 0, 0, 100, 20, 1000, 3000, gradient_bytes=100)
    entry = BatchMemory(1, 1000, 3000, 4000, scratch_bytes=24, training_scratch_bytes=6, input_bytes=50)
    row = ArchitectureResult(
        "net",
        "zoo",
        profile=profile,
        memory=(entry,),
        latency=(latency,),
        optimizers=(OptimizerMemory("adam", 208, 500),),
        largest_batch=LargestBatch(10_000, "adam", 7, 0, 1144, 12_000),
    )
    return Comparison({"device": "cpu", "mode": mode, "optimizer": "adam"}, (row,))


def texts(shown: Table) -> list[str]:
    return [shown.text(shown.rows[0], place) for place in range(len(shown.columns))]


def peaks(shown: Table) -> list[int]:
    wanted = ("peak_activation_bytes", "measured_activation_bytes")
    return [cell.value for column, cell in zip(shown.columns, shown.rows[0], strict=True) if column.key in wanted]


def test_the_memory_table_adds_up():
    shown = costs.memory(comparison_at_hand(Latency(1)))
    assert texts(shown) == [
        "1",
        "net",
        "120 B",
        "1,000 B",
        "24 B",
        "1.12 KiB",
        "2.93 KiB",
        "100 B",
        "208 B",
        "4.23 KiB",
    ]
    assert shown.rows[0][5].value == 120 + 1000 + 24
    assert shown.rows[0][9].value == 120 + 208 + 4000 + 6


def test_the_measured_peak_stands_beside_the_prediction_with_their_ratio():
    inference = times.latency(comparison_at_hand(Latency(1, measured_peak_bytes=120 + 1280)))
    assert peaks(inference) == [1024, 1280]
    assert "1.25 KiB, x 1.25" in texts(inference)
    step = times.latency(
        comparison_at_hand(Latency(1, measured_peak_bytes=120 + 208 + 4006, optimizer_state_bytes=208), "train")
    )
    assert peaks(step) == [4006, 4006]


def test_what_does_not_fit_is_explained():
    shown = next(fit_tables.tables(comparison_at_hand(Latency(1))))
    assert texts(shown) == ["net", "7", "0"]
    assert shown.notes == ("net: training needs 11.7 KiB at least.",)
