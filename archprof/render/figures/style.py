"""How every figure looks: colours, shapes, fonts and matplotlib's settings, the same on every machine."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Theme:
    """Colours of paper and ink."""

    paper: str
    ink: str
    muted: str
    grid: str


LIGHT = Theme(paper="#ffffff", ink="#1f2328", muted="#5f6771", grid="#e4e7eb")
DARK = Theme(paper="#0d1117", ink="#e6edf3", muted="#9aa4af", grid="#272d36")

# Okabe and Ito 2008, "Color Universal Design": told apart under every common form of colour blindness.
# Yellow is left out (it vanishes on white) and black becomes a grey that shows on both papers.
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, GREY = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#7F8790",
)

# More than seven are further and further from those before them in Oklab (Ottosson 2020), greedily, among colours of
# a chroma below 0.17 that show on both papers. No two of all are nearer than 0.129, the distance of orange and
# vermillion.
PLUM, MOSS, LIME, BROWN, VIOLET, INDIGO, PINK, ROSE = (
    "#880858",
    "#285000",
    "#78D068",
    "#884810",
    "#9050B8",
    "#483890",
    "#F898F8",
    "#B84068",
)


@dataclass(frozen=True)
class FamilyStyle:
    """A family's colour and the marker that tells it apart without colour."""

    colour: str
    marker: str


#: Fixed, so that a family (`families.family_of`) looks the same in every figure.
FAMILIES = {
    "alexnet": FamilyStyle(BROWN, "s"),
    "vgg": FamilyStyle(VERMILLION, "o"),
    "inception": FamilyStyle(BLUE, "^"),
    "resnext": FamilyStyle(LIME, "P"),
    "resnet": FamilyStyle(GREEN, "D"),
    "densenet": FamilyStyle(PURPLE, "v"),
    "squeezenet": FamilyStyle(ORANGE, "h"),
    "mobilenet": FamilyStyle(SKY, "X"),
    "mobilenet (standard)": FamilyStyle(PLUM, "p"),
    "plain": FamilyStyle(ROSE, "s"),
    "nin": FamilyStyle(VIOLET, "<"),
    "enet": FamilyStyle(INDIGO, ">"),
}

#: What families beyond those with a colour of their own share.
OTHER = FamilyStyle(GREY, "o")

_COLOURS = (MOSS, PINK, INDIGO, VIOLET, ROSE, PLUM, BROWN, LIME, ORANGE, PURPLE, VERMILLION, SKY, BLUE, GREEN)
_MARKERS = ("8", "d", "*", "H", "p")


def styles_for(families: Iterable[str]) -> dict[str, FamilyStyle]:
    """Each family's style, given the family of every network: no two share a colour but those that get OTHER.

    The families with most networks have colours, at most as many as there are: the fixed one, or for strangers those
    that none of them has.
    """
    count = Counter(families)
    keyed = sorted(count, key=lambda family: (-count[family], family))[: len(_COLOURS)]
    taken = {FAMILIES[family].colour for family in keyed if family in FAMILIES}
    free = iter([colour for colour in _COLOURS if colour not in taken])
    out = {}
    for place, family in enumerate(keyed):
        out[family] = FAMILIES.get(family) or FamilyStyle(next(free), _MARKERS[place % len(_MARKERS)])
    return {family: out.get(family, OTHER) for family in count}


def styles_apart(names: Sequence[str]) -> dict[str, FamilyStyle]:
    """Colours and markers that tell up to 49 networks of one family apart, in their order."""
    colours = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, GREY)
    return {
        name: FamilyStyle(colours[place % 7], "osD^vPX"[(place + place // 7) % 7]) for place, name in enumerate(names)
    }


def shaded(look: FamilyStyle, place: int, members: int) -> FamilyStyle:
    """A shade of a family's colour for one of its members, from dark to pale in their order."""
    if members == 1:
        return look
    share = 1 - 2 * place / (members - 1)  # 1 for the first, -1 for the last
    towards = "#000000" if share > 0 else "#ffffff"
    return FamilyStyle(mixed(look.colour, towards, 0.3 * abs(share)), look.marker)


def mixed(colour: str, other: str, share: float) -> str:
    """`colour` with `share` of `other` stirred in."""
    pairs = zip(_rgb(colour), _rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


#: Shipped with matplotlib, so text has the same metrics on every machine.
FONT = "DejaVu Sans"

_SETTINGS: dict[str, Any] = {
    "font.family": FONT,
    "text.parse_math": False,  # names come from users; a '$' in one is a dollar sign
    "axes.unicode_minus": True,
    "svg.fonttype": "path",  # outlines read the same where fonts are missing
    "svg.hashsalt": "archprof",  # ids of an SVG follow from its content
    "pdf.fonttype": 42,  # whole TrueType fonts: text can be searched and edited
    "pdf.compression": 6,
}


#: Groups of matplotlib's settings that change how a figure looks (others choose backends, folders and keys).
_GROUPS = (
    "agg",
    "axes",
    "figure",
    "font",
    "grid",
    "hatch",
    "legend",
    "lines",
    "markers",
    "mathtext",
    "patch",
    "path",
    "pdf",
    "savefig",
    "scatter",
    "svg",
    "text",
    "xaxis",
    "xtick",
    "yaxis",
    "ytick",
)


def letters_lacking(texts: Iterable[str]) -> list[str]:
    """The letters that the font has no glyph for, each once, in their order: matplotlib draws a box for each."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(FONT)).get_charmap()
    return [letter for letter in dict.fromkeys("".join(texts)) if ord(letter) not in known and letter.isprintable()]


@contextmanager
def pinned_settings() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever the user's matplotlibrc says; restored afterwards.

    Meanwhile matplotlib warns of no glyph that its font lacks, several times for each letter: the page tells once.
    """
    import matplotlib

    pinned: dict[Any, Any] = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if key.split(".")[0] in _GROUPS
    }
    with matplotlib.rc_context(pinned | _SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        yield


def dark(colour: str) -> bool:
    """Whether white text reads better on `colour` than dark text (relative luminance, WCAG 2.1)."""
    return luminance(colour) < 0.25


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb', 0 to 1 (WCAG 2.1)."""
    parts = [value / 255 for value in _rgb(colour)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
