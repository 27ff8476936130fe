"""Whatever is given as a name or an input: the network, or one clear error."""

from __future__ import annotations

import sys

import pytest
from hostile.names import INPUTS, NAMES
from hypothesis import given, settings
from hypothesis import strategies as st

import archprof
from archprof import cli
from archprof.base.errors import ArchprofError, BadOption
from archprof.models import input_spec, spec


def checked(code, said):
    assert code == 2 and said.out == ""
    lines = said.err.splitlines()
    assert 1 <= len(lines) <= 5 and len(said.err) < 3000 and "Traceback" not in said.err
    assert all(line.isprintable() for line in lines), said.err
    assert lines[0].startswith("archprof")


def run(arguments):
    try:
        return cli.main(arguments)
    except SystemExit as left:  # argparse leaves by itself
        return left.code


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_refused_in_a_line_or_two(name, torchvision, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checked(run(["compare", NAMES[name], "--no-latency"]), capsys.readouterr())
    with pytest.raises(ArchprofError) as raised:
        archprof.profile(NAMES[name])
    assert str(raised.value).isprintable() and len(str(raised.value)) < 3000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_refused_too(name, capsys):
    with pytest.raises(BadOption):
        input_spec.parse(INPUTS[name])
    checked(run(["compare", "resnet18", "--input", INPUTS[name], "--no-latency"]), capsys.readouterr())


def test_files_may_have_strange_names(tmp_path, monkeypatch, capsys):
    code = "from torch import nn\ndef Net(): return nn.Linear(4, 2)\nNet.input_shape = (4,)\n"
    monkeypatch.chdir(tmp_path)
    for name in ("größe.py", "a b.py", "漢字.py", "x" * 200 + ".py"):
        (tmp_path / name).write_text(code)
        assert archprof.profile(f"{name}:Net").macs == 8
    capsys.readouterr()


SILLY = """
import sys
from torch import nn

class Loud(Exception):
    def __str__(self): return "\\x1b[31m" + "loud " * 10**6 + "\\n" * 5

class Silent(Exception):
    def __str__(self): raise ZeroDivisionError

class A(nn.Module):
    def __init__(self): raise Loud

class B(nn.Module):
    def __init__(self): raise Silent

class C(nn.Module):
    def forward(self, x): raise Silent

def D(): sys.exit("\\x1b[31m" * 1000)

class E(nn.Module):
    def forward(self, x): raise Loud
"""


@pytest.mark.parametrize("name", list("ABD"))
def test_errors_of_a_users_network_are_one_short_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "silly.py").write_text(SILLY)
    with pytest.raises(ArchprofError) as raised:
        archprof.profile(f"silly.py:{name}")
    said = str(raised.value)
    assert said.isprintable() and len(said) < 600 and "silly.py" in said
    capsys.readouterr()
    assert run(["compare", f"silly.py:{name}", "--no-latency"]) in (1, 2)
    shown = capsys.readouterr()
    assert "\x1b[31m" not in shown.out + shown.err and len(shown.out + shown.err) < 3000
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise ValueError('\\x1b[31m' + 'x' * 10**6)", "ValueError: \\x1b[31mxx"),
        ("import sys; sys.exit(3)", "calls sys.exit(3) while it is imported"),
        ("def broken(:", "SyntaxError"),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("def __getattr__(name): raise RuntimeError('\\x1b[31mno ' + name)", "RuntimeError: \\x1b[31mno Net"),
        ("class Net:\n    def __init__(self): raise KeyboardInterrupt2", "NameError"),
        ("Net = 3", "'Net' is a int; expected a class"),
        ("\0", "source code string cannot contain null bytes"),
    ],
)
def test_a_module_that_raises(source, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange.py").write_text(source)
    with pytest.raises(ArchprofError) as raised:
        archprof.profile("strange.py:Net")
    assert says in str(raised.value) and str(raised.value).isprintable() and len(str(raised.value)) < 600


# --- fuzz: the grammar's own letters, many times --------------------------------------------------------------------

WORDS = "resnet18 width num_classes timm: .py: .pt2 1e999 nan None true float32 int64 < x=".split()
STRANGE = ["\n", "\0", "\x1b", "\udcff", "é", "9" * 40, "(" * 50, "[" * 50]
pieces = st.sampled_from([*"()[]{}@:=,.*?'\"\\ -_/0123456789", *WORDS, *STRANGE])
texts = st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=14).map("".join)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_any_name_is_parsed_or_refused(text):
    try:
        assert spec.parse(text).text == text.strip()
    except ArchprofError as error:
        assert str(error).isprintable() and len(str(error)) < 2000


@settings(max_examples=500, deadline=None)
@given(st.tuples(pieces, texts).map(lambda both: f"resnet18(width={both[1]})"))
def test_any_option_is_parsed_or_refused(text):
    try:
        parsed = spec.parse(text)
    except ArchprofError as error:
        assert str(error).isprintable()
    else:
        assert all(isinstance(key, str) for key in parsed.keywords)


@settings(max_examples=500, deadline=None)
@given(st.one_of(texts, texts.map(lambda text: f"x=float32[{text}]"), texts.map(lambda text: f"int64[3]<{text}")))
def test_any_input_is_parsed_or_refused(text):
    try:
        parsed = input_spec.parse(text)
    except ArchprofError as error:
        assert str(error).isprintable()
    else:
        assert input_spec.parse(str(parsed)) == parsed


def test_the_table_is_worth_its_name():
    assert len(NAMES) > 100 and sys.getrecursionlimit() <= 10_000
