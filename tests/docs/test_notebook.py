"""The notebooks of examples/: every cell runs, in order, and what it shows has a form in a notebook."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    return found


def shown(source: str, names: dict[str, Any], where: str) -> Any:
    """Run a cell; the value of its last line, where that is an expression."""
    tree = ast.parse(source, where)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), names)
    return eval(compile(ast.Expression(last.value), where, "eval"), names) if last else None


def test_there_is_one():
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
class TestEach:
    def test_it_is_stripped_of_what_it_showed(self, notebook):
        for cell in cells(notebook):
            if cell["cell_type"] == "code":
                assert (cell["outputs"], cell["execution_count"], cell["metadata"]) == ([], None, {})

    def test_it_is_a_notebook_of_its_format(self, notebook):
        whole = json.loads(notebook.read_text("utf-8"))
        assert (whole["nbformat"], whole["nbformat_minor"]) == (4, 5)
        identities = [cell["id"] for cell in whole["cells"]]
        assert len(set(identities)) == len(identities)
        assert {cell["cell_type"] for cell in whole["cells"]} == {"markdown", "code"}

    def test_every_cell_runs(self, notebook, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {"__name__": "__main__"}
        values = [
            shown("".join(cell["source"]), names, f"{notebook.name}, cell {place}")
            for place, cell in enumerate(cells(notebook))
            if cell["cell_type"] == "code"
        ]
        html = [value._repr_html_() for value in values if not isinstance(value, list | Figure)]
        assert len(html) >= 5 and all("<table" in text for text in html)
        assert list(tmp_path.iterdir()) == []  # it writes nothing


def test_what_the_notebook_says_is_so():
    names: dict[str, Any] = {"__name__": "__main__"}
    sources = ["".join(cell["source"]) for cell in cells(EXAMPLES / "choose.ipynb") if cell["cell_type"] == "code"]
    last = [shown(source, names, "cell") for source in sources if "time_budget" not in source]
    assert last[0].macs == 300_774_272  # torchvision's mobilenet_v2
    assert [status for _, status in last[-1]] == ["within", "within"]
    assert last[-2].best.name.startswith("mobilenetv2")
