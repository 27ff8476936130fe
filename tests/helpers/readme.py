"""The README's first output: rendered from the measurement that is stored in tests/docs/readme.json.gz.

    archprof compare resnet50 mobilenetv1 alexnet --json readme.json
    python tests/helpers/readme.py readme.json

stores another measurement, and puts its output into the README.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from archprof.render import answer, terminal
from archprof.render.tables import answer as first_screen
from archprof.results.comparison import Comparison

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "docs" / "readme.json.gz"
COMMAND = "archprof compare resnet50 mobilenetv1 alexnet"

#: A terminal's, as the README promises.
WIDTH = 80


def output(comparison: Comparison) -> str:
    """What the command prints on a terminal of 80 columns."""
    console = Console(width=WIDTH, file=io.StringIO(), highlight=False)
    below = [*answer.sentences(comparison), answer.more(comparison)]
    terminal.show(first_screen.tables(comparison), console, export="--details", below=below)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def stored() -> Comparison:
    """The measurement."""
    return Comparison.from_json(gzip.decompress(STORED.read_bytes()).decode())


def main(path: str) -> None:
    """Store the measurement in `path` and rewrite the README's block."""
    text = Path(path).read_text()
    STORED.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    page = (ROOT / "README.md").read_text()
    block = f"```console\n$ {COMMAND}\n{output(stored())}```\n"
    found = re.compile(rf"^```console\n\$ {COMMAND}\n.*?^```\n", re.DOTALL | re.MULTILINE)
    (ROOT / "README.md").write_text(found.sub(lambda _: block, page, count=1))


if __name__ == "__main__":
    main(sys.argv[1])
