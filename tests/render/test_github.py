"""The comment on a pull request: the colour of its box, what has no room, and whom it calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archprof.budgets.budget import Budget
from archprof.budgets.verdict import Checked, Verdict
from archprof.render import github


def checked(status: str, name: str = "net", count: int = 1) -> list[Checked]:
    budget = replace(Budget.of("resnet18", parameters="5 M"), name=name)
    verdict = Verdict(name, name, "uncounted", status, value=3, limit="none", detail="mylib.act has no formula")
    return [Checked(budget, None, (verdict,))] * count


@pytest.mark.parametrize(
    "status, strict, box",
    [
        ("within", False, "TIP"),
        ("cannot tell", False, "WARNING"),
        ("cannot tell", True, "CAUTION"),
        ("over", False, "CAUTION"),
        ("error", False, "CAUTION"),
    ],
)
def test_the_box_has_the_colour_of_the_verdict(status, strict, box):
    text = github.comment(checked(status), strict, about="Of abc.")
    assert text.startswith(f"> [!{box}]\n> 1 budget: 1 ") and text.endswith("\n\nOf abc.\n")
    assert text.count("1 budget: 1 ") == 1  # said once


@pytest.mark.parametrize("count", [600, 900, 5000])
def test_what_is_too_long_is_cut_between_lines(count):
    text = github.comment(checked("over", "n" * 60, count), about="Of abc.")
    assert len(text) <= github.LONGEST_COMMENT and text.endswith("Of abc.\n")
    kept, _, rest = text.partition("\n\nThe rest has no room here, and is in the job summary.\n")
    assert rest and kept.endswith((" |", ")")) and kept.count("```") % 2 == 0


def test_nobody_is_called():
    text = github.comment(checked("over", "@owner/team x@192 a @b"))
    assert "@owner" not in text and " @b" not in text and "x@192" in text
