"""Limits on columns, written as in a budget: "parameters < 5 M", "top1 >= 75", "family = resnet".

A number's side and amount are those of `bounds`; words are compared with = and !=, with wildcards (*, ?). 'none' is
the word for an empty one: "pretraining = none". A limit on what is unknown of a network is not held.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from ..base.errors import BadOption, printable
from .bounds import SIGNS, Bound, parse_bound, shown
from .columns import COLUMNS, Column, Facts, column

_T = TypeVar("_T")

_LIMIT = re.compile(rf"\s*(?P<column>[A-Za-z][\w\- ]*?)\s*(?P<sign>{SIGNS}|==|!=|=)\s*(?P<amount>\S.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Word:
    """What a column of words is held to: a pattern, or with `negated` anything else."""

    pattern: str
    negated: bool

    @property
    def shown(self) -> str:
        return f"{'!=' if self.negated else '='} {self.pattern}"

    def allows(self, value: str) -> bool:
        """Whether the word matches, whatever its case."""
        pattern = "" if self.pattern.lower() == "none" else self.pattern.lower()
        return fnmatch.fnmatchcase(value.lower(), pattern) != self.negated


@dataclass(frozen=True)
class Where:
    """One limit on one column; `amount` is that of a bound that has a number, or the reference's once it is known."""

    column: Column
    bound: Bound | Word
    amount: int | Fraction | None = None

    @property
    def shown(self) -> str:
        """'parameters < 5 M'."""
        return f"{self.column.name} {self.bound.shown}"

    def holds(self, facts: Facts) -> bool:
        """Whether these facts are within; False for what is unknown."""
        value = facts.get(self.column.name)
        if isinstance(self.bound, Word):
            return self.bound.allows(value or "")
        return value is not None and self.amount is not None and self.bound.allows(value, self.amount)

    def excess(self, facts: Facts) -> float:
        """By which factor the value is beyond the bound, from 0 for one that is on it; inf where it is unknown."""
        value = facts.get(self.column.name)
        if value is None or self.amount is None or not isinstance(self.bound, Bound):
            return float("inf")
        return abs(float(value) - float(self.amount)) / max(abs(float(self.amount)), 1e-12)


def parse(text: str) -> Where:
    """The limit that `text` writes. Raises BadOption: what was seen, what there is."""
    match = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadOption(
            f"limit {shown(text)} is not COLUMN SIGN AMOUNT;",
            f'expected a limit such as "parameters < 5 M". Columns: {", ".join(COLUMNS)}.',
        )
    what = f"limit {shown(text)}"
    found, sign, amount = column(match["column"], what), match["sign"], match["amount"]
    if found.parse is None:
        if sign not in ("=", "==", "!="):
            raise BadOption(f"{what}: {found.name} is a word;", f"expected '{found.name} = {printable(amount, 40)}'.")
        return Where(found, Word(amount, sign == "!="))
    if sign in ("=", "==", "!="):
        raise BadOption(f"{what}: {found.name} is a number;", f"expected <, <=, > or >=, as in '{found.name} <= ...'.")
    bound = parse_bound(f"{sign} {amount}", what, lambda value, _: found.parse(value, found.name))  # type: ignore[misc]
    return Where(found, bound, bound.number)


def parse_all(texts: Iterable[str]) -> tuple[Where, ...]:
    """Each limit, in the order given. Raises BadOption for two of which no value can hold both."""
    limits = tuple(map(parse, texts))
    for place, one in enumerate(limits):
        for other in limits[place + 1 :]:
            if exclude(one, other):
                raise BadOption(
                    f"no network has {one.column.name} {one.bound.shown} and {other.bound.shown};",
                    "leave one of the two out.",
                )
    return limits


