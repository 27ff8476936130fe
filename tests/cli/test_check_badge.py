"""archprof check --badge: which limit is drawn, what it says, and that any reader can."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from helpers.budget_records import TWO, budget, network, written

from archprof.budgets.networks import Relative
from archprof.budgets.verdict import Verdict
from archprof.render import badge

SVG = "{http://www.w3.org/2000/svg}"


def words(text: str) -> tuple[str, list[str]]:
    """A badge's title, and the texts that it shows."""
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img" and root.get("aria-label") == root.findtext(f"{SVG}title")
    return root.findtext(f"{SVG}title"), [one.text for one in root.iter(f"{SVG}text")]


def test_the_first_limit_of_the_first_budget_which_is_told(check, tmp_path):
    code, _, err = check(
        "--badge", "b.svg", text=budget(parameters="5 M") + TWO, net=replace(network(), parameters=4_900_000)
    )
    assert code == 1 and err == "archprof: the badge shows net:parameters; --badge-of draws another limit.\n"
    assert words((tmp_path / "b.svg").read_text()) == (
        "net: 4.90 M of 5 M parameters",
        ["net", "4.90 M of 5 M parameters"],
    )
    assert check("--badge", "b.svg", text=budget(parameters="5 M"))[2] == ""  # there is no other


@pytest.mark.parametrize(
    "of, said",
    [
        ("small", "618 of 618 parameters"),
        ("small:macs", "27.8 k of 1 M mult-adds"),
        ("wide:parameters", "1.23 k, at least 100, parameters"),
        ("a:b", "2.41 KiB of 64 KiB to save"),
        ("a:b:file_size", "2.41 KiB of 64 KiB to save"),
        ("grown", "618 parameters, growth ≤ 2 %"),
        ("lost", "not counted"),
        ("timed:latency", "1.21 x of 1.2 x mobilenetv1 (can't tell)"),
        ("below", "618, at least 1 k, parameters (under)"),
        ("relative", "618 of 371 parameters (over)"),
    ],
)
def test_a_limit_is_named(check, of, said):
    text = (
        TWO
        + budget(name="a:b", file_size="64 KiB")
        + budget(name="grown", parameters={"growth": "2 %"}).replace('{"growth": "2 %"}', '{ growth = "2 %" }')
    )
    text += budget(name="lost", model="lost", macs=1) + budget(name="timed", latency="1.2 x mobilenetv1")
    text += budget(name="below", parameters=">= 1 k") + budget(name="relative", parameters="0.6 x net")
    seen = Relative(1.21, (1.1, 1.3))
    check("--update", text=text, ratio=seen)
    _, out, err = check("--badge", "-", "--badge-of", of, ratio=seen)
    assert words(out)[1][1] == said and err == ""


@pytest.mark.parametrize(
    "options, said",
    [
        (
            ("--badge-of", "small"),
            "--badge-of names what --badge draws, and there is no --badge; add --badge FILE.svg.",
        ),
        (("--badge", "b.png"), "--badge 'b.png' does not end in .svg; a badge is an SVG."),
        (("--badge", "no/b.svg"), "the folder 'no' does not exist."),
        (
            ("--badge", "b.svg", "--badge-of", "smal"),
            "--badge-of: no budget 'smal'. Did you mean 'small'? Known: small, wide.",
        ),
        (("--badge", "b.svg", "--badge-of", "smal:macs"), "--badge-of: no budget 'smal'. Did you mean 'small'?"),
        (
            ("--badge", "b.svg", "--badge-of", "small:mac"),
            "the budget 'small' does not limit 'mac'. Did you mean 'macs'? It limits: parameters, macs.",
        ),
        (("--badge", "b.svg", "--badge-of", "small", "wide"), "--badge-of: no budget 'small'. Known: wide."),
        (("--badge", "-", "--json"), "'-' is named for two outputs"),
    ],
)
def test_misuse_is_one_line_and_writes_nothing(check, tmp_path, options, said):
    code, out, err = check(*options, text=TWO)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["archprof.toml"]


def test_an_update_judges_no_growth_so_that_nothing_can_be_drawn(check, tmp_path):
    written(tmp_path, budget(growth="2 %"))
    code, _, err = check("--update", "--badge", "b.svg")
    assert code == 2 and "there is no limit that --badge could draw; --update judges no growth." in err
    assert not (tmp_path / "archprof.lock.json").exists()


def verdict(**more) -> Verdict:
    known = {"budget": "net", "model": "net", "measure": "parameters", "status": "within", "value": 5, "limit": "≤ 9"}
    return Verdict(**known | {"bound": 9} | more)


def test_every_verdict_has_its_colour_and_its_word():
    seen = {}
    for status in ("within", "over", "under", "cannot tell", "error"):
        drawn = badge.svg(verdict(status=status))
        fills = re.findall(r'fill="(#[0-9a-f]{6})"', drawn)
        seen[status] = fills[-1], words(drawn)[1][1]
        for colour in fills:
            red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
            linear = [
                part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)
            ]
            light = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
            assert 1.05 / (light + 0.05) >= 4.5  # white text is read on it
    assert len({colour for colour, _ in seen.values()}) == 4  # over and under are both red
    assert len({said for _, said in seen.values()}) == 5


def test_a_badge_is_as_wide_as_its_text():
    root = ElementTree.fromstring(badge.svg(verdict()))
    halves = [one for one in root.iter(f"{SVG}rect") if one.get("fill")]
    widths = [int(one.get("width")) for one in halves]
    assert sum(widths) == int(root.get("width")) and [int(one.get("x")) for one in halves] == [0, widths[0]]
    for width, text in zip(widths, root.iter(f"{SVG}text"), strict=True):
        assert int(text.get("textLength")) == width - 14
    long = ElementTree.fromstring(badge.svg(verdict(budget="n" * 500)))
    assert int(long.get("width")) < 500 and next(long.iter(f"{SVG}text")).text.endswith("nnn...")
    assert ElementTree.fromstring(badge.svg(verdict(budget="网络"))) is not None  # letters that the font lacks
