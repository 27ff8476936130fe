"""Shares by layer type: what was counted beside what was timed, in the figure, the report and the command."""

from __future__ import annotations

import json
from dataclasses import replace

import matplotlib
import pytest
from helpers.figure_data import comparison, result

from archprof.base.errors import BadOption
from archprof.cli import main
from archprof.render import figures, report
from archprof.render.claims import answers
from archprof.render.figures.breakdown import REST
from archprof.render.tables import report as report_tables
from archprof.results.comparison import Comparison, Division
from archprof.results.latency import Block, Latency
from archprof.results.per_layer import BETWEEN, PerLayerTimes, time_shares, with_times
from archprof.results.profile import TypeCost
from archprof.runs import compare as comparing

TINY = ("mobilenetv1(width=0.25)@64", "resnet_tiny")
QUICK = ("--time-budget", "0.5", "--precision", "0.9")


def timed(name: str, overhead: float = 0.25, why: str | None = None):
    """A network of the study whose twenty layers take 1, 2, ... 20 ms of a pass, and calling them 40 ms."""
    counted = result(name, ())
    blocks = tuple(Block(0.25, 1, place, place) for place in range(3))
    times = PerLayerTimes(
        tuple(0.001 * (place + 1) for place in range(20)), 0.04, overhead, Latency(1, blocks, why=why)
    )
    return replace(counted, profile=with_times(counted.profile, times), division=times.division)


