"""Scaling for people, and reading what people write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.base import units
from archprof.base.errors import BadOption


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (25_557_032, "25.6 M"),
        (4_089_184_256, "4.09 G"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (999_950, "1.00 M"),
        (1_370_626_202_000, "1.37 T"),
        (None, "—"),
    ],
)
def test_counts_scale_by_thousands(value, shown):
    assert units.count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.00 KiB"),
        (102_228_128, "97.5 MiB"),
        (2**30, "1.00 GiB"),
        (None, "—"),
    ],
)
def test_sizes_scale_by_1024(value, shown):
    assert units.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0123456, "12.3"),
        (0.0009996, "1.00"),
        (1.5, "1,500"),
        (0.00000123, "0.00123"),
        (None, "—"),
    ],
)
def test_times_are_milliseconds(value, shown):
    assert units.milliseconds(value) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5 M", 5_000_000),
        ("4.3M", 4_300_000),
        ("600 M", 600_000_000),
        ("1.2 G", 1_200_000_000),
        (1234, 1234),
        ("25_557_032", 25_557_032),
        ("25,557,032", 25_557_032),
        ("0.5 k", 500),
    ],
)
def test_counts_are_read(text, value):
    assert units.parse_count(text) == value


@pytest.mark.parametrize(("text", "value"), [("64 MiB", 64 * 2**20), ("8GB", 8 * 10**9), ("1.5 KiB", 1536), ("0 B", 0)])
def test_sizes_are_read(text, value):
    assert units.parse_size(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (units.parse_count, "5MB", "unit of another kind"),
        (units.parse_count, "five", "not a number"),
        (units.parse_count, "5 Q", "'Q' is not a unit"),
        (units.parse_size, "64 M", "unit of another kind"),
        (units.parse_size, "64", "unit is missing"),
        (units.parse_size, 64, "has no unit"),
        (units.parse_size, "-1 MiB", "not a number"),
    ],
)
def test_a_wrong_unit_is_said(parse, text, says):
    with pytest.raises(BadOption) as raised:
        parse(text, "limit")
    assert says in str(raised.value)
    assert "limit" in str(raised.value)


@given(st.integers(0, 10**15))
def test_what_is_shown_is_within_half_a_percent(value):
    number, _, unit = units.count(value).partition(" ")
    shown = float(number.replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[unit]
    assert shown == pytest.approx(value, rel=0.005)


@given(st.integers(0, 10**15))
def test_plain_numbers_survive(value):
    assert units.parse_count(str(value)) == value
    assert units.parse_size(f"{value} B") == value
