"""What may stand between the depthwise and the pointwise half. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.errors import BadOption, did_you_mean


@dataclass(frozen=True)
class Style:
    """Whether batch normalisation and a ReLU stand between the two halves."""

    norm: bool
    activation: bool


#: mobilenet: Howard et al. 2017, figure 3 (arXiv 1704.04861). xception: Chollet 2017, section 4.7
#: (arXiv 1610.02357), finds that an activation between the halves does harm; normalisation is kept so that
#: deep networks without it elsewhere still train. plain: the two convolutions of the formula, nothing else.
STYLES = {
    "mobilenet": Style(norm=True, activation=True),
    "xception": Style(norm=True, activation=False),
    "plain": Style(norm=False, activation=False),
}

#: Ways to rewrite a network.
DIRECTIONS = ("separable", "standard")


def style_of(name: str) -> Style:
    """The style of that name. Raises BadOption, naming the nearest."""
    if name not in STYLES:
        raise BadOption(f"unknown style '{name}'.{did_you_mean(name, STYLES)}", f"Styles: {', '.join(STYLES)}.")
    return STYLES[name]


def direction_of(name: str) -> str:
    """The direction of that name. Raises BadOption, naming the nearest."""
    if name not in DIRECTIONS:
        raise BadOption(
            f"cannot rewrite to '{name}'.{did_you_mean(name, DIRECTIONS)}", f"Wanted: {' or '.join(DIRECTIONS)}."
        )
    return name
