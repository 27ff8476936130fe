"""The gallery: every kind of figure, drawn from the stored data of reports/ while the site is built."""

from __future__ import annotations

import functools
import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from archprof.base.errors import BadOption
from archprof.render import figures, plotting
from archprof.render.figures import history, trials
from archprof.results.comparison import Comparison
from archprof.results.trials import Trial


class Drawn(NamedTuple):
    """Which report a kind is drawn from, and the options that it needs."""

    report: str = "imagenet-classics"
    options: dict[str, object] = {}


#: The kinds that another report shows better.
FROM = {
    "latency": Drawn("residual/inference"),
    "memory": Drawn("residual/inference"),
    "relative": Drawn("activations/mobilenetv1-inference"),
    "layers": Drawn(options={"only": ["resnet50"]}),
    "curves": Drawn("trial-digits/activations"),
    "grid": Drawn("trial-digits/learning-rates"),
}
KINDS = {kind: what.summary for kind, what in {**figures.KINDS, **trials.KINDS}.items()}

INTRODUCTION = """\
# Gallery

Every kind of figure that `archprof plot` draws, from the data that is stored with the [reports](reports/README.md); the
command below a figure draws it again, without measuring. Select a figure for its full size.
"""

OF_HISTORIES = "No report holds what it shows: a repository keeps it ([Guard a budget](docs/budgets.md#history))."


def files(root: Path, draw: bool = True) -> dict[str, str | bytes]:
    """The page, and its figures; without them, if they are not to be drawn, the page has the commands alone."""
    made: dict[str, str | bytes] = {}
    sections = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, summary in KINDS.items():
            path = f"gallery/{kind}.svg"
            shown = [f"## {kind}", f"{summary[0].upper()}{summary[1:]}."]
            try:
                if draw:
                    made[path] = _draw(kind, root, Path(folder) / f"{kind}.svg")
                    shown.append(f"[![{summary}]({path})]({path})")
                shown.append("\n".join(["```console", *(f"$ {command}" for command in commands(kind)), "```"]))
            except BadOption as why:
                shown.append(f"No report holds what it shows: {why}")
            sections += shown
    for kind, summary in history.KINDS.items():
        sections += [f"## {kind}", f"{summary[0].upper()}{summary[1:]}.", OF_HISTORIES]
    return {"gallery.md": "\n\n".join([INTRODUCTION, *sections]), **made}


def commands(kind: str) -> list[str]:
    """The commands that draw what `files` draws, in a checkout."""
    options = "".join(f" --{name} {word}" for name, word in _words(FROM.get(kind, Drawn())))
    data, unpack = _data(kind), []
    if kind in trials.KINDS:  # a trial is read unpacked
        data, unpack = "trial.json", [f"gzip -dc {data} > trial.json"]
    return [*unpack, f"archprof plot {kind} --from {data}{options} -o {kind}.svg"]


def _words(drawn: Drawn) -> Iterator[tuple[str, object]]:
    for name, value in drawn.options.items():
        for word in value if isinstance(value, list) else [value]:
            yield name, word


def _data(kind: str) -> str:
    name = "trial" if kind in trials.KINDS else "comparison"
    return f"reports/{FROM.get(kind, Drawn()).report}/{name}.json.gz"


def _draw(kind: str, root: Path, output: Path) -> bytes:
    """The figure as SVG. Raises BadOption where the report lacks what it shows."""
    plotting.plot(kind, _read(root / _data(kind)), output, **FROM.get(kind, Drawn()).options)
    return output.read_bytes()


@functools.cache
def _read(file: Path) -> Comparison | Trial:
    saved = gzip.decompress(file.read_bytes()).decode()
    return Trial.from_json(saved) if file.name.startswith("trial") else Comparison.from_json(saved)
