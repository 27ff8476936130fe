"""The figure of edits: predicted and measured times have marks of their own, at the ratios of the record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.text import Text

from archprof.base.errors import BadOption
from archprof.render.figures.edits import draw
from archprof.results.latency import Block, Latency
from archprof.results.whatif import Variant, WhatIf


def latency(seconds: float, why: str | None = None) -> Latency:
    return Latency(1, (Block(seconds, 1, 1, 1),), why=why)


BASE = Variant("net", macs=1000, latency=latency(0.1))
ONE = Variant("a: kernel=1", ("a: kernel=1",), macs=250, predicted_seconds=0.06, predicted_interval=(0.05, 0.07))
FOUND = WhatIf("net", "zoo", 4, (BASE, ONE, replace(ONE, edits=("a: kernel=1", "@64"), latency=latency(0.05))), 0.9)


def marks(figure, gid: str):
    return [line for plot in figure.axes for line in plot.get_lines() if line.get_gid() == gid]


def said(figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def test_marks_lie_at_the_ratios_and_predicted_ones_are_hollow_diamonds():
    figure = draw(FOUND)
    assert [mark.get_xdata()[0] for mark in marks(figure, "macs")] == [0.25, 0.25]
    predicted, measured = marks(figure, "predicted"), marks(figure, "measured")
    assert [mark.get_xdata()[0] for mark in predicted] == pytest.approx([0.6, 0.6])
    assert [mark.get_xdata()[0] for mark in measured] == pytest.approx([0.5])
    assert {mark.get_marker() for mark in predicted} == {"D"} and {mark.get_marker() for mark in measured} == {"o"}
    assert predicted[0].get_markerfacecolor() != predicted[0].get_color() == predicted[1].get_color()
    assert measured[0].get_markerfacecolor() == measured[0].get_color() != predicted[0].get_color()
    for text in ("Time, predicted", "Time, measured", "a: kernel=1", "+ @64", "batch size 4", "90 edits in 100"):
        assert text in said(figure)


def test_nothing_measured_has_no_key_and_doubts_are_said():
    assert "Time, measured" not in said(draw(replace(FOUND, variants=(BASE, ONE))))
    doubted = replace(ONE, latency=latency(0.05, "busy"))
    figure = draw(replace(FOUND, variants=(replace(BASE, latency=latency(0.1, "busy")), doubted)))
    (mark,) = marks(figure, "measured")
    assert mark.get_markerfacecolor() != mark.get_color() and "Hollow discs are not reliable" in said(figure)
    assert "The time of the network as it is is not reliable" in said(figure)


def test_failed_variants_are_named_and_without_any_there_is_no_figure():
    failed = Variant("b: identity", ("b: identity",), error="no")
    assert "b: identity" in said(draw(replace(FOUND, variants=(BASE, ONE, failed))))
    with pytest.raises(BadOption, match="no variant has a predicted time"):
        draw(replace(FOUND, variants=(BASE, failed)))
