"""Records at a prompt, in a notebook, and as collections."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from helpers.budget_records import network
from helpers.figure_data import comparison

import archprof
from archprof.results import where
from archprof.results.choice import Choice, Option
from archprof.results.columns import COLUMNS
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.runs.choose import judged

WHOLE = comparison("vgg19", "resnet18", "resnet50", sizes=(1, 16))


def test_a_comparison_is_a_collection_of_its_rows():
    assert len(WHOLE) == 3 and [row.name for row in WHOLE] == ["vgg19", "resnet18", "resnet50"] == [*WHOLE.names]
    assert WHOLE["resnet18"] is WHOLE[1] is WHOLE.architectures[1] and WHOLE[-1].name == "resnet50"
    assert "vgg19" in WHOLE and WHOLE[0] in WHOLE and "vgg" not in WHOLE and None not in WHOLE
    with pytest.raises(KeyError, match=r"no network 'resnet5O'\. Did you mean 'resnet50'"):
        WHOLE["resnet5O"]
    with pytest.raises(IndexError):
        WHOLE[3]
    with pytest.raises(TypeError):
        WHOLE[0] = None
    assert list(Comparison({}, ())) == []


def test_a_profile_at_a_prompt_is_its_totals():
    text = repr(archprof.profile("resnet18"))
    assert text.splitlines()[0] == "StaticProfile: resnet18, input 1x3x224x224"
    assert "11,689,512" in text and "1,814,073,344" in text and "1.81 G" in text and "44.6 MiB" in text
    assert text.count("\n") < 12 and len(text) < 1000
    assert len({len(line) for line in text.splitlines()[1:6]}) == 1


def test_a_comparison_at_a_prompt_is_a_line_a_network():
    text = repr(WHOLE)
    assert text.splitlines()[0] == f"Comparison of 3 networks, reference {WHOLE.reference}"
    assert text.count("\n") <= 6 and "25.6 M" in text and "4.09 G" in text and "ms, batch 16" in text
    many = Comparison({}, tuple(dataclasses.replace(WHOLE[0], name=f"net{place}") for place in range(30)))
    assert repr(many).endswith("... and 10 more") and repr(many).count("\n") == 22
    assert repr(Comparison({}, ())) == "Comparison of 0 networks"
    assert repr(WHOLE[1]).startswith("ArchitectureResult: resnet18, 11.7 M parameters, ") and "\n" not in repr(WHOLE[1])
    assert "failed: why" in repr(ArchitectureResult("x", "zoo", error="why"))
    assert "x  failed" in repr(Comparison({}, (ArchitectureResult("x", "zoo", error="why"),)))


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "<script>", "网络", "\ud800", "x" * 10_000])
def test_hostile_names_stay_on_their_line(name):
    one = dataclasses.replace(network(2), name=name)
    row = dataclasses.replace(WHOLE[0], name=name, error="\x1b]0;x\x07")
    for record in (one, row, Comparison({}, (row,))):
        assert all(line.isprintable() for line in repr(record).split("\n")) and repr(record).count("\n") < 12
        assert "<script>" not in getattr(record, "_repr_html_", str)()


def test_what_cannot_be_shown_is_still_a_record():
    assert repr(Comparison({}, None)) == "<Comparison of archprof>"  # type: ignore[arg-type]


def test_a_notebook_gets_tables():
    html = archprof.profile("resnet18")._repr_html_()
    assert html.count("<table>") == 2 and "11,689,512" in html and "conv 3x3" in html
    assert "<table>" in network(2)._repr_html_() and "<table>" in WHOLE._repr_html_()


def chosen(*names: str, limits: tuple[str, ...] = ("macs < 5 G",)) -> Choice:
    options = [
        Option(
            name, "zoo", "f", (3, 224, 224), {"top1": 70.0 + place, "macs": 10**9, "parameters": 10**6, "name": name}
        )
        for place, name in enumerate(names)
    ]
    return judged(options, where.parse_all(limits), COLUMNS["top1"], "imagenet-1k")


def test_a_choice_says_which_and_why_above_its_table():
    found = chosen("small", "large")
    html = found._repr_html_()
    assert html.startswith("<p>large: ") and html.count("<table>") == 1 and "2 of 2 networks within macs" in html
    assert html.index("<td") < html.index(">large<") < html.index(">small<")
    assert repr(found).startswith("Choice: large: ") and repr(found).count("\n") < 4
    assert found.to_markdown().startswith("large: ") and "| small |" in found.to_markdown()
    many = chosen(*(f"net{place}" for place in range(30)))
    assert many._repr_html_().count("<tr>") == 11 and "20 more: to_frame() has" in many._repr_html_()


def test_a_choice_of_nothing_says_what_left_none():
    found = chosen("one", limits=("macs < 1 M",))
    assert "<table>" not in found._repr_html_() and "one" in found._repr_html_()
    assert "|" not in found.to_markdown() and "one" in found.to_markdown()
    assert repr(found).startswith("Choice: ")


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "<script>alert(1)</script>", "\ud800"])
def test_hostile_names_of_a_choice_stay_text(name):
    found = chosen(name)
    assert "<script>" not in found._repr_html_() and all(line.isprintable() for line in repr(found).split("\n"))


def test_records_stay_frozen_and_equal():
    assert Comparison.from_json(WHOLE.to_json()) == WHOLE and hash(network(2)) == hash(network(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        network(2).macs = 3


def test_results_alone_import_no_renderer():
    script = (
        "import sys, archprof.results.comparison as c; text = repr(c.Comparison({}, ()))\n"
        "print(text, 'torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "Comparison of 0 networks False False"
