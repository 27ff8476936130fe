"""Limits as --where writes them: what they mean, what is refused, and what is said where nothing is left."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.base.errors import ArchprofError, BadOption
from archprof.results import where
from archprof.results.columns import COLUMNS

NETWORKS = [
    {"name": "small", "parameters": 1_000_000, "macs": 300_000_000, "top1": 65.0, "family": "a", "pretraining": ""},
    {"name": "middle", "parameters": 5_000_000, "macs": 600_000_000, "top1": 75.0, "family": "b", "pretraining": ""},
    {"name": "large", "parameters": 9_000_000, "macs": 900_000_000, "top1": 80.1, "family": "B", "pretraining": "x"},
    {"name": "bare", "parameters": 2_000_000, "macs": 100_000_000, "top1": None, "family": "c", "pretraining": ""},
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("parameters < 5 M", "small bare"),
        ("parameters <= 5M", "small middle bare"),
        ("params at most 5 M", "small middle bare"),
        ("mult-adds at least 0.6G", "middle large"),
        ("macs>600e6", "large"),
        ("top1 >= 75", "middle large"),
        ("top1 > 75 %", "large"),
        ("Top-1 >= 80.1", "large"),  # 80.1 is no exact float, and is still at least itself
        ("top1 < 100", "small middle large"),  # unknown is not within
        ("parameters < 0.5 x large", "small bare"),
        ("family = b", "middle large"),
        ("family != b", "small bare"),
        ("name = *l*", "small middle large"),
        ("pretraining = none", "small middle bare"),
        ("pretraining != none", "large"),
    ],
)
def test_what_a_limit_keeps(text: str, names: str) -> None:
    by_name = {facts["name"]: facts for facts in NETWORKS}
    limits = where.resolved(where.parse_all([text]), by_name.get)
    assert [facts["name"] for facts in where.within(NETWORKS, NETWORKS, limits)] == names.split()


@pytest.mark.parametrize(
    ("text", "column", "number"),
    [
        ("latency < 20 ms", "latency", Fraction(1, 50)),
        ("latency < 0.5 s", "latency", Fraction(1, 2)),
        ("memory < 2 GiB", "memory", 2 * 2**30),
        ("file_size < 20 MB", "file_size", 20_000_000),
        ("flops < 1 G", "flops", 10**9),
        ("resolution <= 224", "resolution", 224),
    ],
)
def test_amounts_are_in_base_units(text: str, column: str, number: Fraction) -> None:
    limit = where.parse(text)
    assert (limit.column.name, limit.amount) == (column, number)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parametrs < 5 M", "no column is called 'parametrs'. Did you mean 'parameters'"),
        ("parameters < 5 MiB", "'MiB' is a unit of another kind; expected a number with an optional k, M, G or T"),
        ("parameters < 5 ms", "'ms' is a unit of another kind"),
        ("memory < 2 G", "'G' is a unit of another kind; expected a number with B, kB"),
        ("memory < 2", "the unit is missing"),
        ("latency < 20", "the unit is missing; expected a number with us, ms or s"),
        ("latency < 20 MiB", "'MiB' is a unit of another kind"),
        ("top1 > 7500", "above 100 %"),
        ("top1 > 75 M", "'M' is a unit of another kind"),
        ("parameters = 5 M", "parameters is a number; expected <, <=, > or >="),
        ("family < b", "family is a word; expected 'family = b'"),
        ("parameters 5 M", "is not COLUMN SIGN AMOUNT"),
        ("parameters <", "is not COLUMN SIGN AMOUNT"),
        ("", "is not COLUMN SIGN AMOUNT"),
        ("parameters < -5 M", "is not a number with a unit"),
        ("parameters < 1e30", "larger than anything that is counted"),
        ("parameters < 1 < 2", "is not a number with a unit"),
        ("macs < nan", "is not a number with a unit"),
    ],
)
def test_what_is_refused_says_what_there_is(text: str, said: str) -> None:
    with pytest.raises(BadOption) as refused:
        where.parse(text)
    assert said in str(refused.value) and "\n" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_a_limit_or_one_clear_complaint(text: str) -> None:
    try:
        where.parse(text)
    except ArchprofError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("texts", "contradict"),
    [
        (["parameters < 5 M", "parameters > 6 M"], True),
        (["parameters <= 5 M", "macs < 1 G", "parameters >= 5 M"], False),
        (["parameters < 5 M", "parameters >= 5 M"], True),
        (["parameters > 5 M", "parameters > 6 M"], False),
    ],
)
def test_limits_that_no_value_holds(texts: list[str], contradict: bool) -> None:
    if contradict:
        with pytest.raises(BadOption, match="no network has parameters"):
            where.parse_all(texts)
    else:
        where.parse_all(texts)


def empties(*texts: str) -> str:
    limits = where.parse_all(texts)
    found = where.emptied(NETWORKS, limits)
    if found is None:
        return ""
    nearest = NETWORKS[found.nearest]["name"] if found.nearest is not None else ""
    return where.told(found, str(nearest), len(NETWORKS))


def test_the_limit_that_empties_the_set_and_the_nearest_miss() -> None:
    assert empties("parameters < 5 M", "top1 > 60") == ""
    assert empties("parameters < 6 M", "top1 > 76") == (
        "no network is left: 3 of 4 networks hold the other limits, none has top1 > 76. "
        "The nearest miss is middle with 75.00 % top-1."
    )
    # of two that could be to blame, the one that is missed by less: 80.1 for 80 is nearer than 9 M for 6 M
    assert "none has top1 > 75. The nearest miss is middle with 75.00 % top-1" in empties(
        "parameters < 6 M", "top1 > 75"
    )
    assert "none has parameters < 1 k. The nearest miss is small with 1.00 M parameters." in empties("parameters < 1 k")
    # neither alone: the first at which nothing is left
    assert "none has parameters < 1 k" in empties("parameters < 1 k", "macs < 1 k")
    assert "none of them is known to have latency < 5 ms" in empties("latency < 5 ms")


def test_a_reference_that_is_not_known() -> None:
    limits = where.parse_all(["macs < 0.5 x resnet5o"])
    with pytest.raises(BadOption, match="macs of 'resnet5o' is not known here"):
        where.resolved(limits, {}.get)


def test_every_column_of_numbers_can_be_limited_and_shown() -> None:
    for column in COLUMNS.values():
        if column.parse is not None:
            amount = {"latency": "5 ms"}.get(column.name) or ("5 MiB" if "iB" in column.shown(2**21) else "5")
            assert where.parse(f"{column.name} < {amount}").column is column
            assert column.told(1_500_000)
