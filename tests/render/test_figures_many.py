"""Figures of thousands of networks, and of one's own among them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
from helpers.figure_data import NETWORKS, by_gid, comparison, result, small_print, words

from archprof.base.errors import BadOption
from archprof.cli import main
from archprof.render import figures
from archprof.render.figures import FigureOptions
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.families import family_of
from archprof.results.latency import Block, Latency

COUNT = 600


@cache
def many() -> Comparison:
    """600 networks of 30 families: each costs more than the one before; every twentieth is more accurate than all."""
    base = result("resnet50", ())
    rows = []
    for i in range(COUNT):
        profile = replace(base.profile, macs=10**8 + i * 10**7, parameters=10**6 + i * 10**5, layers=())
        percent = 60 + i / 30 if i % 20 == 0 else 50 + (i % 7)
        claim = replace(base.accuracy[0], percent=percent)
        rows.append(replace(base, name=f"timm:net{i}", family=f"family{i % 30}", profile=profile, accuracy=(claim,)))
    rows += [ArchitectureResult(f"timm:broken{i}", "timm", "broken", error=f"raised number {i}") for i in range(12)]
    return Comparison({"device": "cpu", "device_name": "Example CPU"}, tuple(rows), archprof="0.1.0")


def front() -> set[str]:
    return {f"net{i}" for i in range(0, COUNT, 20)}


@cache
def drawn(kind: str, **more):
    return figures.draw(kind, many(), FigureOptions(**more))


@pytest.mark.parametrize("kind", ["ball", "pareto"])
def test_only_the_front_is_named_and_no_label_covers_another(kind):
    figure = drawn(kind)
    labels = by_gid(figure, "label")
    assert {text.get_text() for text in labels} <= front() and len(labels) > 15
    assert f"of {COUNT} the {len(front())} that no other beats on both axes." in small_print(figure)
    renderer = figure.canvas.get_renderer()
    for one, other in combinations(labels, 2):
        assert not one.get_window_extent(renderer).overlaps(other.get_window_extent(renderer))


def test_what_is_asked_for_is_named_ringed_and_above_the_others():
    figure = drawn("ball", highlight=("timm:net333", "timm:net4[12]"))
    labels = {text.get_text(): text for text in by_gid(figure, "label")}
    assert {"net333", "net41", "net42"} <= {*labels} and "net334" not in labels
    assert labels["net333"].get_fontweight() == "bold" != labels["net300"].get_fontweight()
    (discs,) = by_gid(figure, "discs")
    assert [round(width, 1) for width in discs.get_linewidths()[-4:]] == [0.4, 1.8, 1.8, 1.8]
    assert {round(x * 100 - 10) for x, _ in discs.get_offsets()[-3:]} == {333, 41, 42}
    assert [round(face[3], 2) for face in discs.get_facecolors()[-4:]] == [0.25, 0.25 + 0.5, 0.75, 0.75]


def test_a_label_names_too():
    figure = drawn_with_labels()
    assert "ours" in {text.get_text() for text in by_gid(figure, "label")}


def drawn_with_labels():
    return figures.draw("pareto", many(), FigureOptions(labels={"timm:net333": "ours"}))


def test_failures_are_a_number_in_the_small_print_and_lines_on_the_terminal(tmp_path, capsys):
    assert "Left out (failed): 12 networks." in small_print(drawn("ball"))
    assert "raised" not in small_print(drawn("ball"))
    (tmp_path / "c.json").write_text(many().to_json())
    assert main(["plot", "accuracy", "--from", str(tmp_path / "c.json"), "-o", str(tmp_path / "a.svg")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "archprof: timm:broken0 could not be counted: raised number 0"
    assert len(said) == 6 and said[-1] == "archprof: nor could 7 more"


def test_families_have_a_key_and_those_beyond_it_are_one_entry():
    figure = drawn("ball")
    (key,) = by_gid(figure, "families")
    entries = [text.get_text() for text in key.get_texts()]
    assert len(entries) == 15 and entries[-1] == "16 other families"  # of 30
    colours = [handle.get_markerfacecolor() for handle in key.legend_handles]
    assert len(set(colours)) == 15


def test_there_is_no_key_where_every_network_is_a_family_of_its_own():
    alone = ("alexnet", "vgg16", "googlenet")
    assert not by_gid(figures.draw("ball", comparison(*alone), FigureOptions()), "families")
    assert by_gid(figures.draw("ball", comparison(*alone, "vgg19"), FigureOptions()), "families")
    assert not by_gid(figures.draw("ball", comparison("vgg16", "vgg19"), FigureOptions()), "families")


def test_bars_are_the_best_and_those_asked_for():
    figure = drawn("accuracy", highlight=("timm:net333",))
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(names) == 61 and names[0] == "net580" and names[-1] == "net333"
    assert f"Of {COUNT} networks the best 60 and those asked for." in small_print(figure)
    assert figure.get_size_inches()[1] < 20


@pytest.mark.parametrize("kind", ["breakdown"])
def test_a_line_for_each_of_hundreds_is_refused(kind):
    with pytest.raises(BadOption, match=r"600 networks are too many for a figure with a line for each \(at most 150\)"):
        figures.draw(kind, many(), FigureOptions())


def test_operations_are_on_a_logarithmic_axis_where_asked():
    scale = {log: figures.draw("ball", comparison(), FigureOptions(log=log)).axes[0].get_xscale() for log in (0, 1)}
    assert scale == {0: "linear", 1: "log"}
    words_of = words(figures.draw("ops-latency", comparison(), FigureOptions(log=True, batch_size=8)))
    assert any(word.endswith("both axes logarithmic") for word in words_of)


def test_notes_can_be_left_out():
    noted, bare = (figures.draw("throughput", comparison(), FigureOptions(notes=notes)) for notes in (True, False))
    assert "Example CPU" in small_print(noted) and "Example CPU" not in small_print(bare)
    assert bare.get_size_inches()[1] < noted.get_size_inches()[1]


def timed(name: str, seconds: float, why: str | None = None, spread: float = 0.001) -> ArchitectureResult:
    blocks = tuple(Block(seconds * (1 + i * spread), 3, i, i) for i in range(5))
    return replace(result(name, ()), latency=(Latency(16, blocks, why=why),))


def test_the_envelope_leaves_out_what_cannot_be_relied_on():
    doubtful = timed("resnet152", 0.01, "other work held 90 % of the CPU")
    made = Comparison({}, (doubtful, timed("resnet18", 0.1), timed("resnet50", 1.0), timed("alexnet", 2.0)))
    (line,) = by_gid(figures.draw("throughput", made, FigureOptions()), "envelope")
    top1 = {name: NETWORKS[name][3] for name in NETWORKS}
    assert {*line.get_ydata()} == {top1["resnet18"], top1["resnet50"]}
    hollow = "Hollow marks are not reliable and not on the line (disturbed, or of a wide interval): resnet152."
    assert hollow in small_print(figures.draw("throughput", made, FigureOptions()))
    pareto = figures.draw("pareto", made, FigureOptions(x="latency"))
    (line,) = by_gid(pareto, "envelope")
    assert {*line.get_ydata()} == {top1["resnet18"], top1["resnet50"]}


def test_an_envelope_of_doubtful_points_alone_is_none():
    made = Comparison({}, (timed("resnet152", 0.01, "busy"), timed("resnet18", 0.1, "busy")))
    (line,) = by_gid(figures.draw("throughput", made, FigureOptions()), "envelope")
    assert len(line.get_xdata()) == 0


def test_relative_explains_hollow_marks_in_one_line():
    wide = timed("resnet152", 0.01, spread=0.3)
    made = Comparison({}, (wide, timed("resnet18", 0.1), timed("vgg19", 0.2)), "vgg19")
    printed = small_print(figures.draw("relative", made, FigureOptions()))
    assert "Hollow marks are not reliable (disturbed, or of a wide interval): resnet152." in printed


@pytest.mark.parametrize("log", [False, True])
def test_families_that_share_a_colour_have_no_line_of_their_own(log):
    rows = [replace(timed("resnet18", 0.1 + 0.001 * i), name=f"net{i}", family=f"family{i % 20}") for i in range(80)]
    rows = [replace(row, profile=replace(row.profile, macs=10**9 + i * 10**8)) for i, row in enumerate(rows)]
    figure = figures.draw("ops-latency", Comparison({}, tuple(rows)), FigureOptions(log=log))
    assert {family_of(row.name, row.family) for row in rows} == {f"family{i}" for i in range(20)}
    assert len(figure.findobj(lambda artist: str(artist.get_gid()).startswith("fit "))) == 14
    assert "6 other families" in words(figure)


@pytest.mark.parametrize(
    "kind, option",
    [("breakdown", "--highlight"), ("relative", "--highlight"), ("latency", "--log"), ("pareto", "--log")],
)
def test_an_option_without_effect_is_refused(kind, option, tmp_path, capsys):
    (tmp_path / "c.json").write_text(comparison().to_json())
    value = ["resnet50"] if option == "--highlight" else []
    out = str(tmp_path / "x.svg")
    assert main(["plot", kind, "--from", str(tmp_path / "c.json"), option, *value, "-o", out]) == 2
    assert capsys.readouterr().err == f"archprof: {option} has no effect on '{kind}'. Leave it out.\n"


def test_highlighted_curves_stand_out():
    figure = figures.draw("latency", comparison(), FigureOptions(highlight=("resnet50",)))
    (mine,), (other,) = by_gid(figure, "curve resnet50"), by_gid(figure, "curve vgg16")
    assert mine.get_linewidth() == 2 * other.get_linewidth() and mine.get_alpha() is None and other.get_alpha() < 0.5


def test_a_highlight_that_matches_nothing_says_what_is_near():
    with pytest.raises(BadOption, match=r"--highlight 'resent50' matches none.* Did you mean 'resnet50'"):
        figures.draw("ball", comparison(), FigureOptions(highlight=("resent50",)))
