"""The table of edits and its sentences, word by word, from a made-up record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archprof.render.brief import brief
from archprof.render.markdown import markdown
from archprof.render.records import render
from archprof.render.tables.whatif import sentence, table
from archprof.results.latency import Block, Latency
from archprof.results.whatif import KindTime, NotEdited, Variant, WhatIf


def latency(seconds: float, **more) -> Latency:
    return Latency(1, (Block(seconds, 1, 1, 1),), **more)


DENSE = KindTime("conv 3x3", 10, 10**9, 0.080)
DEPTHWISE = KindTime("depthwise conv 3x3", 10, 11_111_111, 0.030)
BASE = Variant(
    "net", (), input_shape=(3, 32, 32), parameters=2_000_000, macs=10**9, activations=500_000,
    parameter_bytes=8_000_000, peak_activation_bytes=1_000_000, kinds=(DENSE,), latency=latency(0.1),
)  # fmt: skip
SEPARABLE = replace(
    BASE, name="*: separable", edits=("*: separable",), layers=("a", "b"),
    left_alone=(NotEdited("c", "nothing to separate"),), macs=160_000_000, predicted_seconds=0.069,
    predicted_interval=(0.0635, 0.075), gone=(DENSE,), come=(DEPTHWISE,), latency=None,
)  # fmt: skip
FAILED = Variant("a: stride=2", ("*: separable", "a: stride=2"), error="edit 'a: stride=2': net cannot")
FOUND = WhatIf("net", "zoo", 1, (BASE, SEPARABLE, FAILED), 0.9, operators=3)

TABLE = """\
## net, edited (zoo, input 1x3x32x32)

| Edit | Params | Mult-Adds | Activations | Memory | Predicted ms | Change | 90 % interval | Measured ms |
| :--- | ---: | ---: | ---: | ---: | ---: | :--- | :--- | ---: |
| net as it is | 2.00 M | 1.00 G | 500 k | 8.58 MiB | — | — | — | 100 |
| \\*: separable | 2.00 M | 160 M | 500 k | 8.58 MiB | 69.0 p | -31 % p | 63.5 to 75.0 p | — |
| + a: stride=2 | — | — | — | — | — | failed | — | — |

- '\\*: separable': mult-adds fall by 84 %, predicted time by 31 %: depthwise 3x3 convolutions run at 0.74 GFLOP/s \
here, the 3x3 convolutions that they replace at 25.
- p predicted, not measured: the measured time of net as it is, multiplied by how many times as long the operators \
take together; the interval holds the true time of 90 edits in 100.
- '\\*: separable': 2 layers edited, 1 left alone: nothing to separate (1).
- 'a: stride=2': failed; the reason is below.
"""


def test_the_table_word_by_word():
    assert markdown([table(FOUND)]) == TABLE
    assert render(FOUND, "markdown") == TABLE and "<table" in render(FOUND, "html")


def test_at_a_prompt():
    assert brief(FOUND).splitlines() == [
        "WhatIf: net, batch 1",
        "                Mult-Adds  Predicted ms  Measured ms",
        "  as it is         1.00 G             —          100",
        "  *: separable      160 M          69.0            —",
        "  a: stride=2      failed             —            —",
    ]
    assert repr(FOUND) == brief(FOUND)


def test_predicted_and_measured_figures_stand_apart_and_are_marked():
    verified = replace(FOUND, variants=(BASE, replace(SEPARABLE, latency=latency(0.066, why="other work ran."))))
    shown = table(verified)
    keys = [column.key for column in shown.columns]
    row = dict(zip(keys, (shown.text(shown.rows[1], place) for place in range(len(keys))), strict=True))
    assert (row["predicted_seconds"], row["measured_seconds"], row["prediction_error"]) == ("69.0 p", "66.0~", "+4.5 %")
    for place, key in enumerate(keys):
        marked = any(shown.text(one, place).endswith(" p") for one in shown.rows)
        assert marked == (key in ("predicted_seconds", "predicted_interval", "change"))
    assert "~ '*: separable': the time is not reliable (other work ran)." in shown.notes


def test_what_rests_on_an_unreliable_time_is_doubted():
    notes = table(replace(FOUND, variants=(replace(BASE, latency=latency(0.1, why="busy")), SEPARABLE))).notes
    assert "~ net: the time is not reliable, nor is what is predicted from it (busy)." in notes


def test_what_is_not_counted_not_timed_or_without_effect_is_said():
    one = replace(SEPARABLE, same=True, left_alone=(), uncounted=("mylib.op",), untimed=("mylib.op",))
    notes = table(replace(FOUND, variants=(BASE, one), notes=("a note",))).notes
    assert notes[1:] == (
        "'*: separable': without effect; every operator call is as it was before.",
        "* mylib.op: no formula; mult-adds are left out.",
        "mylib.op: cannot be run alone; the predictions leave out the time.",
        "A note.",
    )


SENTENCES = {
    "mult-adds fall by 50 %, predicted time by 49 %, about in proportion.": replace(
        SEPARABLE, macs=5 * 10**8, predicted_seconds=0.051, come=(KindTime("conv 3x3", 1, 5 * 10**8, 0.04),)
    ),
    "mult-adds stay the same, predicted time rises by 20 %: activations, which multiply nothing, take 28 ms, and 8.0 "
    "before.": replace(
        SEPARABLE,
        macs=10**9,
        predicted_seconds=0.12,
        gone=(KindTime("activation", 1, 0, 0.008),),
        come=(KindTime("activation", 1, 0, 0.028),),
    ),
    "mult-adds stay the same, predicted time falls by 12 %: the batch norm operators that fell away took 12 ms and "
    "multiply nothing.": replace(
        SEPARABLE, macs=10**9, predicted_seconds=0.088, gone=(KindTime("batch norm", 1, 0, 0.012),), come=()
    ),
    "mult-adds rise by 300 %, predicted time by 100 %: 3x3 convolutions run at 50 GFLOP/s here now, and at 25 "
    "before.": replace(
        SEPARABLE, macs=4 * 10**9, predicted_seconds=0.2, come=(KindTime("conv 3x3", 1, 4 * 10**9, 0.16),)
    ),
    "mult-adds fall by 1 %, predicted time by 40 %: the depthwise 3x3 convolutions that fell away ran at 0.50 GFLOP/s, "
    "the whole network at 20.": replace(
        SEPARABLE,
        macs=99 * 10**7,
        predicted_seconds=0.06,
        gone=(KindTime("depthwise conv 3x3", 1, 10**7, 0.04),),
        come=(),
    ),
    "mult-adds fall by 0.8 %, predicted time stays the same.": replace(
        SEPARABLE, macs=992 * 10**6, predicted_seconds=0.1, gone=(), come=()
    ),
}


@pytest.mark.parametrize("said", SENTENCES)
def test_sentences(said):
    assert sentence(FOUND, SENTENCES[said]) == said


def test_nothing_is_said_without_a_prediction_or_an_effect():
    assert sentence(FOUND, FAILED) == "" and sentence(FOUND, replace(SEPARABLE, same=True)) == ""
