"""The page in a browser: it draws, hovers, filters, sorts and saves, at both widths, without an error."""

from __future__ import annotations

import csv
import io
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.figure_data import comparison, result
from hostile.texts import TEXTS

from archprof.render import page as pages
from archprof.render.csv import csv_text
from archprof.render.figures import FigureOptions
from archprof.render.page import Start, start_of
from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency

pytestmark = pytest.mark.browser

SCRIPT = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
WAIT = 30_000  # milliseconds; a busy machine draws slowly


def study() -> Comparison:
    """The twelve networks, one that failed, and one whose every text is a program."""
    claim = Accuracy(SCRIPT, "imagenet-1k", "top1", 60.0, SCRIPT, SCRIPT, SCRIPT, None, SCRIPT)
    hostile = replace(result("alexnet", (16,)), name=SCRIPT, family=SCRIPT, source=SCRIPT, accuracy=(claim,))
    failed = ArchitectureResult("broken", "zoo", error=f"its forward raised {SCRIPT}")
    rest = comparison(sizes=(16,))
    return replace(rest, architectures=(*rest.architectures, hostile, failed), warnings=(SCRIPT,))


OFF = "\N{MULTIPLICATION SIGN}"


def saved(download) -> str:
    """The text of a file that was saved."""
    return Path(download.value.path()).read_bytes().decode()


class Opened:
    """A page that was opened; `said` is everything that the console or an uncaught error told."""

    def __init__(self, page) -> None:
        self.page = page
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        self.requests: list[str] = []

    def drawn(self, act) -> None:
        """Do something, and wait until the chart has been drawn again."""
        before = self.page.locator("#chart").get_attribute("data-ready")
        act()
        self.page.locator(f'#chart[data-ready]:not([data-ready="{before}"])').wait_for(timeout=WAIT)

    @property
    def names(self) -> list[str]:
        """The first column of the table."""
        return [text.removeprefix("◆ ") for text in self.page.locator("#table tbody th").all_inner_texts()]

    def told(self) -> str:
        return self.page.locator("#told").inner_text()

    def column(self, heading: str) -> list[str]:
        place = [re.sub(r" [▲▼]$", "", text) for text in self.page.locator("#table thead th").all_inner_texts()]
        at = place.index(heading) + 1
        return self.page.locator(f"#table tbody tr > :nth-child({at})").all_inner_texts()

    def label(self, text: str):
        return self.page.get_by_label(text, exact=True)


@pytest.fixture(scope="module")
def opened(chromium, tmp_path_factory):
    @contextmanager
    def opening(found: Comparison, start: Start, width: int = 1400, **more):
        path = pages.write(found, tmp_path_factory.mktemp("page") / "p.html", start)
        context = chromium.new_context(viewport={"width": width, "height": 900}, **more)
        try:
            shown = Opened(context.new_page())
            shown.page.goto(path.as_uri())
            shown.page.locator("#chart[data-ready]").wait_for(timeout=WAIT)
            yield shown
            assert shown.said == []
            assert [url for url in shown.requests if not url.startswith(("file:", "blob:", "data:"))] == []
        finally:
            context.close()

    return opening


BALL = start_of("ball", FigureOptions())


@pytest.mark.parametrize("width", [360, 1400])
def test_hover_shows_the_figures_and_nothing_overflows(opened, width):
    with opened(study(), BALL, width) as shown:
        page = shown.page
        assert page.evaluate("document.documentElement.scrollWidth") == width
        tip = page.locator("#tip")
        assert not tip.is_visible()
        page.locator("#chart").focus()
        page.keyboard.press("End")  # the most mult-adds: where that is, the pointer goes next
        box, ring = page.locator("#chart").bounding_box(), page.locator("#ring").bounding_box()
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.mouse.move(ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2)
        tip.wait_for(timeout=WAIT)
        said = tip.inner_text()
        assert said.startswith("vgg19") and "143.7" in said and "19.63" in said and "72.38" in said
        assert "torchvision IMAGENET1K_V1" in said and "3x224x224" in said
        told = tip.bounding_box()
        assert told["x"] >= box["x"] - 1 and told["x"] + told["width"] <= box["x"] + box["width"] + 1
        page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
        tip.wait_for(state="hidden", timeout=WAIT)


