"""Write a figure to a file: whole or not at all, and the same bytes for the same figure."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...base import files
from ...base.errors import BadOption, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Extension -> metadata that is left out, because it names a date or a version.
FORMATS: dict[str, tuple[str, ...]] = {
    "png": ("Software",),
    "svg": ("Date", "Creator"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


def check_format(path: str | Path) -> str:
    """The format that the extension of `path` names. Raises BadOption for any other."""
    extension = Path(path).suffix.lower().lstrip(".")
    if extension not in FORMATS:
        seen = f"'.{extension}' is not a figure format." if extension else f"'{path}' has no extension."
        raise BadOption(
            f"{seen}{did_you_mean(extension, FORMATS)}",
            f"Expected one of: {', '.join('.' + name for name in FORMATS)}.",
        )
    return extension


def save(figure: Figure, path: str | Path) -> Path:
    """Write `figure` to `path` as PNG, SVG or PDF by its extension, through a temporary file beside it.

    SVG text is drawn as outlines and PDF fonts are embedded (type 42), so that the figure reads the same where
    its fonts are missing. Raises BadOption for another extension, BadOutput where the file cannot be written.
    """
    files.write(str(path), encode(figure, check_format(path)))
    return Path(path)


def encode(figure: Figure, format: str) -> bytes:
    """The bytes of `figure` in that format."""
    from .style import pinned_settings

    out = io.BytesIO()
    with pinned_settings():
        figure.savefig(out, format=format, metadata=dict.fromkeys(FORMATS[format]))
    return compact(out.getvalue()) if format == "svg" else out.getvalue()


def compact(svg: bytes) -> bytes:
    """The same picture in four fifths of the bytes: no indentation, paths in one line, hundredths of a point."""
    svg = _METADATA.sub(b"", svg, count=1)  # the first is the file's own; a label may spell another
    for written, shorter in _SHORTER:
        svg = written.sub(shorter, svg)
    return svg


_METADATA = re.compile(rb" *<metadata>.*?</metadata>\n", re.DOTALL)


#: What matplotlib writes, and what says the same.
_SHORTER = [
    (re.compile(rb"([1-9]\d*\.\d\d)\d+"), rb"\1"),  # scales are below 1
    (re.compile(rb"\s*\n(?=[LMCQZz\"])"), b""),
    (re.compile(rb"\n +"), b"\n"),
    (re.compile(rb"DejaVuSans-Bold-(?=[0-9a-f]+\")"), b"b"),  # ids of letters' outlines
    (re.compile(rb"DejaVuSans-(?=[0-9a-f]+\")"), b"r"),
]
