"""Whatever an exception says, it can be shown on one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archprof.base.errors import LONGEST, SAID, ArchprofError, BadSpec, one_line, printable


class Raising(Exception):
    def __str__(self):
        raise ZeroDivisionError("no text today")


class Leaving(Exception):
    def __str__(self):
        raise SystemExit(3)


class NoText(Exception):
    def __str__(self):
        return 5


class Shouting(str):
    def __getitem__(self, _):
        raise AssertionError("touched")

    split = isprintable = __len__ = __getitem__


class Subclassed(Exception):
    def __str__(self):
        return Shouting("plain after all")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such\n  size"), "ValueError: no such size"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (KeyError("width"), "KeyError: 'width'"),
        (SyntaxError("invalid syntax", ("f.py", 3, 1, "x =", 3, 2)), "SyntaxError: invalid syntax"),
        (RuntimeError("\x1b[31mred\x07\u202e"), "RuntimeError: \\x1b[31mred\\x07\\u202e"),
        (OSError("name \udcff"), "OSError: name \\udcff"),
        (ValueError("Größe 3 ≤ 4 漢字"), "ValueError: Größe 3 ≤ 4 漢字"),
        (Raising(), "Raising: its text cannot be read, for reading it raises ZeroDivisionError"),
        (Leaving(), "Leaving: its text cannot be read, for reading it raises SystemExit"),
        (NoText(), "NoText: its text cannot be read, for reading it raises TypeError"),
        (Subclassed(), "Subclassed: plain after all"),
        (type("\x1b[2J", (Exception,), {})("x"), "\\x1b[2J: x"),
    ],
)
def test_an_exception_is_one_line(error, line):
    assert one_line(error) == line


def test_the_kind_may_be_left_out_but_something_is_said():
    assert one_line(ValueError("too wide"), kind=False) == "too wide"
    assert one_line(ValueError(), kind=False) == "ValueError"


def test_long_texts_keep_both_ends():
    said = one_line(ValueError("start " + "x" * 10_000_000 + " end"))
    assert len(said) <= SAID and said.startswith("ValueError: start xx") and said.endswith("xx end") and " ... " in said


@given(st.text(), st.integers(20, 60))
def test_what_is_printable_stays_and_the_rest_is_escaped(text, longest):
    shown = printable(text, longest)
    assert shown.isprintable() and len(shown) <= longest
    if text.isprintable() and len(text) <= longest:
        assert shown == text


def test_every_known_error_is_printable():
    error = BadSpec("malformed name 'a\x1b[2Jb\n" + "c" * 10**6 + "';", "expected\tsomething.")
    assert str(error).isprintable() and len(str(error)) <= 2 * LONGEST
    assert error.message.startswith("malformed name 'a\\x1b[2Jb\\ncc") and error.remedy == "expected\\tsomething."
    assert str(ArchprofError("plain", "text.")) == "plain text."
