"""Power and energy as people see them: tables, CSV, figures, reports; readings are made up."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import matplotlib
import pytest
from helpers.figure_data import ENVIRONMENT, NETWORKS, SIZES, comparison

from archprof.base import units
from archprof.base.errors import BadOption
from archprof.render import figures, report
from archprof.render.csv import csv_text
from archprof.render.figures import FigureOptions
from archprof.render.tables import times
from archprof.results.comparison import Comparison

METER = "RAPL of package-0 and package-1, whole: idle and others' work included"
PLAIN = comparison()


def watts(name: str, size: int) -> float:
    """Made up: idle power, more for wider networks and larger batches."""
    return 90 + 60 * NETWORKS[name][2] ** 0.3 * (1 - 0.5 / size)


def metered(made: Comparison, *but: tuple[str, int], environment=ENVIRONMENT | {"energy_meter": METER}) -> Comparison:
    """The same with joules in every block, those of the cells named by (name, batch size) left out."""
    rows = []
    for row in made.architectures:
        cells = [
            cell if (row.name, cell.batch_size) in but else replace(cell, blocks=tuple(
                replace(block, joules=watts(row.name, cell.batch_size) * block.seconds * block.passes)
                for block in cell.blocks))
            for cell in row.latency
        ]  # fmt: skip
        rows.append(replace(row, latency=tuple(cells)))
    return replace(made, architectures=tuple(rows), environment=environment)


WHOLE = metered(PLAIN)
PAIR = metered(comparison("resnet18", "resnet50", sizes=(1, 16)), ("resnet50", 16))


def by_gid(figure, gid: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def small_print(figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0 mJ"), (0.0000123, "0.0123 mJ"), (0.01234, "12.3 mJ"), (0.9999, "1.00 J"), (1500, "1,500 J"), (None, "—")],
)
def test_energy_is_in_joules_or_thousandths(value, shown):
    assert units.joules(value) == shown


def test_power_is_in_watts():
    assert (units.watts(85.24), units.watts(None)) == ("85.2 W", "—")


def test_the_table_shows_power_and_energy_where_there_are_any():
    table = times.latency(PAIR)
    places = {column.heading: place for place, column in enumerate(table.columns)}
    shown = [[table.text(row, places[heading]) for heading in ("Batch", "Architecture", "Power", "Energy/image")]
             for row in table.rows]  # fmt: skip
    # resnet18: 90 + 60 * 1.814**0.3 * 0.5 = 125.9 W for one image, 159 W for sixteen
    assert [line[:3] for line in shown] == [
        ["1", "resnet18", "126 W"],
        ["1", "resnet50", "136 W"],
        ["16", "resnet18", "159 W"],
        ["16", "resnet50", "—"],
    ]
    one = next(row for row in PAIR.architectures if row.name == "resnet18").latency_at(1)
    mean = sum(block.seconds for block in one.blocks) / len(one.blocks)
    assert shown[0][3] == units.joules(watts("resnet18", 1) * mean) and shown[3][3] == "—"
    assert table.notes[-1] == (
        f"Power and energy: {METER}. Where there are none, no undisturbed block was long enough for the meter."
    )
    assert times.latency(WHOLE).notes[-1] == f"Power and energy: {METER}."


def test_without_readings_nothing_changes():
    silent = replace(PLAIN, environment=ENVIRONMENT | {"energy_meter": METER})
    headings = {column.heading for column in times.latency(silent).columns}
    assert not headings & {"Power", "Energy/image"}
    assert not any("Power" in note for note in times.latency(silent).notes)
    assert "power_w" not in csv_text(silent)


def test_csv_has_watts_and_joules():
    row = list(csv.DictReader(io.StringIO(csv_text(PAIR))))
    assert float(row[0]["power_w@16"]) == pytest.approx(watts("resnet18", 16))
    assert float(row[0]["joules_per_sample@1"]) > 0 and row[1]["power_w@16"] == ""


def test_readings_outlive_a_file():
    assert Comparison.from_json(WHOLE.to_json()) == WHOLE
    assert not PLAIN.metered and Comparison.from_json(WHOLE.to_json()).metered


def test_lines_of_power_are_the_records():
    made = metered(PLAIN, ("resnet50", 4))
    figure = figures.draw("power", made)
    for row in made.architectures:
        (line,) = by_gid(figure, f"curve {row.name}")
        wanted = [
            cell.power_w
            if (cell := row.latency_at(size)).reliable and cell.metered
            else pytest.approx(float("nan"), nan_ok=True)
            for size in SIZES
        ]
        assert list(line.get_xdata()) == list(SIZES) and list(line.get_ydata()) == wanted
    (hollow,) = by_gid(figure, "doubtful densenet121")
    assert hollow.get_ydata()[SIZES.index(8)] == pytest.approx(watts("densenet121", 8))
    said = small_print(figure)
    assert f"Meter: {METER}." in said and "No value at a batch size (no energy reading): resnet50 at 4." in said
    assert "Hollow marks are not reliable (disturbed, or of a wide interval): densenet121 at 8." in said


def offsets(figure) -> list:
    """Where the marks are, of all families."""
    return [place for marks in by_gid(figure, "point") for place in marks.get_offsets()]


def test_points_of_power_against_operations_are_the_records():
    figure = figures.draw("power-ops", WHOLE)
    drawn = sorted(map(tuple, offsets(figure)))
    wanted = sorted((row.profile.macs / 1e9, row.latency_at(16).power_w) for row in WHOLE.architectures)
    assert drawn == [pytest.approx(point) for point in wanted] and len(drawn) == len(NETWORKS)
    assert "At batch size 16" in small_print(figure)
    doubled = figures.draw("power-ops", WHOLE, FigureOptions(ops="flops"))
    assert max(x for x, _ in offsets(doubled)) == pytest.approx(2 * 19.632)


def test_the_batch_size_with_readings_is_shown():
    every = [(name, size) for name in NETWORKS for size in SIZES if size != 2]
    figure = figures.draw("power-ops", metered(PLAIN, *every))
    assert "At batch size 2;" in small_print(figure)


@pytest.mark.parametrize("kind", ["power", "power-ops"])
@pytest.mark.parametrize("width", [7.0, 3.3])
def test_labels_keep_clear_of_each_other_and_of_the_edge(kind, width):
    figure = figures.draw(kind, WHOLE, FigureOptions(width=width))
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    labels = by_gid(figure, "label")
    assert len(labels) == len(NETWORKS)
    boxes = [matplotlib.text.Text.get_window_extent(text, renderer) for text in labels]
    assert not [1 for place, a in enumerate(boxes) for b in boxes[:place] if a.overlaps(b)]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_energy_is_a_measure_of_the_front():
    figure = figures.draw("pareto", WHOLE, FigureOptions(x="energy", y="top1", batch_size=1))
    energies = sorted(row.latency_at(1).joules_per_sample for row in WHOLE.architectures)
    assert sorted(x for x, _ in offsets(figure)) == pytest.approx(energies)


@pytest.mark.parametrize("kind", ["power", "power-ops"])
@pytest.mark.parametrize(
    ("made", "says"),
    [
        (PLAIN, "this comparison holds no energy readings: its file names no meter. Meters are RAPL on a CPU"),
        (
            replace(PLAIN, environment={"energy_meter": None, "no_energy_meter": "only root may read it"}),
            "this comparison holds no energy readings: only root may read it. Meters are RAPL on a CPU",
        ),
        (
            replace(PLAIN, environment=ENVIRONMENT | {"energy_meter": METER}),
            f"the meter ({METER}) counted no undisturbed block that was long enough. --time-budget gives it more",
        ),
        (comparison(sizes=()), "power was not measured; run without --no-latency"),
    ],
)
def test_without_readings_the_figures_say_what_was_found(kind, made, says):
    with pytest.raises(BadOption) as caught:
        figures.draw(kind, made)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_only_networks_without_readings():
    with pytest.raises(BadOption, match="none of these networks has an energy reading; --only chooses others"):
        figures.draw("power", metered(PLAIN, *[("alexnet", size) for size in SIZES]), FigureOptions(only=("alexnet",)))


def test_a_report_shows_power_where_it_is_and_is_silent_where_not(tmp_path):
    report.write(PAIR, tmp_path / "study")
    text = (tmp_path / "study/README.md").read_text()
    drawn = {path.stem for path in (tmp_path / "study/figures").glob("power*.svg")}
    assert drawn == set(report.METERED_KINDS)
    assert "![Mean power against operations" in text and "| Power | Energy/image |" in text
    silent = comparison("resnet18", "resnet50", sizes=(1, 16))
    report.write(silent, tmp_path / "study")
    text = (tmp_path / "study/README.md").read_text()
    assert not list((tmp_path / "study/figures").glob("power*")) and "power" not in text.lower()
