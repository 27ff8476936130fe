"""What figures show: data, labels and layout, never pixels."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise

import matplotlib
import pytest
from helpers.figure_data import NETWORKS, SIZES, by_gid, comparison, result, small_print, words

from archprof.base.errors import BadOption, BadOutput
from archprof.base.units import significant
from archprof.render import figures
from archprof.render.figures import FigureOptions
from archprof.render.figures.labels import spread
from archprof.render.figures.page import Page
from archprof.render.figures.rows import short_labels
from archprof.render.figures.save import compact
from archprof.render.figures.style import DARK, FAMILIES, LIGHT, OTHER, luminance, styles_for
from archprof.results.comparison import Comparison
from archprof.results.families import KNOWN
from archprof.results.profile import LayerCost
from archprof.results.regression import line

SIGNPOSTS = ("power", "power-ops", "roofline")  # they say where to turn
DRAWABLE = [name for name in figures.KINDS if name not in SIGNPOSTS]
MEASURED = ("latency", "memory", "memory-params", "ops-latency", "throughput", "relative")  # of WHOLE
WHOLE = comparison()
swept = replace(
    WHOLE, architectures=tuple(replace(r, profile=replace(r.profile, layers=())) for r in WHOLE.architectures)
)


def options(kind: str, **more) -> FigureOptions:
    return FigureOptions(**({"only": ("resnet50",)} if kind == "layers" else {}), **more)


@cache
def usual(kind: str, width: float = 7.0):
    """The figure of the twelve networks, drawn once for all who only look."""
    return figures.draw(kind, WHOLE, options(kind, width=width))


@pytest.mark.parametrize("kind", DRAWABLE)
@pytest.mark.parametrize("width", [7.0, 3.3])
def test_labels_keep_clear_of_each_other_and_of_the_edge(kind, width):
    figure = usual(kind, width)
    figure.draw_without_rendering()  # annotations know their place only then
    renderer = figure.canvas.get_renderer()
    whole = figure.bbox
    labels = by_gid(figure, "label")
    assert labels or kind == "layers" or kind == "breakdown"
    boxes = [(text.get_text(), matplotlib.text.Text.get_window_extent(text, renderer)) for text in labels]
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.overlaps(b), f"{one} covers {other}"
    for name, box in boxes:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1, name


@pytest.mark.parametrize("kind", ["ball", "throughput"])
def test_no_label_covers_a_disc(kind):
    figure = usual(kind)
    (discs,) = by_gid(figure, "discs")
    plot = discs.axes
    centres = plot.transData.transform(discs.get_offsets())
    radii = [math.sqrt(size) / 2 * figure.dpi / 72 for size in discs.get_sizes()]
    renderer = figure.canvas.get_renderer()
    for text in by_gid(figure, "label"):
        box = text.get_window_extent(renderer)
        for (x, y), radius in zip(centres, radii, strict=True):
            nearest = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))
            assert math.dist((x, y), nearest) > radius - 0.5, text.get_text()


def test_ball_puts_each_network_where_its_numbers_are():
    (discs,) = by_gid(usual("ball"), "discs")
    drawn = {(round(x, 3), round(y, 3)) for x, y in discs.get_offsets()}
    assert drawn == {(gmacs, top1) for _, _, gmacs, top1, _, _ in NETWORKS.values()}


def test_ball_counts_two_operations_a_mac_where_asked():
    (discs,) = by_gid(figures.draw("ball", WHOLE, FigureOptions(ops="flops")), "discs")
    assert sorted(x for x, _ in discs.get_offsets())[-1] == pytest.approx(2 * 19.632)


def test_disc_area_not_radius_is_proportional_to_parameters():
    figure = usual("ball")
    (discs,) = by_gid(figure, "discs")
    parameters = {gmacs: count for _, count, gmacs, *_ in NETWORKS.values()}
    # a scatter's size is the square of the diameter in points: proportional to area
    areas = {
        round(x, 3): math.pi / 4 * size for (x, _), size in zip(discs.get_offsets(), discs.get_sizes(), strict=True)
    }
    per_parameter = [areas[gmacs] / count for gmacs, count in parameters.items()]
    assert per_parameter == pytest.approx([per_parameter[0]] * len(parameters))
    assert areas[19.632] / areas[0.819] == pytest.approx(143667240 / 1248424)
    (key,) = by_gid(figure, "size key")
    shown = [float(word.removesuffix(" M")) * 1e6 for word in words(figure) if re.fullmatch(r"[0-9.]+ M", word)]
    assert [math.pi / 4 * size / count for size, count in zip(key.get_sizes(), shown, strict=True)] == pytest.approx(
        [per_parameter[0]] * len(shown)
    )


def test_discs_of_throughput_are_proportional_to_operations():
    (discs,) = by_gid(figures.draw("throughput", WHOLE, FigureOptions(batch_size=1)), "discs")
    areas = sorted(discs.get_sizes())
    works = sorted(gmacs for _, _, gmacs, *_ in NETWORKS.values())
    assert [area / work for area, work in zip(areas, works, strict=True)] == pytest.approx([areas[0] / works[0]] * 12)


def test_bars_are_sorted_and_start_at_zero():
    figure = usual("accuracy")
    bars = figure.axes[0].patches
    widths = [bar.get_width() for bar in bars]
    assert widths == sorted((top1 for _, _, _, top1, _, _ in NETWORKS.values()), reverse=True)
    assert all(bar.get_x() == 0 for bar in bars)
    density = usual("density").axes[0].patches
    assert density[0].get_width() == pytest.approx(58.092 / 1.248424)  # squeezenet1_0


def test_latency_is_time_per_image_with_its_interval():
    figure = usual("latency")
    (line,) = by_gid(figure, "curve resnet50")
    cells = [result("resnet50").latency_at(size) for size in SIZES]
    assert list(line.get_xdata()) == list(SIZES)
    assert list(line.get_ydata()) == pytest.approx([1e3 * cell.p50_s / cell.batch_size for cell in cells])
    band = figure.axes[0].collections[list(NETWORKS).index("resnet50")]
    low, high = cells[0].ci95_s
    at_one = [y for x, y in band.get_paths()[0].vertices if x == 1]
    assert (min(at_one), max(at_one)) == pytest.approx((1e3 * low, 1e3 * high))
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"


def test_a_line_breaks_where_memory_ended_and_where_the_reading_is_doubtful():
    figure = usual("latency")
    (vgg19,) = by_gid(figure, "curve vgg19")
    assert [math.isnan(y) for y in vgg19.get_ydata()] == [False] * 6 + [True]
    (densenet,) = by_gid(figure, "curve densenet121")
    assert [size for size, y in zip(SIZES, densenet.get_ydata(), strict=True) if math.isnan(y)] == [8]
    (hollow,) = by_gid(figure, "doubtful densenet121")
    assert [size for size, y in zip(SIZES, hollow.get_ydata(), strict=True) if not math.isnan(y)] == [8]
    assert "No value at a batch size (out of memory): vgg19 at 64." in small_print(figure)
    hollow = "Hollow marks are not reliable (disturbed, or of a wide interval): densenet121 at 8."
    assert hollow in small_print(figure)


def test_memory_shows_measured_and_predicted():
    figure = usual("memory")
    row = result("resnet50")
    (measured,) = by_gid(figure, "curve resnet50")
    (predicted,) = by_gid(figure, "predicted resnet50")
    assert measured.get_ydata()[3] == pytest.approx(row.latency_at(8).measured_peak_bytes / 2**20)
    assert predicted.get_ydata()[3] == pytest.approx(
        (4 * 25557032 + 4000 + 8 * row.profile.peak_activation_bytes) / 2**20
    )
    unmeasured = figures.draw("memory", comparison(sizes=()), FigureOptions())
    assert by_gid(unmeasured, "predicted resnet50") and not by_gid(unmeasured, "curve resnet50")


def test_a_line_is_fitted_through_families_and_leaves_doubtful_points_out():
    figure = figures.draw("ops-latency", WHOLE, FigureOptions(batch_size=8))
    (fit,) = by_gid(figure, "fit resnet")
    xs, ys = fit.get_xdata(), fit.get_ydata()
    members = [name for name in NETWORKS if re.fullmatch("resnet[0-9]+", name)]
    true = line(
        [NETWORKS[name][2] for name in members],
        [1e3 * result(name).latency_at(8).p50_s / 8 for name in members],
    )
    assert (ys[1] - ys[0]) / (xs[1] - xs[0]) == pytest.approx(true.slope)
    assert f"resnet: {true.slope:.2f} ms/G, R² {true.r2:.3f}" in words(figure)
    assert "vgg" in words(figure) and not by_gid(figure, "fit vgg")  # a line goes through any two points
    hollow = "Hollow marks are not reliable and in no fit (disturbed, or of a wide interval): densenet121."
    assert hollow in small_print(figure)


def test_shares_add_up_to_all():
    figure = usual("breakdown")
    for plot in figure.axes:
        ends = [
            max(bar.get_x() + bar.get_width() for bar in plot.patches if round(bar.get_y() + 0.37) == place)
            for place in range(len(NETWORKS))
        ]
        assert ends == pytest.approx([100] * len(NETWORKS))


def test_layers_follow_the_order_of_execution():
    figure = usual("layers")
    above, below = (plot for plot in figure.axes if plot.get_label().startswith("plot"))
    layers = result("resnet50").profile.layers
    assert [bar.get_height() for bar in above.patches] == pytest.approx([layer.macs / 1e6 for layer in layers])
    assert [bar.get_height() for bar in below.patches] == pytest.approx([layer.activations / 1e6 for layer in layers])


def test_the_front_is_drawn_as_steps():
    figure = figures.draw("pareto", WHOLE, FigureOptions(x="parameters", y="top1"))
    (steps,) = by_gid(figure, "envelope")
    corners = set(zip(steps.get_xdata(), steps.get_ydata(), strict=True))
    assert (60.192808, 78.312) in corners and (143.66724, 72.376) not in corners


@pytest.mark.parametrize("kind", DRAWABLE)
def test_axes_name_their_units_and_conditions_stand_below(kind):
    figure = usual(kind)
    for plot in figure.axes:
        if plot.get_label().startswith("plot"):
            unit = r"\((.*[%GMB]|ms|times|images|images/s).*\)"
            assert re.search(unit, plot.get_xlabel()) or re.search(unit, plot.get_ylabel())
    for said in ("Example CPU", "2 threads", "float32", "torch 2.13.0", "2026-01-31"):
        assert (said in small_print(figure)) == (kind in MEASURED)
    assert "archprof 0.1.0" in small_print(figure)
    if kind in ("accuracy", "ball", "density", "throughput", "pareto"):
        assert "torchvision IMAGENET1K_V1" in small_print(figure)


@pytest.mark.parametrize("format", figures.FORMATS)
def test_the_same_comparison_gives_the_same_bytes(tmp_path, format):
    for name in ("one", "other"):
        figures.save(
            figures.draw("ball", Comparison.from_json(WHOLE.to_json()), FigureOptions(width=3.3, dpi=80)),
            tmp_path / f"{name}.{format}",
        )
    one, other = ((tmp_path / f"{name}.{format}").read_bytes() for name in ("one", "other"))
    assert one == other
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{format}", f"other.{format}"]


def test_what_a_user_set_for_matplotlib_changes_nothing_and_stays_set(tmp_path):
    usual = figures.draw("density", WHOLE, FigureOptions(dpi=60))
    figures.save(usual, tmp_path / "usual.svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        figures.save(figures.draw("density", WHOLE, FigureOptions(dpi=60)), tmp_path / "set.svg")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "usual.svg").read_bytes() == (tmp_path / "set.svg").read_bytes()


def test_fonts_travel_with_the_figure(tmp_path):
    figure = figures.draw("accuracy", WHOLE, FigureOptions(width=3.3))
    figures.save(figure, tmp_path / "a.pdf")
    figures.save(figure, tmp_path / "a.svg")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"/CreationDate" not in pdf
    svg = (tmp_path / "a.svg").read_text()
    assert "<text" not in svg and "<dc:date>" not in svg


def test_what_is_left_out_is_named():
    broken = replace(result("vgg16"), profile=None, latency=(), accuracy=(), error="raised ValueError: \x1b")
    unknown = replace(result("resnet18"), accuracy=())
    mixed = Comparison({}, (broken, unknown, result("resnet50"), result("alexnet")))
    printed = small_print(figures.draw("ball", mixed, FigureOptions()))
    assert "Left out (failed): vgg16." in printed and "ValueError" not in printed
    assert "Left out (no published top1 on imagenet-1k): resnet18." in printed


def test_labels_are_renamed_and_names_kept_or_dropped():
    figure = figures.draw(
        "accuracy", WHOLE, FigureOptions(only=("resnet*", "VGG19"), labels={"resnet50": "ResNet-$50$"})
    )
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "resnet152",
        "ResNet-$50$",
        "vgg19",
        "resnet18",
    ]
    assert "mine" in words(figures.draw("accuracy", WHOLE, FigureOptions(title="mine")))


@pytest.mark.parametrize(
    "kind, made, more, says",
    [
        ("bal", WHOLE, {}, "unknown figure 'bal'. Did you mean 'ball'"),
        ("latency", comparison(sizes=()), {}, "latency was not measured; run without --no-latency"),
        ("throughput", comparison(sizes=()), {}, "latency was not measured; run without --no-latency"),
        ("ops-latency", comparison(sizes=()), {}, "latency was not measured; run without --no-latency"),
        ("ops-latency", WHOLE, {"batch_size": 3}, "measured: 1, 2, 4, 8, 16, 32, 64"),
        ("ball", WHOLE, {"dataset": "cifar10"}, "top1 on imagenet-1k"),
        ("power", WHOLE, {}, "NVML"),
        ("separable", swept, {}, "alexnet: no count by layer"),
        ("relative", comparison(sizes=()), {}, "latency was not measured; run without --no-latency"),
        ("relative", comparison("alexnet"), {}, "compare at least two networks"),
        ("relative", WHOLE, {"batch_size": 3}, "--batch-size chooses another"),
        ("layers", WHOLE, {}, "choose with --only"),
        ("pareto", WHOLE, {"x": "mac"}, "Did you mean 'macs'"),
        ("pareto", WHOLE, {"x": "macs", "y": "macs"}, "both 'macs'"),
        ("ball", WHOLE, {"only": ("resent50",)}, "Did you mean 'resnet50'"),
        ("ball", WHOLE, {"labels": {"resnet5": "x"}}, "Did you mean 'resnet50'"),
        ("ball", Comparison({}, ()), {}, "holds no architecture"),
        ("ball", WHOLE, {"height": 1.6}, "leaves no room"),
    ],
)
def test_what_cannot_be_drawn_says_what_would_help(kind, made, more, says):
    with pytest.raises(BadOption) as caught:
        figures.draw(kind, made, FigureOptions(**more))
    assert says in str(caught.value)


@pytest.mark.parametrize("more", [{"width": 0.5}, {"width": math.nan}, {"height": 400.0}, {"dpi": 5}, {"ops": "gops"}])
def test_sizes_out_of_range_are_refused(more):
    with pytest.raises(BadOption):
        FigureOptions(**more)


def test_other_formats_and_folders_are_refused(tmp_path):
    figure = figures.draw("accuracy", WHOLE, FigureOptions(width=3.3))
    with pytest.raises(BadOption, match=r"'.sgv' is not a figure format. Did you mean 'svg'"):
        figures.save(figure, tmp_path / "a.sgv")
    with pytest.raises(BadOutput):
        figures.save(figure, tmp_path / "missing" / "a.svg")


def test_savings_are_those_of_the_formula():
    """One 3x3 convolution from 3 to 16 channels at 32x32 and nothing else: 442,368 mult-adds, 76,800 if separable."""
    layer = LayerCost(
        "conv", "aten.convolution", "conv 3x3", (1, 3, 32, 32), (1, 16, 32, 32), 442_368, weights=432, kernel=(3, 3)
    )
    made = replace(WHOLE.architectures[0].profile, macs=442_368, parameters=432, layers=(layer,))
    figure = figures.draw("separable", Comparison({}, (replace(WHOLE.architectures[0], profile=made),)))
    (now, less), (then, left) = ([mark.get_xdata()[0] for mark in by_gid(figure, gid)] for gid in ("now", "then"))
    assert (now, then) == pytest.approx((442_368e-9, 76_800e-9)) and (less, left) == pytest.approx((432e-6, 75e-6))
    assert [text.get_text() for text in by_gid(figure, "label")] == ["17 %", "17 %"]


def test_relative_times_are_the_ratios_of_the_record():
    figure = usual("relative")
    shown = {text.get_text() for text in by_gid(figure, "label")}
    wanted = [ratio for ratio in WHOLE.ratios if ratio.batch_size == 16]
    assert len(wanted) == len(WHOLE.architectures) - 1
    assert shown == {significant(ratio.ratio) for ratio in wanted}
    (line,) = by_gid(figure, "reference")
    assert list(line.get_xdata()) == [1.0, 1.0]


def test_one_family_alone_is_told_apart_by_colour_and_marker():
    page = Page(comparison("resnet18", "resnet50", "resnet152"), FigureOptions())
    assert len({page.look(row) for row in page.rows}) == 3
    mixed = Page(WHOLE, FigureOptions())
    looks = {row.name: mixed.look(row) for row in mixed.rows}
    assert looks["alexnet"] == FAMILIES["alexnet"] and looks["resnet18"] != looks["resnet50"]
    assert {look.marker for name, look in looks.items() if name.startswith("resnet")} == {"D"}


@pytest.mark.parametrize(
    "names, labels",
    [
        (["mobilenetv1(width=0.5)@160"], ["mobilenetv1(width=0.5)@160"]),
        (["mobilenetv1_050@160", "resnet50"], ["mobilenetv1_050@160", "resnet50"]),
        (["m(inplace=false, activation=relu)", "m(inplace=false, activation=gelu)"], ["m(relu)", "m(gelu)"]),
        (["m(a=1,b=2)@64", "m(a=1,b=3)@64", "m"], ["m(a=1, b=2)@64", "m(a=1, b=3)@64", "m"]),
        (["m(a=x)@64", "m(b=x)@64"], ["m(a=x)@64", "m(b=x)@64"]),
        (["m(a=1)@64", "m(a=1)@32"], ["m@64", "m@32"]),
        (["Two words", "net(1)"], ["Two words", "net(1)"]),
        (["timm:a", "timm:b@64"], ["a", "b@64"]),
        (["timm:a", "torchvision:a"], ["timm:a", "torchvision:a"]),
        (["timm:a", "b"], ["timm:a", "b"]),
        (["timm:a"], ["timm:a"]),
        (["timm:", "timm:b"], ["timm:", "timm:b"]),
    ],
)
def test_labels_leave_out_what_namesakes_share(names, labels):
    assert list(short_labels(names).values()) == labels


def test_families_keep_their_colour_whatever_stands_beside_them():
    assert styles_for(["vgg", "mine", "yours"])["vgg"] == styles_for(["vgg"])["vgg"] == FAMILIES["vgg"]
    assert set(KNOWN.values()) <= set(FAMILIES)
    assert len({look.colour for look in FAMILIES.values()}) == len(FAMILIES)


@pytest.mark.parametrize(
    "families",
    [
        ["inception", "efficientnet", "regnet"],
        [*FAMILIES, "efficientnet", "regnet"],
        [f"family{i % 60}" for i in range(600)] + [*FAMILIES],
        ["efficientnet", "convnext", "vit"],
    ],
)
def test_no_two_families_share_a_colour_but_the_grey_of_all_others(families):
    styles = styles_for(families)
    assert {*styles} == {*families}
    told = [look.colour for look in styles.values() if look != OTHER]
    assert len(set(told)) == len(told) == min(len(styles), 14) and OTHER.colour not in told
    assert (OTHER in styles.values()) == (len(styles) > 14)
    for one, other in combinations([*told, OTHER.colour], 2):
        assert math.dist(oklab(one), oklab(other)) > 0.125, (one, other)


def oklab(colour: str) -> tuple[float, float, float]:
    """Ottosson 2020: a space in which distance is difference to the eye; black and white are 1 apart."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    )


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_stands_out_from_the_paper(theme):
    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    assert (
        contrast(theme.ink, theme.paper) >= 7 and contrast(theme.muted, theme.paper) >= 4.5
    )  # WCAG 2.1, 1.4.3 and 1.4.6


