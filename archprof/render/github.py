"""A check as GitHub Actions shows it: annotations at a budget's line, and the job summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..budgets.base_commit import BaseCommit
from ..budgets.verdict import Checked, broken
from . import escapes
from .markdown import markdown
from .tables import base as beside
from .tables.verdicts import conclusion, reasons, sentence, table, verdicts_of, with_files


def workflow_commands(checked: Sequence[Checked], located: Callable[[str], str], strict: bool = False) -> list[str]:
    """A workflow command for each verdict that is not within: shown at the budget's line of its file.

    `located` gives the path of a file as annotations need it, from the root of the repository.

    The format: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    return [
        f"::{'error' if broken(verdict.status, strict) else 'warning'} "
        f"file={escapes.workflow(located(verdict.file), ',:')},line={one.budget.line or 1},"
        f"title={escapes.workflow(f'archprof: {verdict.budget}', ',:')}::{escapes.workflow(sentence(verdict))}"
        for one in checked
        for verdict in one.verdicts
        if verdict.status != "within"
    ]


def summary(checked: Sequence[Checked], strict: bool = False, base: BaseCommit | None = None) -> str:
    """A check in Markdown: the verdicts, the change since the base, the layers behind every limit that is not held."""
    shown = replace(table(checked), title="archprof: budgets", notes=(conclusion(checked, strict),))
    tables = [shown] if base is None else [shown, beside.table(base, checked, layers=True)]
    lines = [markdown(tables, 3).rstrip("\n")]
    if base is not None and any(verdict.status != "within" for verdict in verdicts_of(checked)):
        lines += ["", "### What is not within its limit"]
    for file, verdict in with_files(verdicts_of(checked)):
        if verdict.status != "within":
            lines += ["", f"- {escapes.markdown(file + sentence(verdict), starts=True)}"]
            if found := reasons(verdict):
                block = escapes.fenced("\n".join(map(escapes.line, found)), "text")
                lines += ["", *(f"  {line}" for line in block.split("\n"))]
    return "\n".join([*lines, ""])
