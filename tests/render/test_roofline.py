"""Ceilings as tables, layers beside them, and the figure: what stands where, never pixels."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import matplotlib
import pytest
from helpers.ceilings import ENVIRONMENT, MIB, PROBES, arithmetic, ceilings, stream
from helpers.figure_data import by_gid, small_print, words

from archprof.base.errors import BadOption
from archprof.render import figures
from archprof.render.figures import FigureOptions
from archprof.render.figures.roofline import COLOURS, slopes, spots_of
from archprof.render.markdown import markdown
from archprof.render.plotting import plot
from archprof.render.tables import ceilings as tables
from archprof.render.tables.layers import layer_table
from archprof.render.terminal import fitting
from archprof.results.ceilings import CALLS, Ceilings
from archprof.results.comparison import ArchitectureResult, Comparison, Division
from archprof.results.per_layer import BETWEEN
from archprof.results.profile import LayerCost, ModuleCost, StaticProfile, TypeCost
from archprof.results.roofline import Roofline

TABLES = """\
Ceilings of arithmetic, measured 2026-01-31 12:00 UTC
float32 | 100 | convolution 512x512x512 | 90.0 | 100
bfloat16 | 25.0 | product 512x512x512 | 25.0 | —
float16 is not to be had: no kernel for 'Half'.
Ceilings of memory, read and written bytes, by working set
1.00 MiB | L2 | 50.0 | 80.0 | 30.0 | 50.0
4.00 MiB | L3 | 20.0 | 20.0 | 20.0 | —
64.0 MiB | memory | 10.0 | 16.0 | 8.00 | 10.0
Caches of the threads together: L2 2.00 MiB, L3 16.0 MiB.

