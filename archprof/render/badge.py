"""A verdict as a badge: one SVG that needs nothing else, for a README."""

from __future__ import annotations

from pathlib import Path
from warnings import catch_warnings
from xml.etree import ElementTree

from ..budgets.limits import MEASURES
from ..budgets.verdict import Verdict
from . import escapes
from .tables.verdicts import value_text

#: White text on each has a contrast of at least 4.5 to 1: https://www.w3.org/TR/WCAG21/#contrast-minimum
_COLOURS = {"within": "#2e7d32", "over": "#b3261e", "under": "#b3261e", "cannot tell": "#8a6100", "error": "#595959"}
_LABEL = "#444444"

#: What stands behind the numbers, for those who do not see the colour.
_SAID = {"over": "over", "under": "under", "cannot tell": "can't tell"}

#: Pixels: the height, the text's size, and the room at either side of a text.
_HEIGHT, _SIZE, _MARGIN = 20, 11, 7

#: Letters of a budget's name at most.
LONGEST_NAME = 40

_FONTS = "Verdana,DejaVu Sans,Geneva,sans-serif"


def svg(verdict: Verdict) -> str:
    """The badge of one verdict: the budget's name, the amount and its limit, in the colour of the verdict."""
    name = escapes.xml(verdict.budget)
    name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
    said = escapes.xml(message(verdict))
    widths = [round(_width(text)) + 2 * _MARGIN for text in (name, said)]
    whole = f"{name}: {said}"
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(sum(widths)),
            "height": str(_HEIGHT),
            "role": "img",
            "aria-label": whole,
        },
    )
    ElementTree.SubElement(root, "title").text = whole
    # rounded corners, for both halves
    clip = ElementTree.SubElement(root, "clipPath", id="corners")
    ElementTree.SubElement(clip, "rect", width=str(sum(widths)), height=str(_HEIGHT), rx="3")
    halves = ElementTree.SubElement(root, "g", {"clip-path": "url(#corners)"})
    texts = ElementTree.SubElement(
        root, "g", {"fill": "#fff", "text-anchor": "middle", "font-family": _FONTS, "font-size": str(_SIZE)}
    )
    left = 0
    for text, width, colour in zip((name, said), widths, (_LABEL, _COLOURS[verdict.status]), strict=True):
        ElementTree.SubElement(halves, "rect", x=str(left), width=str(width), height=str(_HEIGHT), fill=colour)
        # textLength: whichever font there is, the text ends where its half does
        place = {"x": f"{left + width / 2:g}", "y": "14", "textLength": str(width - 2 * _MARGIN)}
        ElementTree.SubElement(texts, "text", place | {"lengthAdjust": "spacingAndGlyphs"}).text = text
        left += width
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def message(verdict: Verdict) -> str:
    """'4.90 M of 5 M parameters': the amount, its limit, and what is not within it."""
    if verdict.status == "error" or verdict.value is None:
        return "can't tell the growth" if verdict.status == "cannot tell" else "not counted"
    said = {
        "uncounted": f"{verdict.value:,.0f} calls without a formula",
        "latency": f"{value_text(verdict)}{_of(verdict)} {verdict.reference}",
    }.get(verdict.measure)
    if said is None:
        noun = MEASURES[verdict.measure].noun
        if noun.startswith("bytes "):  # the amount has its unit
            noun = noun.removeprefix("bytes ")
        growth = f", {verdict.limit}" if verdict.growth is not None else ""
        said = f"{value_text(verdict)}{'' if growth else _of(verdict)} {noun}{growth}"
    return f"{said} ({_SAID[verdict.status]})" if verdict.status in _SAID else said


def _of(verdict: Verdict) -> str:
    """' of 5 M', or ', at least 5 M'."""
    if verdict.measure == "latency":
        bound = f"{verdict.bound:g} x"
    else:
        assert verdict.bound is not None
        stated = verdict.limit.split(" ", 1)[-1]
        bound = MEASURES[verdict.measure].shown(verdict.bound) if verdict.reference else stated
    return f" of {bound}" if verdict.upper else f", at least {bound},"


def _width(text: str) -> float:
    """Pixels of a text in DejaVu Sans, whose letters are as wide as Verdana's."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
    font.set_size(_SIZE, 72)
    with catch_warnings(action="ignore"):  # a letter that the font lacks is as wide as its box
        font.set_text(text, 0.0)
    return float(font.get_width_height()[0]) / 64
