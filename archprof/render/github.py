"""A check as GitHub Actions shows it: annotations at a budget's line, and the job summary."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..budgets.verdict import Checked, broken, exit_code
from . import escapes
from .markdown import markdown
from .tables import base as beside
from .tables.verdicts import conclusion, reasons, sentence, table, verdicts_of, with_files

if TYPE_CHECKING:
    from ..budgets.base_commit import BaseCommit


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


#: Letters of a comment at most: GitHub takes 65,536.
LONGEST_COMMENT = 65_000


def comment(checked: Sequence[Checked], strict: bool = False, base: BaseCommit | None = None, about: str = "") -> str:
    """A check as a comment on a pull request: the conclusion in a coloured box, then what the job summary says.

    `about` is what there is to say of the run, as Markdown. What is too long for a comment is cut.
    """
    found = {verdict.status for verdict in verdicts_of(checked)}
    box = "CAUTION" if exit_code(checked, strict) else "WARNING" if "cannot tell" in found else "TIP"
    head = f"> [!{box}]\n> {escapes.markdown(conclusion(checked, strict))}\n\n"
    end = f"\n{about}\n" if about else ""
    # nobody is to be called because a layer is named like them
    text = re.sub(r"(?<!\w)@(?=\w)", "@\u200b", _told(checked, base, ()))
    room = LONGEST_COMMENT - len(head) - len(end)
    return head + (text if len(text) <= room else _cut(text, room)) + end


def _cut(text: str, room: int) -> str:
    """The lines from the first that have room, no block of code left open, and a word about the rest."""
    said = "\n\nThe rest has no room here, and is in the job summary.\n"
    kept = text[: room - len(said)].rpartition("\n")[0]
    while kept.count("```") % 2:
        kept = kept.rpartition("\n\n")[0]
    return kept.rstrip("\n") + said


def summary(checked: Sequence[Checked], strict: bool = False, base: BaseCommit | None = None) -> str:
    """A check in Markdown: the verdicts, the change since the base, the layers behind every limit that is not held."""
    return _told(checked, base, (conclusion(checked, strict),))


def _told(checked: Sequence[Checked], base: BaseCommit | None, notes: tuple[str, ...]) -> str:
    shown = replace(table(checked), title="archprof: budgets", notes=notes)
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