an elementwise operator | 1.00 | relu_ of 1 number
a product | 3.00 | linear, 8 to 8
a convolution | 8.00 | 1x1 of 1 position, 8 to 8
In float32, moving the data takes longer than the arithmetic below so many FLOP per byte: 2.0 from L2, 5.0 from L3, 10 \
from main memory.
"""


KNOWN = ceilings()


def plain(*shown) -> str:
    """Titles, cells and notes as lines."""
    lines = []
    for table in shown:
        lines += [table.title, *(" | ".join(table.text(row, place) for place in range(len(row))) for row in table.rows)]
        lines += table.notes
    return "\n".join(lines) + "\n"


def test_the_tables():
    assert plain(*tables.tables(ceilings())) == TABLES


def test_what_cannot_be_relied_on_is_marked():
    once = stream("copy", 512 * MIB, 12e9)
    said = plain(*tables.tables(ceilings(replace(once, seconds=once.seconds[:1]))))
    assert "512 MiB | memory | 11.8~ | 11.8~ | 11.8~ | —" in said
    assert "~ 1 of the ceilings is not reliable, memory, 512 MiB: there was time for 1 block, 3 are needed" in said


def test_a_machine_whose_caches_are_not_known_has_no_levels():
    said = plain(*tables.tables(ceilings(caches=())))
    assert "The sizes of the caches are not known." in said and "1.00 MiB | — | 50.0" in said
    assert "10 from main memory." in said


def test_a_machine_that_could_measure_nothing_is_shown_empty():
    assert "Ceilings of arithmetic" in plain(*tables.tables(Ceilings({}, ())))


# -- layers -----------------------------------------------------------------------------------------------------------


def layer(
    module: str, type: str, seconds: float, macs: int = 0, moved: int = MIB, op: str = "aten.convolution", side=8
):
    shape = (1, 8, side, side)
    return LayerCost(module, op, type, shape, shape, macs, bytes_moved=moved, seconds=seconds)


LAYERS = (
    layer("a", "conv 3x3", 4e-3, 10**8),
    layer("b", "conv 3x3", 6e-3, 10**8),
    layer("c", "conv 1x1", 2e-3, 10**7),
    layer("d", "depthwise conv 3x3", 3e-3, 10**6),
    layer("e", "fully connected", 1e-3, 2**18, op="aten.addmm"),
    layer("f", "activation", 2e-3, op="aten.relu"),
    LayerCost("", BETWEEN, BETWEEN, (), (), 0, seconds=2e-3),
)


def network(name: str, layers=LAYERS, **division) -> ArchitectureResult:
    macs = sum(one.macs or 0 for one in layers)
    types = tuple(TypeCost(one, 0, 0, 1) for one in dict.fromkeys(layer.type for layer in layers))
    modules = (ModuleCost("", "Net"), *(ModuleCost(each.module, "Conv2d") for each in layers if each.module))
    profile = StaticProfile(name, "zoo", (3, 8, 8), 1, 0, 0, 0, macs, 0, 0, 0, MIB, None, layers=layers, by_type=types,
                            modules=modules)  # fmt: skip
    return ArchitectureResult(name, "zoo", name, profile=profile, division=Division(0.02, 0.1, **division))


def study(*rows: ArchitectureResult, known: Ceilings | None = KNOWN, **environment) -> Comparison:
    return Comparison(ENVIRONMENT | environment, rows, archprof="0.1.0", ceilings=known)


@pytest.mark.parametrize("by", ["layer", "type", "op", "module"])
def test_rows_stand_against_the_ceilings_and_add_up(by):
    profile = network("net").profile
    table = layer_table(profile, by, ceilings=ceilings())
    places = {column.key: place for place, column in enumerate(table.columns)}
    *rows, total = table.rows
    best = [row[places["best_seconds"]].value for row in rows if row[places["best_seconds"]].value]
    whole = Roofline(profile, ceilings()).whole
    assert sum(best) == pytest.approx(whole.best_s) == pytest.approx(total[places["best_seconds"]].value)
    assert total[places["ceiling_share"]].value == pytest.approx(whole.best_s / 0.02)
    assert table.notes[0].startswith("At the ceilings of this machine (measured 2026-01-31 12:00 UTC)")


def test_a_row_of_the_table():
    table = layer_table(network("net").profile, "type", ceilings=ceilings())
    shown = {table.text(row, 0): [table.text(row, place) for place in range(len(row))][-3:] for row in table.rows}
    # two of 2e8 FLOP at 100 GFLOP/s and 8 us a call, in 10 ms
    assert shown["conv 3x3"] == ["compute", "4.02", "40 %"]
    assert shown["activation"] == ["memory", "0.0220", "1 %"]
    assert shown["fully connected"] == ["memory", "0.0240", "2 %"]
    assert shown[BETWEEN] == ["—", "—", "—"]
    assert "| compute | 4.02 | 40 % |" in markdown([table])


def test_where_there_is_little_room_what_binds_stays():
    table = fitting(layer_table(network("net").profile, "type", ceilings=ceilings()), 80)
    kept = [column.key for column in table.columns]
    assert kept == ["type", "calls", "macs", "seconds", "time_share", "bound_by", "ceiling_share"]
    assert table.notes[-1].startswith("No room here for Params, % mult-adds, Moved, FLOP/B, GFLOP/s, Best ms:")


def test_without_ceilings_or_times_no_column_is_added():
    profile = network("net").profile
    assert "bound_by" not in [column.key for column in layer_table(profile, "type").columns]
    counted = replace(profile, layers=tuple(one._replace(seconds=None) for one in profile.layers))
    assert "bound_by" not in [column.key for column in layer_table(counted, "type", ceilings=ceilings()).columns]


# -- the figure -------------------------------------------------------------------------------------------------------


def test_discs_are_layers_with_operations_and_those_alike_are_one():
    spots = spots_of(network("net").profile)
    assert [(spot.label, spot.kind) for spot in spots] == [
        ("a x2", "dense KxK"), ("d", "depthwise"), ("c", "1x1"), ("e", "fully connected")]  # fmt: skip
    first = spots[0]
    assert first.share == pytest.approx(0.5) and first.gflops == pytest.approx(4e8 / 10e-3 / 1e9)
    assert first.intensity == pytest.approx(2e8 / MIB)
    other = layer("b", "conv 3x3", 6e-3, 10**8, side=4)
    assert len(spots_of(network("net", (*LAYERS[:1], other)).profile)) == 2  # other shapes, another disc


def test_discs_stand_where_rate_and_intensity_say():
    figure = figures.draw("roofline", study(network("net")))
    (discs,) = by_gid(figure, "discs")
    expected = [(spot.intensity, spot.gflops) for spot in spots_of(network("net").profile)]
    assert [tuple(offset) for offset in discs.get_offsets().tolist()] == [pytest.approx(each) for each in expected]
    sizes = discs.get_sizes()
    assert sizes[0] / sizes[1] == pytest.approx(10 / 3) and len(set(map(tuple, discs.get_facecolors()))) == 4
    assert {matplotlib.colors.to_hex(colour) for colour in discs.get_facecolors()[:, :3]} == {
        COLOURS[kind].lower() for kind in ("dense KxK", "depthwise", "1x1", "fully connected")}  # fmt: skip


def test_roofs_are_bandwidths_and_the_highest_rate():
    figure = figures.draw("roofline", study(network("net")))
    for line, gb_per_s in zip(by_gid(figure, "slope"), (50, 20, 10), strict=True):
        (x0, y0), (x1, y1) = line.get_xydata()
        assert (y0 / x0, y1 / x1, y1) == pytest.approx((gb_per_s, gb_per_s, 100))
    (peak,) = by_gid(figure, "peak")
    assert peak.get_ydata().tolist() == pytest.approx([100, 100]) and peak.get_xdata()[0] == pytest.approx(2)
    assert [line.get_ydata()[0] for line in by_gid(figure, "type")] == pytest.approx([25])
    told = words(figure)
    assert {"L2 50 GB/s", "L3 20 GB/s", "memory 10 GB/s", "float32 100 GFLOP/s", "bfloat16 25.0 GFLOP/s"} <= {*told}


def test_types_of_almost_one_rate_are_named_together():
    known = ceilings(arithmetic("product", "float16", 24e9), arithmetic("product", "float64", 80e9))
    figure = figures.draw("roofline", study(network("net"), known=known))
    assert {"float32 100, float64 80.0 GFLOP/s", "bfloat16 25.0, float16 24.0 GFLOP/s"} <= {*words(figure)}
    assert len(by_gid(figure, "type")) == 3


def test_levels_that_are_hardly_apart_are_one_line():
    alike = ceilings(stream("copy", 8 * MIB, 20e9), probes=(*PROBES, stream("copy", 256 * MIB, 19e9)))
    assert list(slopes(alike)) == ["L2", "memory"]
    assert list(slopes(ceilings(caches=()))) == ["memory"]


@pytest.mark.parametrize("flops_per_s", [1e6, 1e9, 1e15])
@pytest.mark.parametrize("count", [1, 2])
def test_machines_of_any_balance_have_their_corners_in_the_figure(flops_per_s, count):
    probes = tuple(p if not p.flops else arithmetic(p.work, p.dtype, flops_per_s) for p in PROBES)
    figure = figures.draw("roofline", study(*(network(f"n{i}") for i in range(count)), known=ceilings(probes=probes)))
    for line in by_gid(figure, "slope"):
        (x0, y0), (x1, y1) = line.get_xydata()
        (left, right), (low, high) = line.axes.get_xlim(), line.axes.get_ylim()
        assert left <= x0 < x1 < right and low <= y0 * 1.0001 and y0 < y1 < high


def test_the_heading_and_the_small_print_say_what_it_shows():
    figure = figures.draw("roofline", study(network("net")))
    whole = Roofline(network("net").profile, ceilings()).whole
    assert "net against the ceilings of its machine" in words(figure)
    assert f"of 20.0 ms at best ({100 * whole.best_s / 0.02:.0f} %)" in " ".join(words(figure))
    said = small_print(figure)
    assert "Slopes: L2 50 GB/s, L3 20 GB/s, memory 10 GB/s, measured 2026-01-31 12:00 UTC." in said
    assert "Time without operations, which has no disc: net 20 % (10 % between the calls)." in said
    assert "Example CPU" in said and "not reliable" not in said


def test_what_is_not_reliable_is_told():
    once = stream("copy", 512 * MIB, 12e9)
    known = ceilings(replace(once, seconds=once.seconds[:1]))
    said = small_print(figures.draw("roofline", study(network("net", why="disturbed"), known=known)))
    assert "One ceiling is not reliable: memory, 512 MiB" in said
    assert "Times not reliable (disturbed): net." in said


def test_several_networks_have_a_panel_each_on_the_same_axes():
    rows = (network("net"), network("other", LAYERS[2:]), ArchitectureResult("gone", "zoo", error="it failed"))
    figure = figures.draw("roofline", study(*rows))
    panels = [plot for plot in figure.axes if plot.get_label().startswith("plot") and plot.get_visible()]
    assert len(panels) == 2 and len({(*plot.get_xlim(), *plot.get_ylim()) for plot in panels}) == 1
    assert [plot.get_title(loc="left").split("\n")[0] for plot in panels] == ["net", "other"]
    assert "Left out, its layers were not timed (it failed): gone." in small_print(figure)
    assert not by_gid(figure, "type")  # no room for other types


@pytest.mark.parametrize("width", [7.0, 3.3])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("dark", [False, True])
def test_labels_keep_clear_of_each_other_and_of_the_edge(width, count, dark):
    rows = [network(f"net{place}") for place in range(count)]
    figure = figures.draw("roofline", study(*rows), FigureOptions(width=width, dark=dark))
    figure.draw_without_rendering()
    renderer, whole = figure.canvas.get_renderer(), figure.bbox
    labels = by_gid(figure, "label")
    assert labels
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in labels]
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.overlaps(b), f"{one} covers {other}"
    for name, box in [
        *boxes,
        *((text.get_text(), text.get_window_extent(renderer)) for text in by_gid(figure, "roof")),
    ]:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1, name


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (study(network("net"), known=None), "holds no ceilings of its machine"),
        (study(network("net"), dtype="bfloat16"), "the layers were timed in bfloat16; Measure the layers in float32"),
        (study(network("net"), known=Ceilings(ENVIRONMENT, ())), "the ceilings lack float32, or memory"),
        (study(network("net"), known=ceilings(without="product", probes=tuple(p for p in PROBES if p.work in CALLS))),
         "the ceilings lack float32, or memory"),
        (study(ArchitectureResult("net", "zoo", error="it failed")), "no network here has layers that were timed"),
        (study(*(network(f"n{place}") for place in range(7))), r"7 networks are too many for a figure with a panel"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said(comparison, said):
    with pytest.raises(BadOption, match=said):
        figures.draw("roofline", comparison)


def test_from_python_it_is_drawn_from_what_the_command_saved(tmp_path):
    saved = Comparison.from_json(study(network("net")).to_json())
    assert saved == study(network("net"))
    assert plot("roofline", saved, tmp_path / "a.png") is not None and (tmp_path / "a.png").stat().st_size > 0
    with pytest.raises(BadOption, match="'archprof plot roofline MODEL -o FILE --json SAVED'"):
        plot("roofline", ["resnet_tiny"])


def test_one_layer_of_one_rate_has_room():
    figure = figures.draw("roofline", study(network("net", LAYERS[:1])))
    (discs,) = by_gid(figure, "discs")
    assert len(discs.get_offsets()) == 1
