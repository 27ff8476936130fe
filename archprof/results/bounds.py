"""One side of a limit, and how it is written: the same in budgets and in --where. Standard library only.

"5 M"  "<= 5 M"  "at most 5 M"       5 M itself is allowed
"< 5 M"                              5 M itself is not
">= 1 M"  "at least 1 M"  "> 1 M"    a minimum
"0.6 x resnet18"                     relative to another network
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..base.errors import BadOption

SIGNS = r"<=|>=|≤|≥|<|>|at most\b|at least\b"

_BOUND = re.compile(rf"\s*(?P<sign>{SIGNS}|)\s*(?P<amount>.*?)\s*", re.DOTALL)
_RELATIVE = re.compile(r"(?P<factor>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*x\s+(?P<model>\S.*)", re.DOTALL)

#: No limit that anybody means is larger; below, every number that follows from one can be shown.
LARGEST_NUMBER = 10**18
LARGEST_FACTOR = 10**6

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 2, 80, 80


def shown(value: Any) -> str:
    """`value` as a complaint repeats it: one line, the middle of what is long left out."""
    return _REPR.repr(value)


@dataclass(frozen=True)
class Bound:
    """One side of a limit: at most (`upper`) or at least `number`, or `factor` times what `reference` has.

    `strict` leaves the number itself out. `text` is the limit as people write it.
    """

    upper: bool
    strict: bool
    text: str
    number: int | Fraction | None = None
    factor: Fraction | None = None
    reference: str | None = None

    def allows(self, value: float | Fraction, bound: float | Fraction) -> bool:
        """Whether `value` is on the right side of `bound`."""
        if value == bound:
            return not self.strict
        return value < bound if self.upper else value > bound

    @property
    def shown(self) -> str:
        """'≤ 5 M': the sign that was meant, then the amount as it was written."""
        return f"{('<' if self.strict else '≤') if self.upper else ('>' if self.strict else '≥')} {self.text}"


def any_network(name: str, what: str) -> str:
    """A reference that is looked up later, by whoever has the networks."""
    return name


def parse_bound(
    value: Any,
    what: str,
    parse: Callable[[Any, str], int | Fraction],
    upper: bool | None = None,
    reference: Callable[[str, str], str] = any_network,
) -> Bound:
    """One bound. `upper` is known already where the key said at_most or at_least; a sign must agree.

    `reference` checks the network that a relative limit names, and gives its spec.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadOption(f"{what} {shown(value)} is not a limit;", 'expected a number with a unit, such as "5 M".')
    match = _BOUND.fullmatch(str(value))
    assert match is not None  # every text has an empty sign and some amount
    sign, amount = match["sign"], match["amount"]
    says_upper = sign not in (">", ">=", "≥", "at least")
    if sign and upper is not None and says_upper != upper:
        raise BadOption(f"{what} {shown(value)} says both 'at most' and 'at least';", "leave the sign out.")
    side, strict = says_upper if upper is None else upper, sign in ("<", ">")
    relative = _RELATIVE.fullmatch(amount)
    if relative:
        factor = parse_factor(relative["factor"], what)
        return Bound(
            side, strict, amount, factor=factor, reference=reference(relative["model"], f"{what} {shown(amount)}")
        )
    try:
        number = parse(amount if isinstance(value, str) else value, what)
    except (OverflowError, ValueError):  # "1e999" is no number of Python's
        number = LARGEST_NUMBER + 1
    if number > LARGEST_NUMBER:
        raise BadOption(f"{what} {shown(value)} is larger than anything that is counted;", "expected at most 1e18.")
    return Bound(side, strict, amount if isinstance(value, str) else f"{value:,}", number=number)


def parse_factor(text: str, what: str) -> Fraction:
    """'0.6' as an exact fraction."""
    digits = text.partition(".")[0]
    if len(digits.lstrip("0")) > len(str(LARGEST_FACTOR)) or not 0 <= Fraction(text) <= LARGEST_FACTOR:
        raise BadOption(f"{what}: {shown(text)} is too large a factor;", f"expected at most {LARGEST_FACTOR:,}.")
    return Fraction(text)