@pytest.mark.parametrize("width", [360, 1400])
def test_filters_filter_chart_and_table(opened, width):
    with opened(study(), BALL, width) as shown:
        page = shown.page
        assert shown.told().startswith("13 of 14 networks.") and len(shown.names) == 14
        shown.drawn(lambda: shown.label("Name contains").fill("ResNet"))
        assert sorted(shown.names) == ["resnet152", "resnet18", "resnet50"]
        shown.drawn(lambda: page.get_by_role("button", name="Show all", exact=True).click())
        assert len(shown.names) == 14
        shown.drawn(lambda: page.get_by_label("vgg2").uncheck())  # the family's name, and how many there are
        assert not {"vgg16", "vgg19"} & {*shown.names} and len(shown.names) == 12
        page.locator("#limits-box summary").click()
        shown.drawn(lambda: shown.label("Params (M) at most").fill("10"))
        assert sorted(shown.names) == ["densenet121", "googlenet", "mobilenet_v2", "squeezenet1_0"]
        shown.drawn(lambda: shown.label("Top-1 on ImageNet-1k (%) at least").fill("70"))
        assert sorted(shown.names) == ["densenet121", "mobilenet_v2"]
        shown.drawn(lambda: page.get_by_role("button", name="none", exact=True).click())
        assert shown.names == [] and shown.told().startswith("0 of 14 networks.")
        shown.drawn(lambda: page.get_by_role("button", name="Show all", exact=True).click())
        assert len(shown.names) == 14 and shown.label("Params (M) at most").input_value() == ""


def test_the_front_is_that_of_the_record(opened):
    made = comparison(sizes=())
    with opened(made, BALL) as shown:
        shown.drawn(lambda: shown.label("Pareto front only").check())
        # by torchvision's figures: no other of the twelve has fewer mult-adds and a higher top-1
        front = {"mobilenet_v2", "densenet121", "resnet50", "resnext50_32x4d", "resnet152"}
        assert {*shown.names} == front and "the Pareto front, 5 networks" in shown.told()


def test_what_cannot_be_relied_on_is_no_part_of_the_front(opened):
    def timed(name: str, seconds: float, why: str | None = None) -> ArchitectureResult:
        blocks = tuple(Block(seconds, 3, i, i) for i in range(5))
        return replace(result(name, ()), latency=(Latency(16, blocks, why=why),))

    rows = (timed("resnet152", 0.01, "other work held 90 % of the CPU"), timed("resnet18", 0.1), timed("vgg19", 1.0))
    start = start_of("throughput", FigureOptions())
    with opened(Comparison({"device": "cpu"}, rows), start) as shown:
        shown.drawn(lambda: shown.label("Pareto front only").check())
        assert sorted(shown.names) == ["resnet18", "vgg19"]
        shown.drawn(lambda: shown.label("Pareto front only").uncheck())
        times = dict(zip(shown.names, shown.column("Time of a pass (ms, batch 16)"), strict=True))
        assert times == {"resnet152": "~10", "resnet18": "100", "vgg19": "1,000"}


def test_axes_can_be_chosen_and_logarithmic(opened):
    with opened(comparison(sizes=(16,)), BALL) as shown:
        page = shown.page
        across = shown.label("Across")
        assert across.input_value() == "macs" and not shown.label("Across: logarithmic axis").is_checked()
        shown.drawn(lambda: shown.label("Across: logarithmic axis").check())
        shown.drawn(lambda: across.select_option("throughput@16"))
        shown.drawn(lambda: shown.label("Up").select_option("parameters"))
        assert shown.label("Up: logarithmic axis").is_checked()  # 1.2 to 144 M
        chart = page.get_by_role("application")
        assert chart.get_attribute("aria-label") == "Params (M) against Throughput (images/s, batch 16), 12 networks"
        page.locator("#chart").focus()
        page.keyboard.press("End")
        fastest = max(comparison().architectures, key=lambda row: row.latency_at(16).throughput)
        assert page.locator("#tip strong").inner_text() == fastest.name
        assert page.locator("#spoken").inner_text().startswith(f"{fastest.name}: Throughput ")


def test_one_with_no_value_above_zero_is_told_and_not_drawn_on_a_logarithmic_axis(opened):
    free = replace(result("resnet18", ()), profile=replace(result("resnet18", ()).profile, macs=0))
    with opened(Comparison({}, (free, result("vgg19", ()))), BALL) as shown:
        assert shown.told().startswith("2 of 2 networks.")
        shown.drawn(lambda: shown.label("Across: logarithmic axis").check())
        assert shown.told().startswith("1 of 2 networks.") and "or none above 0," in shown.told()


def test_ones_own_network_is_marked(opened):
    with opened(comparison(sizes=()), replace(BALL, highlight=("resnet50",))) as shown:
        page = shown.page
        assert page.locator("#marked").inner_text() == f"resnet50 {OFF}"
        pressed = page.locator('#table button[aria-pressed="true"]')
        assert [text.removeprefix("◆ ") for text in pressed.all_inner_texts()] == ["resnet50"]
        shown.label("Mark").fill("vgg16")
        shown.drawn(lambda: page.keyboard.press("Enter"))
        assert page.locator("#marked li").all_inner_texts() == [f"vgg16 {OFF}", f"resnet50 {OFF}"]
        shown.drawn(lambda: shown.label("Unmark resnet50").click())
        page.locator("#chart").focus()
        page.keyboard.press("Home")
        shown.drawn(lambda: page.keyboard.press("Enter"))
        assert page.locator("#marked li").all_inner_texts() == [f"vgg16 {OFF}", f"mobilenet_v2 {OFF}"]


