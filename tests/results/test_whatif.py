"""Why time does not follow mult-adds: rules on made-up kinds of operators; and what the record says of itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from archprof.results.latency import Block, Latency
from archprof.results.whatif import KindTime, Variant, WhatIf, why

#: 100 ms: 1 G mult-adds in 3x3 convolutions at 25 GFLOP/s (80 ms), and 20 ms that multiply nothing.
DENSE, NORM, RELU = (
    KindTime("conv 3x3", 10, 10**9, 0.080),
    KindTime("batch norm", 10, 0, 0.012),
    KindTime("activation", 10, 0, 0.008),
)
BASE = Variant("net", macs=10**9, kinds=(DENSE, NORM, RELU), latency=Latency(1, (Block(0.1, 1, 1, 1),)))


def kind(name: str, macs: int, seconds: float) -> KindTime:
    return KindTime(name, 10, macs, seconds)


def variant(macs: int, seconds: float | None, gone=(), come=(), **more) -> Variant:
    edits = more.pop("edits", ("an edit",))
    return Variant("an edit", edits, macs=macs, predicted_seconds=seconds, gone=tuple(gone), come=tuple(come), **more)


DEPTHWISE, POINTWISE = kind("depthwise conv 3x3", 10**8 // 9, 0.030), kind("conv 1x1", 10**8, 0.010)
SMALLER = kind("conv 3x3", 25 * 10**7, 0.040)

RULES = {
    "mult-adds fall by nine tenths, time by half: depthwise ones are slow": (
        variant(111_111_111, 0.060, [DENSE], [DEPTHWISE, POINTWISE]), ("rate", "conv 3x3", "depthwise conv 3x3"),
    ),
    "what is new multiplies nothing": (
        variant(10**9, 0.130, [], [kind("group norm", 0, 0.030)]), ("free", None, "group norm"),
    ),
    "an activation takes longer than the one before": (
        variant(10**9, 0.120, [RELU], [kind("activation", 0, 0.028)]), ("free", "activation", "activation"),
    ),
    "the same kind at a lower rate": (
        variant(25 * 10**7, 0.060, [DENSE], [SMALLER]), ("rate", "conv 3x3", "conv 3x3"),
    ),
    "the same kind at a higher rate": (
        variant(4 * 10**9, 0.2, [DENSE], [kind("conv 3x3", 4 * 10**9, 0.160)]), ("rate", "conv 3x3", "conv 3x3"),
    ),
    "in proportion": (
        variant(5 * 10**8, 0.051, [DENSE], [kind("conv 3x3", 5 * 10**8, 0.04)]), ("proportion", None, None),
    ),
    "what fell away multiplied nothing": (variant(10**9, 0.088, [NORM]), ("gone", "batch norm", None)),
    "what fell away was slow": (
        variant(99 * 10**7, 0.060, [kind("depthwise conv 3x3", 10**7, 0.040)]), ("gone", "depthwise conv 3x3", None),
    ),
    "nothing changed": (variant(10**9, 0.1), ("", None, None)),
    "nothing stands out": (
        variant(7 * 10**8, 0.060, [kind("conv 3x3", 3 * 10**8, 0.024)]), ("", None, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_why(name):
    one, (reason, old, new) = RULES[name]
    found = why(BASE, one)
    assert (found.reason, found.old and found.old.type, found.new and found.new.type) == (reason, old, new)
    assert found.time_ratio == pytest.approx(one.predicted_seconds / 0.1)


def test_without_mult_adds_there_is_time_alone():
    found = why(replace(BASE, macs=0), variant(0, 0.088, [NORM]))
    assert (found.macs_ratio, found.reason) == (None, "gone")


def test_there_is_no_why_without_a_time():
    assert why(BASE, variant(10**9, None)) is None
    assert why(replace(BASE, latency=None), variant(10**9, 0.1)) is None


def test_derived_figures():
    one = variant(10**9, 0.110, parameter_bytes=100, buffer_bytes=20, peak_activation_bytes=3)
    assert one.memory_bytes == 123 and one.measured_seconds is None and one.prediction_error is None
    one = replace(one, latency=Latency(1, (Block(0.1, 1, 1, 1),)))
    assert one.prediction_error == pytest.approx(0.1) and one.measured_seconds == 0.1
    assert kind("conv 3x3", 10**9, 0.08).flops_per_s == pytest.approx(25e9)
    assert kind("conv 3x3", 10**9, 0.0).flops_per_s is None and NORM.flops_per_s is None


def test_predicted_figures_have_keys_that_say_so():
    found = WhatIf("net", "zoo", 1, (BASE, variant(10**9, 0.11)), 0.9)
    saved = json.loads(found.to_json())
    numbers = {
        key
        for key, value in saved["variants"][1].items()
        if isinstance(value, float) and key not in ("measured_seconds", "prediction_error")
    }
    assert numbers and all(key.startswith("predicted_") for key in numbers)
    assert found.rows()[1]["predicted_seconds"] == 0.11 and found.rows()[1]["measured_seconds"] is None
    assert len(found.to_frame()) == len(found) == 2 and found.edited == found.variants[1:] and found[0] is found.base