def study(*rows) -> Comparison:
    return replace(comparison("resnet50"), architectures=rows)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def small_print(figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


def segments(figure) -> list[list[dict[str, float]]]:
    """Of each panel and each of its bars: percent by layer type, in the order in which they are drawn."""
    panels = []
    for plot in (plot for plot in figure.axes if plot.get_label().startswith("plot")):
        number = len(plot.containers[0].patches)
        panels.append(
            [
                {stack.get_label(): stack.patches[place].get_width() for stack in plot.containers}
                for place in range(number)
            ]
        )
    return panels


def test_rarer_dense_convolutions_are_one_part_where_there_are_many_types():
    percents = {"conv 1x1": 10, "conv 2x2": 10, "conv 3x3": 15, "conv 4x4": 10, "conv 5x5": 12, "conv 6x6": 10}
    percents |= {"conv 7x7": 8, "fully connected": 15, "batch norm": 10}
    row = result("resnet50", ())
    costs = tuple(TypeCost(type, part, part, 1) for type, part in percents.items())
    counted = replace(row, profile=replace(row.profile, by_type=costs, layers=()))
    ((drawn,), _) = segments(figures.draw("breakdown", study(counted)))
    assert drawn == pytest.approx(
        {type: percents[type] for type in ("conv 1x1", "conv 3x3", "conv 5x5", "fully connected", "batch norm")}
        | {REST: 10 + 10 + 10 + 8}
    )


def test_the_third_panel_is_what_the_records_say():
    rows = timed("resnet50"), timed("vgg16")
    figure = figures.draw("breakdown", study(*rows))
    assert [word for word in words(figure) if word.startswith("Share of")] == [
        "Share of Params (%)", "Share of Mult-Adds (%)", "Share of time (%)"]  # fmt: skip
    _, _, times = segments(figure)
    for row, shown in zip(rows, times, strict=True):
        known = time_shares(row.profile)
        assert sum(shown.values()) == pytest.approx(100)
        assert shown == pytest.approx({type: 100 * known[type] if type in known else 0 for type in shown})
    # layers 2, 6, 10, 14, 18 are 3x3, the 20th is fully connected, and 1 + 2 + ... + 20 = 210 ms beside 40 ms
    assert times[0]["conv 3x3"] == pytest.approx(100 * (2 + 6 + 10 + 14 + 18) / 250)
    assert times[0]["fully connected"] == pytest.approx(100 * 20 / 250)
    assert times[0][BETWEEN] == pytest.approx(100 * 40 / 250)


def test_the_small_print_says_how_time_was_measured():
    said = small_print(figures.draw("breakdown", study(timed("resnet50", 0.02), timed("vgg16", 0.31))))
    assert "divided by a profiler whose passes took 1.02 to 1.31 times as long and are scaled to it." in said
    assert "not" not in said.partition("float32")[0]


def test_what_was_not_timed_says_so_in_place_of_a_bar():
    rows = (
        timed("resnet50"), replace(result("vgg16", ()), division=Division(error="out of memory: 9 GiB")),
        result("alexnet", ()),
    )  # fmt: skip
    figure = figures.draw("breakdown", study(*rows))
    assert words(figure).count("not measured") == 2
    assert "Time not measured by layer type (out of memory: 9 GiB): vgg16." in small_print(figure)
    assert "Time not measured by layer type (not asked for): alexnet." in small_print(figure)
    assert sum(segments(figure)[2][1].values()) == 0


def test_times_that_cannot_be_relied_on_say_why():
    rows = [timed("resnet50", why="4 of 5 blocks were disturbed"), timed("vgg16", why="3 of 7 blocks were disturbed"),
            timed("alexnet", overhead=1.5)]  # fmt: skip
    said = small_print(figures.draw("breakdown", study(*rows)))
    assert "Time not reliable (such as: 4 of 5 blocks were disturbed): resnet50, vgg16." in said
    assert "Time not reliable (profiled passes took more than 2 times as long): alexnet." in said


def test_without_times_there_are_two_panels():
    figure = figures.draw("breakdown", comparison("resnet50", "vgg16"))
    assert len(segments(figure)) == 2 and "Time by layer type was not measured." in small_print(figure)


def test_times_survive_a_file():
    known = study(timed("resnet50", why="disturbed"), replace(result("vgg16", ()), division=Division(error="no time")))
    read = Comparison.from_json(known.to_json())
    assert read == known and read.architectures[0].division.seconds == 0.25
    assert read.architectures[0].profile.layers[-1].seconds == 0.04


def test_the_table_of_kinds_has_time_where_it_is_known():
    table = report_tables.kinds(study(timed("resnet50"), timed("vgg16", why="disturbed"), result("alexnet", ())))
    assert table.title == "Mult-adds / weights / time by kind of layer"
    shown = {row[0].value: [table.text(row, place) for place in range(1, len(row))] for row in table.rows}
    headings = [column.heading for column in table.columns[1:]]
    dense, rest = headings.index("Dense KxK"), headings.index("Other")
    assert shown["resnet50"][dense].endswith(" / 20.00 %") and shown["resnet50"][rest] == "0.00 % / 0.00 % / 16.00 %"
    assert shown["vgg16"][dense].endswith(" / 20.00 %~")
    assert shown["alexnet"][dense].endswith(" / —") and shown["alexnet"][rest] == "—"
    assert "~ vgg16: the time is not reliable (disturbed)." in table.notes
    assert report_tables.kinds(comparison("resnet50")).title == "Mult-adds / weights by kind of layer"


def test_the_report_answers_for_time_too(tmp_path):
    named = replace(timed("mobilenet_v2"), name="mobilenetv1")
    (claim,) = [found for found in answers(study(named)) if "1x1 convolutions" in found.claim]
    # of 250 ms: 1x1 layers 1, 5, 9, 13, 17 and 4, 8, 12, 16; depthwise 3, 7, 11, 15, 19
    assert "34.00 % 1x1, 22.00 % depthwise, 20.00 % dense KxK, 8.00 % fully connected and 16.00 % other" in claim.answer
    report.write(study(named), tmp_path / "told")
    text = (tmp_path / "told" / "README.md").read_text()
    assert "## Where parameters, mult-adds and time are" in text
    assert "whether the shares of mult-adds foretell the shares of time" in text


def test_plot_measures_where_the_time_goes(tmp_path, capsys):
    file, picture = tmp_path / "seen.json", tmp_path / "where.svg"
    to = ("-o", str(picture), "--json", str(file))
    code = main(["plot", "breakdown", *TINY, "--measure", *to, "--threads", "1", *QUICK])
    said = capsys.readouterr().err
    assert code == 0 and picture.stat().st_size > 0
    assert "archprof: measuring, at most " in said and "archprof: profiling, a few seconds for each network" in said
    seen = Comparison.from_json(file.read_text())
    assert seen.environment["threads"] == 1 and seen.batch_sizes == (1,)
    for row in seen.architectures:
        assert row.division.error is None and row.division.seconds == pytest.approx(row.latency_at(1).p50_s)
        seconds = {layer.type: layer.seconds for layer in row.profile.layers}
        assert sum(layer.seconds for layer in row.profile.layers) == pytest.approx(row.division.seconds)
        assert any(type.startswith("conv") and spent > 0 for type, spent in seconds.items())
    assert sum(segments(figures.draw("breakdown", seen))[2][0].values()) == pytest.approx(100)


def test_a_measured_report_divides_time_at_any_batch_sizes(tmp_path):
    assert main(["report", "resnet_tiny", "--batch-sizes", "2", "-o", str(tmp_path / "told"), *QUICK]) == 0
    (row,) = Comparison.from_json((tmp_path / "told" / "comparison.json").read_text()).architectures
    assert [cell.batch_size for cell in row.latency] == [2] and row.division.error is None
    assert sum(time_shares(row.profile).values()) == pytest.approx(1)
    assert "nobody asked" not in (tmp_path / "told" / "README.md").read_text()


def test_a_report_divides_no_time_where_it_cannot(tmp_path):
    to = ("-o", str(tmp_path / "told"))
    assert main(["report", "resnet_tiny", "--batch-sizes", "2", "--mode", "train", *to, *QUICK]) == 0
    (row,) = Comparison.from_json((tmp_path / "told" / "comparison.json").read_text()).architectures
    assert row.division is None and row.latency[0].measured


def test_a_network_that_was_not_measured_keeps_its_place():
    seen = comparing.compare(["resnet_tiny"], batch_sizes=(2,), divide=True, time_budget=1e-9)
    (row,) = seen.architectures
    assert "the time budget" in row.division.error and row.profile.layers[0].seconds is None


def test_dividing_is_refused_where_calls_cannot_be_told_apart():
    with pytest.raises(BadOption, match="eager forward passes on the CPU"):
        comparing.compare(["resnet_tiny"], divide=True, mode="train")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ball", "resnet_tiny", "--measure"), "--measure times layers, which 'ball' does not show; leave it out"),
        (("breakdown", "--from", "a.json", "--measure"), "--from is given too. Leave out --measure or --from."),
        (("breakdown", "resnet_tiny", "--no-latency", "--measure"), "Leave out --measure or --no-latency."),
        (("breakdown", "resnet_tiny", "--batch-sizes", "8", "--measure"), "Leave out --measure or --batch-sizes."),
        (("breakdown", "resnet_tiny", "--mode", "train", "--measure"), "Leave out '--device', '--compile' and '--mode"),
    ],
)
def test_mistakes_are_one_line(arguments, said, tmp_path, capsys):
    assert main(["plot", *arguments, "-o", str(tmp_path / "a.svg")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_show_and_a_comparison_divide_alike(tmp_path, capsys):
    """One way of measuring: the same calls, and one entry for what lies between them."""
    file = tmp_path / "times.json"
    assert main(["show", "resnet_tiny", "--by", "type", "--measure", "--json", str(file), *QUICK]) == 0
    capsys.readouterr()
    seen = comparing.compare(["resnet_tiny"], batch_sizes=(1,), divide=True, time_budget=0.5, precision=0.9)
    (row,) = seen.architectures
    assert {shown["type"] for shown in json.loads(file.read_text())["rows"]} == set(time_shares(row.profile))
