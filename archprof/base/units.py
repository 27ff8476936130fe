"""The only place that knows "M", "G", "MiB", "ms" and "mJ". Standard library only.

Counts scale by powers of 1000 (M = 10^6), memory by powers of 1024 (MiB = 2^20), time in ms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .errors import BadOption

DASH = "—"  # shown for what is unknown

_COUNT = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_DURATION = {"us": Fraction(1, 10**6), "ms": Fraction(1, 10**3), "s": Fraction(1)}


def count(value: float | None, digits: int = 3) -> str:
    """25557032 -> '25.6 M'; `digits` significant ones; None -> a dash."""
    if value is None:
        return DASH
    return _scaled(value, (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)), 1000, digits)


def size(value: float | None, digits: int = 3) -> str:
    """Bytes in binary units: 102228128 -> '97.5 MiB'."""
    if value is None:
        return DASH
    if value < 1024:
        return f"{value:,.0f} B"
    return _scaled(value, (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)), 1024, digits)


def milliseconds(seconds: float | None, digits: int = 3) -> str:
    """Seconds as a number of ms, without the unit: 0.01234 -> '12.3'."""
    return DASH if seconds is None else significant(seconds * 1e3, digits)


def watts(value: float | None, digits: int = 3) -> str:
    """Power with its unit: 85.24 -> '85.2 W'."""
    return DASH if value is None else f"{significant(value, digits)} W"


def joules(value: float | None, digits: int = 3) -> str:
    """Energy with its unit: 0.01234 -> '12.3 mJ', 1.5 -> '1.50 J'."""
    if value is None:
        return DASH
    unit, factor = ("J", 1.0) if _rounded(abs(value), digits) >= 1 else ("mJ", 1e3)
    return f"{significant(value * factor, digits)} {unit}"


def percent(fraction: float | None, places: int = 2) -> str:
    """0.9486 -> '94.86 %'."""
    return DASH if fraction is None else f"{100 * fraction:.{places}f} %"


def signed_percent(fraction: float | None) -> str:
    """0.26 -> '+26.00 %'; one in millions is still a change, and never 0.00 %."""
    if fraction is None:
        return DASH
    if fraction == 0:
        return "0 %"
    amount = abs(100 * fraction)
    return f"{'+' if fraction > 0 else '-'}{f'{amount:.2f}' if amount >= 0.005 else significant(amount, 1)} %"


def significant(value: float, digits: int = 3) -> str:
    """`value` with that many significant digits, never in exponent form, thousands grouped."""
    if value == 0:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".rpartition("e")[2])  # after rounding: 0.9996 has that of 1.00
    return f"{value:,.{max(digits - 1 - exponent, 0)}f}"


def _scaled(value: float, units: tuple[tuple[str, int], ...], step: int, digits: int) -> str:
    for place, (unit, factor) in enumerate(units):
        # what rounds up to a whole step of the next smaller unit belongs to this one: 999,950 is 1.00 M
        below = units[place + 1][1] if place + 1 < len(units) else 1
        if abs(value) >= factor or _rounded(abs(value) / below, digits) >= step:
            return f"{significant(value / factor, digits)} {unit}"
    return f"{value:,.0f}" if float(value).is_integer() else significant(value, digits)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def parse_count(text: str | int | float, what: str = "count") -> int:
    """'5 M' -> 5000000; plain numbers pass. Raises BadOption for a unit of memory or nonsense."""
    return _parse(text, what, _COUNT, _BYTES, "a number with an optional k, M, G or T, such as '5 M'")


def parse_size(text: str | int | float, what: str = "size") -> int:
    """'64 MiB' -> 67108864. A unit is required, so that MB and MiB are never confused."""
    if not isinstance(text, str):
        raise BadOption(f"{what} {text!r} has no unit;", "give one, such as '64 MiB' or '8 GB'.")
    return _parse(text, what, _BYTES, _COUNT, "a number with B, kB, MB, GB, KiB, MiB or GiB, such as '64 MiB'")


def parse_duration(text: str | int | float, what: str = "time") -> Fraction:
    """'20 ms' -> 1/50 of a second. A unit is required."""
    expected = "a number with us, ms or s, such as '20 ms'"
    number, unit = _number_and_unit(text, what, _DURATION, {**_COUNT, **_BYTES}, expected)
    return Fraction(float(number)) * _DURATION[unit]


def parse_percentage(text: str | int | float, what: str = "percentage") -> Fraction:
    """'75' or '75 %' -> 75, exactly the float that 75 is. Raises BadOption beyond 0 to 100."""
    expected = "a percentage from 0 to 100, such as '75'"
    number, _ = _number_and_unit(re.sub(r"\s*%\s*$", "", str(text)), what, {"": 1}, {**_COUNT, **_BYTES}, expected)
    if float(number) > 100:
        raise BadOption(f"{what} {text!r} is above 100 %;", f"expected {expected}.")
    return Fraction(float(number))


def parse_plain(text: str | int | float, what: str = "number") -> Fraction:
    """'2019' -> 2019: a number without a unit."""
    number, _ = _number_and_unit(text, what, {"": 1}, {**_COUNT, **_BYTES}, "a number without a unit")
    return Fraction(float(number))


def _parse(text: str | int | float, what: str, known: dict[str, int], other: dict[str, int], expected: str) -> int:
    number, unit = _number_and_unit(text, what, known, other | _DURATION, expected)
    exact = int(number) if number.isdigit() else float(number)
    return round(exact * known[unit])


def _number_and_unit(
    text: str | int | float, what: str, known: Mapping[str, Any], other: Mapping[str, Any], expected: str
) -> tuple[str, str]:
    match = re.fullmatch(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*", str(text))
    if not match:
        raise BadOption(f"{what} {text!r} is not a number with a unit;", f"expected {expected}.")
    number, unit = match[1].replace(",", "").replace("_", ""), match[2]
    if unit not in known:
        kind = (
            "the unit is missing"
            if not unit
            else f"'{unit}' is a unit of another kind"
            if unit in other
            else f"'{unit}' is not a unit"
        )
        raise BadOption(f"{what} {text!r}: {kind};", f"expected {expected}.")
    return number, unit