def test_spread_keeps_order_and_distance():
    assert spread([5, 5, 5], 2, 0, 20) == pytest.approx([3, 5, 7])
    assert spread([1, 10, 19], 2, 0, 20) == [1, 10, 19]
    assert spread([0, 0], 2, 0, 20) == [1, 3]
    assert spread([20, 20, 20], 2, 0, 20) == [15, 17, 19]
    crowded = spread([1.0] * 5, 4, 0, 10)
    assert [b - a for a, b in pairwise(crowded)] == pytest.approx([2] * 4)


def test_drawing_from_a_file_imports_neither_torch_nor_pyplot(tmp_path):
    (tmp_path / "c.json").write_text(WHOLE.to_json())
    code = (
        "import sys; from archprof.cli import main; "
        f"code = main(['plot', 'ball', '--from', {str(tmp_path / 'c.json')!r}, '-o', "
        f"{str(tmp_path / 'b.svg')!r}]); "
        "assert not {'torch', 'matplotlib.pyplot', 'pandas'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")


def test_asking_for_help_imports_no_matplotlib():
    code = (
        "import sys, contextlib\nfrom archprof.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['plot', '--help'])\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in figures.KINDS)


def test_a_compact_svg_is_the_same_picture():
    written = (
        b'<svg>\n <metadata>\n  <x/>\n </metadata>\n <g id="a">\n  <path d="M 12.345678 -1 \nL 3 0.015625 \nz\n"/>\n'
        b'  <use xlink:href="#DejaVuSans-4d" transform="scale(0.015625)"/>\n </g>\n</svg>\n'
    )
    assert compact(written) == (
        b'<svg>\n<g id="a">\n<path d="M 12.34 -1L 3 0.015625z"/>\n'
        b'<use xlink:href="#r4d" transform="scale(0.015625)"/>\n</g>\n</svg>\n'
    )
