"""Tables as LaTeX with booktabs rules."""

from __future__ import annotations

from .tables.table import Table

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "—": "---",
    "²": r"\textsuperscript{2}",
}


def latex(table: Table) -> str:
    """The table as a `tabular` (needs \\usepackage{booktabs}), its notes below it in small type."""
    places = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        f"% {table.title}",
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


def escape(text: str) -> str:
    """Letters that LaTeX would act upon, written so that it prints them."""
    return "".join(_ESCAPED.get(letter, letter) for letter in text)
