"""Files of budgets that try to crash the check, to hang it, or to be taken for something else.

Each ends with exit code 2, one line that says what is wrong, and nothing written.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from helpers.budget_records import network, profiler

from archprof import cli
from archprof.budgets import judging

GOOD = '[[budget]]\nmodel = "net"\nparameters = "1 k"\n'


def limited(line: str) -> str:
    """A budget that says this too."""
    return f'[[budget]]\nmodel = "net"\n{line}\n'


#: What the file holds -> what the line says of it.
ROWS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "it states no budget"),
    "blank": (" \n\n\t\n", "it states no budget"),
    "a comment": ("# to do", "it states no budget"),
    "an empty list": ("budget = []", "it states no budget"),
    "not TOML": ("[[budget]\n", "is not valid TOML"),
    "JSON": ('{"budget": []}', "is not valid TOML"),
    "not UTF-8": (GOOD.replace("net", "n\xe9t").encode("latin-1"), "is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "is not UTF-8"),
    "null bytes": (b"\0" * 100, "is not valid TOML"),
    "nested lists": ("x = " + "[" * 5000 + "]" * 5000, "is nested too deeply"),
    "a dotted key of 3,000 parts": (limited("parameters" + ".a" * 3000 + " = 1"), "unknown key 'a'"),
    "a model of 500 dotted parts": ("[[budget]]\nmodel" + ".a" * 500 + " = 1", "budget 1: model {'a'"),
    # --- wrong types
    "one table": ("[budget]\nmodel = 'net'\n", "two brackets on each side"),
    "a list of numbers": ("budget = [1, 2]", "'budget' is not a list of tables"),
    "a text": ("budget = 'net'", "'budget' is not a list of tables"),
    "no model": ("[[budget]]\nmacs = 1\n", "budget 1 has no model"),
    "a model that is a number": ("[[budget]]\nmodel = 3\nmacs = 1\n", "model 3 is not a text"),
    "a model that is a date": ("[[budget]]\nmodel = 1979-05-27\nmacs = 1\n", "model datetime.date(1979, 5, 27) is not"),
    "a model that is blank": ("[[budget]]\nmodel = ' '\nmacs = 1\n", "model ' ' is not a text"),
    "a name that is a list": (limited("name = ['a']\nmacs = 1"), "name ['a'] is not a text"),
    "a limit that is a date": (limited("macs = 1979-05-27"), "is not a limit"),
    "a limit that is true": (limited("macs = true"), "macs True is not a limit"),
    "a limit that is a list": (limited("macs = [1]"), "macs [1] is not a limit"),
    "a limit that is empty": (limited("macs = ''"), "is not a number with a unit"),
    "a sign alone": (limited("macs = '<'"), "is not a number with a unit"),
    "lists of latencies": (limited("latency = [[['1 x net']]]"), "is not a limit"),
    "a growth that is a number": (limited("growth = 2"), "growth 2 is not a percentage"),
    "a batch of true": (limited("macs = 1\nbatch_size = true"), "batch_size True is not a batch size"),
    "a batch of 1.5": (limited("macs = 1\nbatch_size = 1.5"), "batch_size 1.5 is not a batch size"),
    "a shape of texts": (limited("macs = 1\ninput_shape = ['3']"), "input_shape ['3'] is not a shape"),
    "an input that is a number": (limited("macs = 1\ninput = 3"), "input 3 is not a list of inputs"),
    "an input of lists": (limited("macs = 1\ninput = [[3]]"), "input [[3]] is not a list of inputs"),
    "operators that are numbers": (limited("macs = 1\nallow_uncounted = [1]"), "is not a list of operators"),
    # --- unknown keys
    "another table": ("[[limit]]\nmodel = 'net'\n", "unknown key 'limit'"),
    "a key beside the budgets": ("strict = true\n" + GOOD, "unknown key 'strict'"),
    "a key of a budget": (limited("parameter = 1"), "unknown key 'parameter'. Did you mean 'parameters'"),
    "a key of a limit": (limited("macs = { atmost = 1 }"), "unknown key 'atmost'. Did you mean 'at_most'"),
    "a key with a newline": (limited('"mac\\ns" = 1'), r"'mac\ns' has a line break"),
    "a key of a million letters": (limited("a" * 10**6 + " = 1"), "a text of 1,000,000 characters"),
    "a key of the file with a newline": ('"a\\nb" = 1', r"unknown key 'a\nb'"),
    # --- numbers
    "a negative": (limited("macs = -5"), "macs -5 is not a number"),
    "a negative text": (limited("macs = '-5 M'"), "'-5 M' is not a number"),
    "not a number": (limited("macs = nan"), "macs nan is not a number"),
    "infinite": (limited("macs = inf"), "macs inf is not a number"),
    "a float beyond floats": (limited("macs = 1e999"), "macs inf is not a number"),
    "a text beyond floats": (limited("macs = '1e999'"), "'1e999' is larger than anything"),
    "a tiny exponent": (limited("macs = '1e-999999999999'\nbatch_size = 0"), "is not a batch size"),
    "an integer of 64 bits": (limited(f"macs = {2**64}"), "an integer of 65 bits"),
    "an integer of 5,000 digits": (limited("macs = " + "9" * 5000), "is not valid TOML"),
    "a hexadecimal of 5,000 digits": (limited("macs = 0x" + "f" * 5000), "an integer of 20,000 bits"),
    "a text of 900 digits": (limited("macs = '" + "9" * 900 + "'"), "is larger than anything"),
    "a text of 5,000 digits": (limited("macs = '" + "9" * 5000 + "'"), "a text of 5,000 characters"),
    "a factor of 900 digits": (limited("macs = '" + "9" * 900 + " x net'"), "is too large a factor"),
    "a growth of 900 digits": (limited("growth = '" + "9" * 900 + " %'"), "is too large a factor"),
    "a negative growth": (limited("growth = '-2 %'"), "growth '-2 %' is not a percentage"),
    "a growth that is no number": (limited("growth = 'nan %'"), "growth 'nan %' is not a percentage"),
    "a batch of 0": (limited("macs = 1\nbatch_size = 0"), "batch_size 0 is not a batch size"),
    "a batch of 10^18": (limited(f"macs = 1\nbatch_size = {10**18}"), "is not a batch size"),
    "a negative shape": (limited("macs = 1\ninput_shape = [3, -1]"), "input_shape [3, -1] is not a shape"),
    "a shape of 10^36": (limited(f"macs = 1\ninput_shape = [3, {10**18}, {10**18}]"), "the input is too large"),
    "a batch of images of 10^12": (limited(f"macs = 1\nbatch_size = 8\ninput_shape = [{2**38}]"), "is too large"),
    "an input of 10^41": (limited(f"macs = 1\ninput = 'float32[{10**23},{10**18}]'"), "product is at most 2^48"),
    "a batch of inputs of 10^12": (limited(f"macs = 1\nbatch_size = 8\ninput = 'float32[{2**38}]'"), "is too large"),
    "an input below 0": (limited("macs = 1\ninput = 'ids=int64[3]<-5'"), "the bound '-5' is not"),
    "an amount without unit": (limited("parameter_bytes = 5"), "has no unit"),
    "a size that is negative": (limited("parameter_bytes = '-5 MB'"), "'-5 MB' is not a number"),
    "limits that exclude each other": (limited("macs = { at_least = 5, at_most = 4 }"), "no value is ≥ 5 and ≤ 4"),
    # --- names
    "two of one name": (GOOD + GOOD, "budgets 1 and 2 are both named 'net'"),
    "two of one stated name": (GOOD + limited("macs = 1\nname = 'net'"), "budgets 1 and 2 are both named 'net'"),
    "a name with a newline": (limited('name = "a\\nb"\nmacs = 1'), r"'a\nb' has a line break"),
    "a name over two lines": (limited("name = '''a\nb'''\nmacs = 1"), r"'a\nb' has a line break"),
    "a name with an escape": (limited('name = "\\u001b[31mred"\nmacs = 1'), r"'\x1b[31mred' has a line break"),
    "a name with a line separator": (limited('name = "a\\u2028b"\nmacs = 1'), r"'a\u2028b' has a line break"),
    "a name of a million letters": (limited(f"name = '{'a' * 10**6}'\nmacs = 1"), "a text of 1,000,000 characters"),
    "a model with a newline": ('[[budget]]\nmodel = "n\\net"\nmacs = 1\n', r"'n\net' has a line break"),
    "a model outside the grammar": ("[[budget]]\nmodel = 'net('\nmacs = 1\n", "malformed model name 'net('"),
    "a reference with a newline": (limited('macs = "0.5 x n\\net"'), r"'0.5 x n\net' has a line break"),
    "an operator with a newline": (limited('macs = 1\nallow_uncounted = ["a\\nb"]'), r"'a\nb' has a line break"),
    # --- wildcards
    "a pattern that matches nothing": ("[[budget]]\nmodel = 'resnetx*'\nmacs = 1\n", "matches 'resnetx*'"),
    "patterns that match the same": (
        "[[budget]]\nmodel = 'resnet1?'\nmacs = 1\n[[budget]]\nmodel = 'resnet?8'\nmacs = 1\n",
        "budgets 1 and 2 are both named 'resnet18'",
    ),
    "a pattern of files": ("[[budget]]\nmodel = '**/*.py:Net'\nmacs = 1\n", "cannot be listed"),
    "a pattern of an unknown source": ("[[budget]]\nmodel = 'nowhere:*'\nmacs = 1\n", "cannot be listed"),
    "a pattern as reference": (limited("macs = '0.5 x resnet*'"), "is relative to a pattern"),
}


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judging, "count_model", profiler(net=network()))

    def run(*options: str) -> tuple[int, str, str]:
        code = cli.main(["check", *options])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return run


def refused(seen: tuple[int, str, str], said: str) -> None:
    code, out, err = seen
    assert (code, out) == (2, "")
    assert err.startswith("archprof: ") and err.endswith("\n") and len(err.splitlines()) == 1, err
    assert said in err and len(err) < 1500
    assert "Traceback" not in err and "Error(" not in err


@pytest.mark.parametrize(("content", "said"), ROWS.values(), ids=ROWS)
def test_a_bad_file_is_one_line_and_nothing_is_written(check, tmp_path, content, said):
    path = tmp_path / "archprof.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(check("--update", "--junit", "out.xml"), said)
    assert [file.name for file in tmp_path.iterdir()] == ["archprof.toml"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tool = 3\n", "no archprof.toml here"),
        ("[tool]\narchprof = 3\n", "pyproject.toml: tool.archprof 3 is not a table"),
        ("[tool.archprof]\n", "pyproject.toml: it states no budget"),
        ("[tool.archprof]\nbudgets = 1\n", "pyproject.toml: the file: unknown key 'budgets'"),
        ("[tool\n", "pyproject.toml is not valid TOML"),
    ],
)
def test_a_bad_pyproject_is_one_line(check, tmp_path, content, said):
    (tmp_path / "pyproject.toml").write_text(content)
    refused(check(), said)


def test_what_is_not_a_file_is_one_line(check, tmp_path):
    refused(check("--config", str(tmp_path)), "cannot be read: Is a directory")
    refused(check("--config", ""), "cannot be read: Is a directory")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    refused(check("--config", "loop.toml"), "cannot be read: Too many levels of symbolic links")


def test_one_bad_file_among_several_stops_all_before_anything_is_written(check, tmp_path):
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text("")
    refused(check("--config", "a.toml", "--config", "b.toml", "--update", "--junit", "x.xml"), "b.toml: it states no")
    assert {file.name for file in tmp_path.iterdir()} == {"a.toml", "b.toml"}


def test_a_byte_order_mark_is_passed_over(check, tmp_path):
    (tmp_path / "archprof.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert check()[0] == 0


def test_a_hundred_thousand_budgets_are_read_in_linear_time(check, tmp_path):
    """The last repeats the first, so that all have been read; twice as many may not take four times as long."""

    def seconds(count: int) -> float:
        text = "".join(f"[[budget]]\nmodel='net'\nname='{place}'\nmacs=1\n" for place in range(count))
        (tmp_path / "archprof.toml").write_text(text + "[[budget]]\nmodel='net'\nname='0'\nmacs=1\n")
        begun = time.process_time()
        refused(check(), f"budgets 1 and {count + 1} are both named '0'")
        return time.process_time() - begun

    assert seconds(100_000) < 12 * seconds(12_500) + 1