def exclude(one: Where, other: Where) -> bool:
    """Whether no value is within both."""
    if one.column is not other.column or not isinstance(one.bound, Bound) or not isinstance(other.bound, Bound):
        return False
    if one.bound.upper == other.bound.upper or one.amount is None or other.amount is None:
        return False
    high, low = (one, other) if one.bound.upper else (other, one)
    assert high.amount is not None and low.amount is not None
    assert isinstance(high.bound, Bound) and isinstance(low.bound, Bound)
    return high.amount < low.amount or (high.amount == low.amount and (high.bound.strict or low.bound.strict))


def resolved(limits: Iterable[Where], known: Callable[[str], Facts | None]) -> tuple[Where, ...]:
    """The limits with an amount each: those relative to a network have it from `known(name)`.

    Raises BadOption where the network, or its figure, is not known.
    """
    found = []
    for limit in limits:
        if isinstance(limit.bound, Bound) and limit.bound.reference is not None:
            facts = known(limit.bound.reference) or {}
            value = facts.get(limit.column.name)
            if value is None:
                raise BadOption(
                    f"limit '{limit.shown}': {limit.column.name} of '{limit.bound.reference}' is not known here;",
                    "name a network that is listed, or write a number.",
                )
            assert limit.bound.factor is not None
            limit = Where(limit.column, limit.bound, limit.bound.factor * Fraction(value))
        found.append(limit)
    return tuple(found)


@dataclass(frozen=True)
class Emptied:
    """Why nothing is within the limits: the `limit` that empties the set, how many hold all the others, and of them
    the nearest miss: its place in the list and its value (None where the limit is unknown of all of them)."""

    limit: Where
    others: int
    nearest: int | None
    value: Any


def within(rows: Sequence[_T], facts: Sequence[Facts], limits: Sequence[Where]) -> list[_T]:
    """The rows whose facts hold every limit."""
    return [row for row, known in zip(rows, facts, strict=True) if all([limit.holds(known) for limit in limits])]


def emptied(facts: Sequence[Facts], limits: Sequence[Where]) -> Emptied | None:
    """Which limit leaves nothing of these networks, and the nearest miss: None where something is left, or no
    network is there.

    Of several limits whose absence would leave something, it is the one that is missed by least; where none alone
    is to blame, the first at which nothing is left.
    """
    if not facts or not limits or any(all(limit.holds(known) for limit in limits) for known in facts):
        return None
    best: Emptied | None = None
    least = float("inf")
    for limit in limits:
        others = [place for place, known in enumerate(facts) if _all_but(limit, limits, known)]
        if not others:
            continue
        nearest = min(others, key=lambda place: limit.excess(facts[place]))
        missed = limit.excess(facts[nearest])
        if best is None or missed < least:
            unknown = missed == float("inf")
            value = None if unknown else facts[nearest][limit.column.name]
            best, least = Emptied(limit, len(others), None if unknown else nearest, value), missed
    if best is not None:
        return best
    left = list(range(len(facts)))
    for limit in limits:
        after = [place for place in left if limit.holds(facts[place])]
        if not after:
            nearest = min(left, key=lambda place: limit.excess(facts[place]))
            unknown = limit.excess(facts[nearest]) == float("inf")
            value = None if unknown else facts[nearest][limit.column.name]
            return Emptied(limit, len(left), None if unknown else nearest, value)
        left = after
    return None


def _all_but(one: Where, limits: Sequence[Where], facts: Mapping[str, Any]) -> bool:
    return all([limit.holds(facts) for limit in limits if limit is not one])


def told(found: Emptied, nearest: str, total: int) -> str:
    """Which limit empties the set, and the nearest miss, whose name is `nearest`."""
    limit = found.limit
    of = f"{found.others:,} of {total:,} networks hold the other limits" if found.others < total else f"of {total:,}"
    if found.nearest is None:
        return f"no network is left: {of}, and none of them is known to have {limit.shown}."
    missed = limit.column.told(found.value)
    return f"no network is left: {of}, none has {limit.shown}. The nearest miss is {nearest} with {missed}."
