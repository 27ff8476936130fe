"""A comparison as one HTML file to look around in: works from a disk, without a server or a network.

page.write(comparison, "ball.html", page.Start(x="macs", y="top1", size="parameters"))
"""

from __future__ import annotations

from pathlib import Path

from ...base import files
from ...results.comparison import Comparison
from .content import KINDS, Start, contents, start_of, usual_start
from .document import assembled
from .library import javascript, missing

__all__ = ["EXTENSION", "KINDS", "Start", "html", "missing", "start_of", "usual_start", "write"]

#: What the name of a page ends in.
EXTENSION = ".html"


def html(comparison: Comparison, start: Start | None = None) -> str:
    """The page. The same comparison and the same chart library give the same text.

    Raises MissingPackage, with the command that installs it, where there is no chart library, and BadOption where
    `start` names what is not there.
    """
    return assembled(contents(comparison, start or Start()), javascript())


def write(comparison: Comparison, path: str | Path, start: Start | None = None) -> Path:
    """Write the page, whole or not at all. Raises as `html` does, and BadOutput where the file cannot be written."""
    files.write(str(path), html(comparison, start))
    return Path(path)
