"""Tables on a terminal and in a pipe: as wide as asked for, without blanks at line ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.render import terminal
from archprof.render.tables.table import Cell, Column, Table


def table(columns: int = 8, note: str = "") -> Table:
    """Names and numbers; the last columns are details."""
    headings = [Column(f"k{place}", f"Heading {place}", detail=place > 4) for place in range(columns)]
    rows = tuple(tuple(Cell(f"value {line}.{place}") for place in range(columns)) for line in range(3))
    return Table("A title", tuple(headings), rows, (note,) if note else ())


@pytest.fixture
def shown(capsys, monkeypatch):
    def show(columns: str | None, *tables: Table) -> list[str]:
        monkeypatch.delenv("COLUMNS", raising=False)
        if columns is not None:
            monkeypatch.setenv("COLUMNS", columns)
        terminal.show(tables)
        return capsys.readouterr().out.splitlines()

    return show


@pytest.mark.parametrize("columns", ["60", "72", "100", "140"])
def test_a_pipe_is_as_wide_as_columns_says(columns, shown):
    lines = shown(columns, table())
    assert max(map(len, lines)) <= int(columns)
    assert any("value 2.0" in line for line in lines)


@pytest.mark.parametrize("columns", [None, "", "0", "-3", "wide", "1e3"])
def test_a_pipe_keeps_its_columns_whole_without_one(columns, shown):
    lines = shown(columns, table())
    assert any("Heading 0" in line and "Heading 7" in line for line in lines)
    assert max(map(len, lines)) <= terminal.PIPED


def test_no_line_ends_in_blanks(shown):
    for lines in (shown(None, table(), table(2)), shown("50", table()), shown("300", table(3, "a note"))):
        assert lines == [line.rstrip() for line in lines]
        assert lines[0] == "A title"


@given(st.integers(1, 400))
def test_any_width_can_be_shown(width):
    import io

    from rich.console import Console

    out = io.StringIO()
    terminal.show([table()], Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= max(width, 1) for line in lines if not line.startswith("No room")) or width < 15