def test_the_table_sorts_by_any_column_and_says_so(opened):
    with opened(study(), BALL) as shown:
        page = shown.page
        assert shown.names[:2] == ["resnet152", "resnext50_32x4d"] and shown.names[-1] == "broken"
        page.get_by_role("button", name="Params (M)", exact=True).click()
        assert shown.names[0] == "squeezenet1_0" and shown.names[-1] == "broken"
        assert page.locator('th[aria-sort="ascending"]').inner_text() == "Params (M) ▲"
        page.get_by_role("button", name="Params (M) ▲", exact=True).click()
        assert shown.names[:2] == ["vgg19", "vgg16"] and shown.names[-1] == "broken"
        page.get_by_role("button", name="Network", exact=True).click()
        assert [name for name in shown.names if name.startswith("resnet")] == ["resnet18", "resnet50", "resnet152"]


def test_csv_holds_what_is_shown_in_base_units(opened):
    with opened(study(), BALL) as shown:
        shown.drawn(lambda: shown.label("Name contains").fill("res"))
        with shown.page.expect_download(timeout=WAIT) as download:
            shown.page.get_by_role("button", name="Save what is shown (CSV)").click()
        got = list(csv.DictReader(io.StringIO(saved(download))))
        ours = {row["name"]: row for row in csv.DictReader(io.StringIO(csv_text(comparison(sizes=(16,)))))}
        assert [row["name"] for row in got] == ["resnet152", "resnext50_32x4d", "resnet50", "resnet18"]
        same = {"name", "source", "input_shape", "parameters", "macs", "flops", "activations", "top1", "p50_s@16"}
        for row in got:
            assert {key: row[key] for key in same} == {key: ours[row["name"]][key] for key in same}


def test_texts_of_others_are_shown_and_never_run(opened):
    rows = tuple(ArchitectureResult(text, "zoo", error=text) for text in TEXTS)
    found = study()
    with opened(
        replace(found, architectures=(*found.architectures, *rows)), replace(BALL, highlight=("*hacked*",))
    ) as shown:
        page = shown.page
        assert SCRIPT in shown.names and page.locator("#marked").inner_text() == f"{SCRIPT} {OFF}"
        assert page.locator("#failed li").first.inner_text() == f"broken: its forward raised {SCRIPT}"
        assert page.locator("#notes li").last.inner_text() == SCRIPT
        page.locator("#chart").focus()
        for _ in range(13):
            page.keyboard.press("ArrowRight")
            assert page.locator("#tip strong").inner_text()
        assert page.title() == f"{14 + len(TEXTS)} networks side by side"
        assert page.locator("main img, main script").count() == 0
        with page.expect_download(timeout=WAIT) as download:
            page.get_by_role("button", name="Save what is shown (CSV)").click()
        cells = [cell for row in csv.reader(io.StringIO(saved(download))) for cell in row]
        assert not any(cell[:1] in tuple("=+-@\t\r") for cell in cells if cell)


def test_light_and_dark_follow_the_system_until_one_is_chosen(opened):
    def paper(page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    with opened(comparison("resnet18", sizes=()), BALL, color_scheme="dark") as shown:
        page = shown.page
        assert paper(page) == "rgb(13, 17, 23)"
        shown.drawn(lambda: page.get_by_role("button", name="Theme: system").click())
        assert paper(page) == "rgb(255, 255, 255)"
        shown.drawn(lambda: page.get_by_role("button", name="Theme: light").click())
        assert paper(page) == "rgb(13, 17, 23)"


def test_everything_that_is_operated_has_a_name(opened):
    with opened(study(), BALL) as shown:
        unnamed = shown.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, [tabindex], [role]")]
            .filter((one) => !(one.innerText?.trim() || one.labels?.length || one.ariaLabel || one.role === "status"
                || one.getAttribute("aria-labelledby")))
            .map((one) => one.outerHTML)"""
        )
        assert unnamed == []


def test_the_picture_can_be_saved(opened):
    with opened(comparison(sizes=()), BALL) as shown:
        with shown.page.expect_download(timeout=WAIT) as download:
            shown.page.get_by_role("button", name="Save picture (SVG)").click()
        assert download.value.suggested_filename == "networks.svg"
        assert saved(download).startswith("<svg")


def test_fourteen_hundred_networks_are_drawn(opened):
    base = comparison(sizes=()).architectures
    rows = tuple(
        replace(
            row,
            name=f"many:{row.name}_{i}",
            family=f"family{i % 70}",
            profile=replace(row.profile, macs=row.profile.macs * (i + 10) // 60),
        )
        for i in range(117)
        for row in base
    )
    with opened(Comparison({}, rows), BALL) as shown:
        assert len(rows) == 1404 and shown.told().startswith("1404 of 1404 networks.")
        assert len(shown.names) == 100 and shown.names[0].startswith("resnet152_")
        shown.page.get_by_role("button", name="Show all 1404 rows").click()
        assert len(shown.names) == 1404
