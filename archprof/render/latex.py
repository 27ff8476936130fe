"""Tables as LaTeX with booktabs rules."""

from __future__ import annotations

from .escapes import latex as escape
from .escapes import latex_comment
from .tables.table import Table


def latex(table: Table) -> str:
    """The table as a `tabular` (needs \\usepackage{booktabs}), its notes below it in small type."""
    places = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        f"% {latex_comment(table.title)}",
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{places}}}",
        r"\toprule",
        " & ".join(escape(column.heading) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(escape(table.text(row, place)) for place in range(len(row))) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if table.notes:
        lines += [
            "",
            r"\par\smallskip{\footnotesize " + r"\\ ".join(escape(note) for note in table.notes) + "}",
        ]
    return "\n".join(lines) + "\n"
