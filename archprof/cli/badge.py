"""Which limit `archprof check --badge` draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.errors import BadOption, did_you_mean
from ..budgets.budget import Budget
from ..budgets.limits import MEASURES
from ..budgets.verdict import Checked, Verdict

#: Budgets that a complaint lists.
LISTED = 10


@dataclass(frozen=True)
class Wanted:
    """The place of a budget among those that are judged, and the measure ('': the first)."""

    place: int
    measure: str
    told: bool  # somebody should hear what was chosen for want of a word

    def of(self, checked: Sequence[Checked]) -> Verdict:
        """Its verdict; where the network failed, the one that says so."""
        verdicts = checked[self.place].verdicts
        return next((one for one in verdicts if one.measure in (self.measure, "", "growth")), verdicts[0])


def wanted(text: str | None, budgets: Sequence[Budget], growth: bool) -> Wanted:
    """What NAME or NAME:MEASURE means; without a text, the first limit of the first budget.

    `growth` says whether growth limits are judged. Raises BadOption where nothing has that name, or nothing is limited.
    """
    limited = [_measures(budget, growth) for budget in budgets]
    if text is None:
        place = next((place for place, measures in enumerate(limited) if measures), None)
        if place is None:
            raise BadOption("there is no limit that --badge could draw;", "--update judges no growth.")
        return Wanted(place, limited[place][0], sum(map(len, limited)) > 1)
    names = [budget.name for budget in budgets]
    name, measure = (text, "") if text in names else (text.rpartition(":")[0], text.rpartition(":")[2])
    if name not in names:
        shown = name or text
        listed = ", ".join(dict.fromkeys(names[:LISTED])) + (" ..." if len(names) > LISTED else "")
        raise BadOption(f"--badge-of: no budget '{shown}'.{did_you_mean(shown, names)}", f"Known: {listed}.")
    place = names.index(name)
    if not limited[place] or (measure and measure not in limited[place]):
        what = f"'{measure}'" if measure else "anything here"
        raise BadOption(
            f"--badge-of: the budget '{name}' does not limit {what}.{did_you_mean(measure, limited[place])}",
            f"It limits: {', '.join(limited[place])}." if limited[place] else "--update judges no growth.",
        )
    return Wanted(place, measure or limited[place][0], False)


def _measures(budget: Budget, growth: bool) -> list[str]:
    """What it limits, in the order of its verdicts."""
    found = []
    for name in MEASURES:
        limit = budget.limits.get(name)
        allowed = growth and (budget.growth is not None or (limit is not None and limit.growth is not None))
        if (limit is not None and limit.bounds) or (allowed and (name != "training_bytes" or budget.counts_training)):
            found.append(name)
    return found + (["latency"] if budget.latency else [])
