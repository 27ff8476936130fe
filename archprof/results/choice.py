"""The best of many networks under limits, and why: the record, and what follows from it. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import presentation
from .bounds import Bound
from .columns import COLUMNS, Column, Facts
from .comparison import Accuracy
from .latency import Latency
from .profile import Shape
from .where import Emptied, Where

if TYPE_CHECKING:
    import pandas

#: The costs that the Pareto front weighs against accuracy where no limit names one.
USUAL_COSTS = ("macs",)


@dataclass(frozen=True)
class Option:
    """One network that may be chosen: its costs at `input_shape`, and the claim that is its best at that size.

    `others` are the claims of other weights of the same architecture at the same size, most accurate first.
    `measured` is its time at the batch size that was asked for, where it was measured.
    """

    name: str
    source: str
    family: str
    input_shape: Shape
    facts: Facts
    claim: Accuracy | None = None
    others: tuple[Accuracy, ...] = ()
    uncounted: int = 0
    measured: Latency | None = None


@dataclass(frozen=True)
class NextStep:
    """The network beyond the limits that is more accurate than the best and exceeds them by least.

    `costs` are the columns whose limits it exceeds. `under_one_recipe` is by how many points the two differ with the
    same weights' tag, and that tag; None where no tag is common to both.
    """

    option: Option
    costs: tuple[str, ...]
    under_one_recipe: tuple[str, float] | None = None


@dataclass(frozen=True)
class Choice:
    """What came of choosing: the networks within the limits, best first, and the reasons.

    `front` names those that no other one here beats in accuracy and in `costs`. `considered` networks were judged;
    `skipped` holds (how many, why) of those whose measurement was not needed, `unsure` names whose measurement does
    not tell on which side of the limit they are. `emptied` says why nothing is left. `notes` are whole sentences.
    """

    options: tuple[Option, ...]
    limits: tuple[Where, ...]
    sort: Column
    dataset: str
    considered: int
    costs: tuple[str, ...] = USUAL_COSTS
    front: frozenset[str] = frozenset()
    next_step: NextStep | None = None
    emptied: Emptied | None = None
    nearest: str = ""
    skipped: tuple[tuple[int, str], ...] = ()
    unsure: tuple[str, ...] = ()
    batch_size: int = 1
    notes: tuple[str, ...] = field(default=())

    @property
    def best(self) -> Option | None:
        """The first, where there is one."""
        return self.options[0] if self.options else None

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a network, best first, in base units: what the frame, the CSV and the JSON hold."""
        return [
            {
                **{name: option.facts.get(name) for name in COLUMNS if not COLUMNS[name].measured},
                "input_shape": "x".join(map(str, option.input_shape)),
                "accuracy_source": option.claim.source if option.claim else None,
                "accuracy_url": option.claim.url if option.claim else None,
                "latency": option.facts.get("latency"),
                "memory": option.facts.get("memory"),
                "front": option.name in self.front,
            }
            for option in self.options
        ]

    def to_frame(self) -> pandas.DataFrame:
        """`rows()` as a data frame."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_markdown(self) -> str:
        """Which one and why, and the first of them as a table."""
        return presentation.present(self, "markdown")

    def __repr__(self) -> str:
        return presentation.brief(self)

    def _repr_html_(self) -> str:
        return presentation.present(self, "html")


def ordered(options: Sequence[Option], by: Column) -> list[Option]:
    """Best first by that column, cheaper ones first among equals; what is unknown comes last."""

    def key(option: Option) -> tuple[bool, Any, float, float]:
        value = option.facts.get(by.name)
        known = value is not None and value != ""
        place: Any = value if known else 0
        if by.better == "more" and value is not None:
            place = -value
        if by.parse is None:
            place = str(value or "")
        return not known, place, option.facts.get("macs") or 0, option.facts.get("parameters") or 0

    return sorted(options, key=key)


def caps(limit: Where) -> bool:
    """Whether the limit is the most that something may cost."""
    return isinstance(limit.bound, Bound) and limit.bound.upper and limit.column.better == "less"


def costs_of(limits: Sequence[Where]) -> tuple[str, ...]:
    """The costs that the front weighs: those that a limit caps, or the usual ones."""
    capped = [limit.column.name for limit in limits if caps(limit)]
    return tuple(dict.fromkeys(capped)) or USUAL_COSTS


def front(options: Sequence[Option], costs: Sequence[str]) -> frozenset[str]:
    """The names of those that no other one matches in accuracy and every cost, and beats in one of them."""
    known = []
    for option in options:
        values = tuple(option.facts.get(cost) for cost in costs)
        accuracy = option.facts.get("top1")
        if accuracy is not None and None not in values:
            known.append((accuracy, values, option.name))
    # by falling accuracy, then rising costs: only what stands before can beat what comes after
    known.sort(key=lambda entry: (-entry[0], entry[1]))
    kept: list[tuple[float, tuple[Any, ...], str]] = []
    for accuracy, values, name in known:
        beaten = any(
            all(a <= b for a, b in zip(other, values, strict=True)) and (accuracy, values) != (above, other)
            for above, other, _ in kept
        )
        if not beaten:
            kept.append((accuracy, values, name))
    return frozenset(name for _, _, name in kept)


def next_step(best: Option, everyone: Sequence[Option], limits: Sequence[Where]) -> NextStep | None:
    """What more accuracy would cost: of all that are more accurate than `best` and beyond nothing but caps on costs,
    the one that exceeds them by least."""
    accuracy = best.facts.get("top1")
    capping = [limit for limit in limits if caps(limit)]
    rest = [limit for limit in limits if not caps(limit)]
    if accuracy is None or not capping:
        return None
    found: tuple[float, float, Option, tuple[str, ...]] | None = None
    for option in everyone:
        if (option.facts.get("top1") or 0) <= accuracy or not all([limit.holds(option.facts) for limit in rest]):
            continue
        over = [limit for limit in capping if not limit.holds(option.facts) and not limit.column.measured]
        if not over:
            continue
        excess = max(limit.excess(option.facts) for limit in over)
        rank = (excess, -float(option.facts["top1"]))
        if found is None or rank < found[:2]:
            found = (*rank, option, tuple(dict.fromkeys(limit.column.name for limit in over)))
    if found is None:
        return None
    return NextStep(found[2], found[3], under_one_recipe(best, found[2]))


def under_one_recipe(one: Option, other: Option) -> tuple[str, float] | None:
    """A tag of weights that both architectures have, and by how many points `other` is ahead with it."""
    mine, theirs = _by_weights(one), _by_weights(other)
    common = [tag for tag in mine if tag and tag in theirs]
    if not common:
        return None
    # the recipe of the weights that are shown for one of them says most
    shown = [claim.weights for claim in (one.claim, other.claim) if claim]
    tag = next((tag for tag in shown if tag in common), common[0])
    return tag, theirs[tag] - mine[tag]


def _by_weights(option: Option) -> dict[str, float]:
    claims = [*([option.claim] if option.claim else []), *option.others]
    return {claim.weights: claim.percent for claim in reversed(claims)}
