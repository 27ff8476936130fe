"""A network against round ceilings: what binds each layer, and the sentences, can be done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.ceilings import MIB, ceilings, stream

from archprof.results import roofline
from archprof.results.ceilings import Ceilings
from archprof.results.per_layer import BETWEEN
from archprof.results.profile import LayerCost, StaticProfile
from archprof.results.roofline import Roofline


def call(module: str, op: str, type: str, seconds: float, macs: int | None = 0, moved: int = 0, parameters: int = 0):
    return LayerCost(module, op, type, (1, 8, 8, 8), (1, 8, 8, 8), macs, parameters=parameters, bytes_moved=moved,
                     seconds=seconds)  # fmt: skip


#: 1 MiB of parameters and 1 MiB of activations: a pass stays within what moves at 35.4 GB/s (2 MiB).
LAYERS = (
    call("conv", "aten.convolution", "conv 3x3", 4e-3, macs=10**8, moved=MIB),  # 2 ms of arithmetic, 8 us a call
    call("fc", "aten.addmm", "fully connected", 2e-3, macs=2**18, moved=MIB, parameters=2**18),
    call("relu", "aten.relu", "activation", 1e-3, moved=64 * MIB),
    call("add", "aten.add", "addition", 1e-5, moved=1000),
    call("", BETWEEN, BETWEEN, 2e-3),
)
PROFILE = StaticProfile("net", "zoo", (3, 8, 8), 1, 2**18, 2**18, 0, 10**8 + 2**18, 0, MIB, 0, MIB, None, layers=LAYERS)
SEEN = Roofline(PROFILE, ceilings())

CONV = 8e-6 + 2e8 / 100e9
FC = 3e-6 + MIB / (50e9 * 20e9) ** 0.5
RELU = 1e-6 + 64 * MIB / 10e9
ADD = 1e-6 + 1000 / 50e9


def test_each_layer_is_bound_by_what_takes_longest():
    bounds = [SEEN.bound(layer) for layer in LAYERS]
    assert [bound and bound.by for bound in bounds] == ["compute", "memory", "memory", "calls", None]
    assert [bound.seconds for bound in bounds if bound] == pytest.approx([CONV, FC, RELU, ADD])
    assert [bound.level for bound in bounds if bound] == ["L2", "L2", "memory", "L2"]


def test_layers_add_up():
    whole = SEEN.whole
    assert whole.best_s == pytest.approx(CONV + FC + RELU + ADD)
    assert whole.whole_s == pytest.approx(sum(layer.seconds for layer in LAYERS))
    assert whole.share == pytest.approx((CONV + FC + RELU + ADD) / 9.01e-3)
    assert whole.by == "compute" and whole.between_s == 2e-3
    few = SEEN.standing(LAYERS[1:3])
    assert (few.by, few.share) == ("memory", pytest.approx((FC + RELU) / 3e-3))
    assert few.share > 1  # the made-up relu beats memory: shown as it is


def test_nothing_is_known_of_no_calls_or_of_what_is_between_them():
    for layers in ((), LAYERS[-1:]):
        seen = SEEN.standing(layers)
        assert (seen.best_s, seen.share, seen.by) == (None, None, None)


def test_the_sentences():
    assert SEEN.sentences == (
        "at the ceilings of this machine (measured 2026-01-31 12:00 UTC) the network would take 8.76 ms; it takes "
        "9.01 ms (97 %): 44 % of the time is in layers bound by compute, which reach 50 % of their ceiling; 33 % of "
        "the time is in layers bound by memory, which reach 225 % of their ceiling; 22 % is between the calls",
    )


def test_what_is_not_counted_is_left_out_of_both_times():
    strange = call("x", "my.op", "my.op", 3e-3, macs=None)
    said = Roofline(replace(PROFILE, layers=(*LAYERS, strange)), ceilings()).sentences
    assert "would take 8.76 ms; it takes 9.01 ms (97 %)" in said[0]
    assert said[1] == "both times leave out 1 call whose mult-adds or ceilings are not known (3.00 ms)"


def test_doubts_are_told_with_the_way_out():
    once = stream("copy", 512 * MIB, 12e9)
    said = Roofline(PROFILE, ceilings(replace(once, seconds=once.seconds[:1]))).sentences
    assert said[-1] == (
        "1 of the ceilings is not reliable, memory, 512 MiB: there was time for 1 block, 3 are needed; "
        "'archprof env --roofline --again --threads 2' measures again, best on a quieter machine"
    )


def test_the_next_step_names_the_machine():
    once = replace(stream("copy", 512 * MIB, 12e9), seconds=(1.0,))
    for environment, flags in (
        ({"device": "cuda:1", "threads": 2}, " --device cuda:1"),
        ({"threads": 1}, " --threads 1"),
    ):
        said = roofline.doubtful(ceilings(once, environment=environment))
        assert f"'archprof env --roofline --again{flags}' measures again" in said
    assert roofline.doubtful(ceilings()) is None


def test_a_machine_without_that_ceiling_says_so():
    nothing = Roofline(PROFILE, Ceilings({}, ()))
    assert nothing.sentences == ("no ceiling of float32 is known of this machine",)
    other = Roofline(PROFILE, ceilings(), "float16")
    assert [bound and bound.by for bound in map(other.bound, LAYERS)] == [None, None, "memory", "calls", None]
    assert other.sentences[1].startswith("both times leave out 2 calls whose mult-adds or ceilings are not known")


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, None),
        ({"dtype": "float32"}, None),
        ({"dtype": "bfloat16"}, "the layers were timed in bfloat16"),
        ({"dtype": "float32", "autocast": "float16"}, "the layers were timed in float16"),
    ],
)
def test_bytes_are_those_of_float32(environment, why):
    said = roofline.unlike(environment)
    assert said is None if why is None else why in said
