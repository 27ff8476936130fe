"""The parts of a page put together: text, style, data, programs, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from .. import escapes

#: Our programs, in the order in which they run; they share one scope.
SCRIPTS = ("data.js", "chart.js", "table.js", "controls.js")


def assembled(content: Mapping[str, Any], library: str) -> str:
    """The HTML of a page that shows `content`, drawn by `library`.

    Its Content-Security-Policy lets run the two programs that it holds, by their hashes, and nothing else: no program
    in somebody's name, none made from text, no request to anywhere.
    """
    drawing = _inline(library)
    ours = _inline("(() => {\n'use strict';\n" + "\n".join(_part(name) for name in SCRIPTS) + "})();\n")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(drawing)} {_hash(ours)}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = {
        "policy": policy,
        "title": escapes.html(content["title"]),
        "style": _part("page.css"),
        "data": escapes.script_json(content),
        "library": drawing,
        "program": ours,
    }
    # in one go, so that nothing in a part is taken for another part's place
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("page.html"))


def _inline(script: str) -> str:
    """The program as it may stand between tags, and as the browser hashes it: no end of the element, no comment of
    HTML, no letter that a parser of HTML would exchange.
    """
    script = script.replace("\r\n", "\n").replace("\r", "\n").replace("\0", r"\x00")
    return re.sub("<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
