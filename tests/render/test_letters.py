"""Names in scripts that the figures' font lacks."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from helpers.figure_data import comparison

from archprof.cli import main
from archprof.render import figures, report
from archprof.results.comparison import Comparison

WHOLE = comparison("vgg19", "resnet18", sizes=(1, 16))
NAMED = replace(WHOLE, architectures=(replace(WHOLE[0], name="网络一"), WHOLE[1]), reference=None)


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", ["ball", "breakdown", "latency", "accuracy"])
@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_no_warning_of_matplotlib_comes_through(kind, format, tmp_path):
    figure = figures.draw(kind, NAMED, figures.FigureOptions())
    figures.save(figure, tmp_path / f"x.{format}")
    said = " ".join(text.get_text() for text in figure.texts)
    assert " ".join(said.split()).count("3 letters that the font lacks are drawn as boxes.") == 1


def test_the_command_says_it_once(tmp_path, capsys):
    (tmp_path / "x.json").write_text(NAMED.to_json())
    argv = ["plot", "ball", "--from", str(tmp_path / "x.json"), "-o", str(tmp_path / "x.svg")]
    assert main(argv) == 0
    assert capsys.readouterr().err == (
        "archprof: the figures' font lacks 网 络 一, and draws boxes for them; "
        "--label NAME=TEXT gives a network another name.\n"
    )
    assert main([*argv, "--label", "网络一=net 1"]) == 0
    assert capsys.readouterr().err == ""


def test_letters_that_the_font_has_are_no_matter(tmp_path):
    named = replace(WHOLE, architectures=(replace(WHOLE[0], name="Сеть é ß λ → ☃"), WHOLE[1]), reference=None)
    assert figures.letters_lacking(named, figures.FigureOptions()) == []
    assert figures.letters_lacking(NAMED, figures.FigureOptions()) == ["网", "络", "一"]


def test_a_report_of_such_names_is_quiet(tmp_path, capsys):
    report.write(Comparison({}, NAMED.architectures), tmp_path / "told", drawing=report.Drawing(("ball",), ("svg",)))
    assert capsys.readouterr().err == "" and "网络一" in (tmp_path / "told" / "README.md").read_text()
