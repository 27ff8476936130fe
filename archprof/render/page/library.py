"""The chart library of a page, Vega-Lite, as one text of JavaScript.

It comes out of the package vl-convert-python, which holds the libraries' modules and bundles them when asked. That
takes several seconds and the result depends on the package's version alone, so it is kept in the user's cache folder.
Beside plotly, whose file is 4.8 MB, a page with Vega-Lite is 0.9 MB, and its expressions are interpreted, so that the
page may forbid the browser to make programs out of text.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
from contextlib import suppress
from pathlib import Path

from ...base import cache, files
from ...base.errors import BadOutput, MissingPackage, one_line

PACKAGE = "vl_convert"


def missing() -> MissingPackage | None:
    """What to tell where a page cannot be made, None where it can."""
    if importlib.util.find_spec(PACKAGE) is not None:
        return None
    return MissingPackage(
        "a page needs the package vl-convert-python, which is not installed.",
        "Install it: pip install 'archprof[page]'",
    )


def javascript() -> str:
    """The chart library; defines `vegaEmbed` in a browser. Raises MissingPackage where there is none."""
    if (why := missing()) is not None:
        raise why
    kept = cache_file()
    with suppress(OSError, UnicodeDecodeError):
        digest, _, text = kept.read_text(encoding="utf-8").partition("\n")
        if digest == _digest(text):
            return text
    text = _bundled()
    with suppress(OSError, BadOutput):  # a folder that cannot be written costs time, nothing else
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.write(str(kept), f"{_digest(text)}\n{text}")
    return text


def cache_file() -> Path:
    """Where the bundled library is kept: archprof/vega-VERSION.js in the user's cache directory."""
    version = importlib.metadata.version("vl-convert-python")
    return cache.folder() / f"vega-{re.sub('[^0-9A-Za-z.]', '-', version)}.js"


def _bundled() -> str:
    try:
        import vl_convert

        text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    except Exception as error:  # a compiled module that does not fit this system raises what it likes
        raise MissingPackage(
            f"vl-convert-python is installed, but gives no chart library: {one_line(error)}.",
            "Install it again: pip install --force-reinstall vl-convert-python",
        ) from error
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
