"""Edits as text, parsed without importing torch.

width=0.75                    an argument of the network, as in NAME(width=0.75)
@160                          its input's size, as in NAME@160
layer3.*: separable           of every layer below layer3 that can be edited so
layer4.1.conv2: kernel=1      of one layer
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..base.errors import BadOption, BadSpec, did_you_mean, printable
from ..models import spec
from ..models.spec import SHOWN
from ..separable.styles import STYLES

#: Characters of an edit, and edits of one question, at most.
LONGEST, MOST = 500, 50

_EXPECTED = "expected 'LAYERS: EDIT' such as 'layer3.*: separable', 'ARGUMENT=VALUE' such as 'width=0.75', or '@160'."

#: Activations by name; 'none' leaves the layer out.
ACTIVATIONS = ("relu", "relu6", "silu", "gelu", "hardswish", "leaky_relu", "elu", "mish", "tanh", "sigmoid", "none")


@dataclass(frozen=True)
class Word:
    """A way to edit layers: what it takes, and what it is for, in words."""

    layers: str
    takes: str
    parse: Callable[[str | None], Any]


def _extent(text: str | None) -> tuple[int, ...]:
    parts = (text or "").split("x")
    numbers = [spec.whole_number(part, 10_000) for part in parts]
    if None in numbers or len(parts) > 3:
        raise ValueError("a whole number, or several such as 1x7")
    return tuple(filter(None, numbers))


def _groups(text: str | None) -> int | str:
    if text == "depthwise":
        return text
    number = spec.whole_number(text or "", 1_000_000)
    if number is None:
        raise ValueError("a whole number, or 'depthwise'")
    return number


def _one_of(*known: str, alone: str | None = None) -> Callable[[str | None], str]:
    def parse(text: str | None) -> str:
        value = alone if text is None else text
        if value not in known:
            near = did_you_mean(value or "", known).strip()
            raise ValueError(f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0] + near)
        return value

    return parse


def _nothing(text: str | None) -> None:
    if text is not None:
        raise ValueError("no value")


CONVOLUTIONS = "convolutions"

#: The word in an edit -> what it does.
WORDS = {
    "separable": Word(CONVOLUTIONS, "separable, separable=plain", _one_of(*STYLES, alone="mobilenet")),
    "kernel": Word(CONVOLUTIONS, "kernel=3, kernel=1x7", _extent),
    "stride": Word(CONVOLUTIONS, "stride=2", _extent),
    "groups": Word(CONVOLUTIONS, "groups=32, groups=depthwise", _groups),
    "activation": Word("activation layers", "activation=relu", _one_of(*ACTIVATIONS)),
    "norm": Word("norm layers", "norm=none", _one_of("none")),
    "identity": Word("any layer", "identity", _nothing),
}


@dataclass(frozen=True)
class ArgumentEdit:
    """Arguments of the network, or the size of its input."""

    text: str
    options: tuple[tuple[str, Any], ...] = ()
    resolution: int | None = None


@dataclass(frozen=True)
class LayerEdit:
    """What becomes of the layers whose dotted names match `pattern`."""

    text: str
    pattern: str
    word: str
    value: Any


Edit = ArgumentEdit | LayerEdit


def parsed(texts: Iterable[str]) -> tuple[Edit, ...]:
    """Each edit that is written. Raises BadOption for one that is not, and for too many."""
    if isinstance(texts, str):
        texts = [texts]
    edits = tuple(parse(text) for text in texts)
    if not edits:
        raise BadOption("no edit is given;", _EXPECTED)
    if len(edits) > MOST:
        raise BadOption(f"{len(edits)} edits are given;", f"expected at most {MOST}.")
    return edits


def parse(text: str) -> Edit:
    """The edit that `text` writes. Raises BadOption, saying what is wrong with it."""
    if not isinstance(text, str):
        raise BadOption(f"an edit must be text, not of type {printable(type(text).__name__, SHOWN)};", _EXPECTED)
    stripped = text.strip()
    if not stripped or len(stripped) > LONGEST or not stripped.isprintable():
        raise BadOption(f"malformed edit '{printable(stripped, SHOWN)}';", _EXPECTED)
    if re.match(r"[A-Za-z_]\w*\s*=|@", stripped):
        return _of_arguments(stripped)
    pattern, colon, rest = (part.strip() for part in stripped.partition(":"))
    if not colon or not pattern or not rest:
        raise BadOption(f"malformed edit '{printable(stripped, SHOWN)}';", _EXPECTED)
    if not re.fullmatch(r"[\w.*?\[\]!\-]+", pattern):
        raise BadOption(
            f"edit '{printable(stripped, SHOWN)}': '{printable(pattern, SHOWN)}' is not the name of layers;",
            "expected a dotted name such as layer3.0.conv1, with * and ? as wildcards.",
        )
    word, equals, value = (part.strip() for part in rest.partition("="))
    if word not in WORDS:
        raise BadOption(
            f"edit '{printable(stripped, SHOWN)}': layers cannot be edited by '{printable(word, SHOWN)}'."
            f"{did_you_mean(word, WORDS)}",
            f"There are: {', '.join(known.takes for known in WORDS.values())}; what changes neighbours too, such as a "
            "number of channels, is an argument of the network: 'width=0.75'.",
        )
    try:
        return LayerEdit(stripped, pattern, word, WORDS[word].parse(value if equals else None))
    except ValueError as expected:
        shown = f"'{printable(value, SHOWN)}'" if equals else "nothing"
        raise BadOption(
            f"edit '{printable(stripped, SHOWN)}': '{word}' takes {expected}, not {shown};",
            f"such as '{WORDS[word].takes}'.",
        ) from None


def _of_arguments(text: str) -> ArgumentEdit:
    """'width=0.75', 'width=0.75, num_classes=10' or '@160', by the grammar of names."""
    whole = f"x{text}" if text.startswith("@") else f"x({text})"
    try:
        found = spec.parse(whole)
    except BadSpec as error:  # its own words are about a name
        reason = error.message.partition("': ")[2].rstrip(";")
        said = f"malformed edit '{printable(text, SHOWN)}'"
        raise BadOption(f"{said}: {reason};" if reason else f"{said};", _EXPECTED) from None
    return ArgumentEdit(text, found.options, found.resolution)
