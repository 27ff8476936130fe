"""archprof.plot: a figure from Python."""

from __future__ import annotations

import pytest
from helpers.figure_data import comparison
from matplotlib.figure import Figure

import archprof
from archprof.base.errors import BadOption, BadOutput

WHOLE = comparison("vgg19", "resnet18", "resnet50", sizes=(1, 16))


def test_a_figure_of_a_comparison_comes_back_and_is_written(tmp_path):
    figure = archprof.plot("ball", WHOLE, tmp_path / "ball.svg", width=4, title="Mine")
    assert isinstance(figure, Figure) and figure.get_figwidth() == 4
    assert (tmp_path / "ball.svg").read_text().startswith("<?xml")
    assert isinstance(archprof.plot("latency", WHOLE, only="resnet*"), Figure)
    assert [path.name for path in tmp_path.iterdir()] == ["ball.svg"]


def test_a_page_is_written_by_its_extension(tmp_path):
    assert archprof.plot("ball", WHOLE, tmp_path / "ball.html", highlight="vgg19") is None
    assert "vgg19" in (tmp_path / "ball.html").read_text()
    with pytest.raises(BadOption, match="width has no effect on a page"):
        archprof.plot("ball", WHOLE, tmp_path / "other.html", width=4)
    with pytest.raises(BadOption, match="'latency' cannot be a page"):
        archprof.plot("latency", WHOLE, tmp_path / "other.html")
    assert [path.name for path in tmp_path.iterdir()] == ["ball.html"]


def test_models_are_compared_first_and_not_measured_for_counts():
    figure = archprof.plot("breakdown", {"small": "resnet_tiny", "other": "resnet20_cifar"})
    words = " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    assert "small" in words and "other" in words
    assert isinstance(archprof.plot("layers", "resnet_tiny", labels={"resnet_tiny": "R"}), Figure)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: archprof.plot("bal", WHOLE), BadOption, "unknown figure 'bal'. Did you mean 'ball'"),
        (lambda: archprof.plot("ball", WHOLE, "x.gif"), BadOption, "'.gif' is not a figure format"),
        (lambda: archprof.plot("ball", WHOLE, "no/such/x.png"), BadOutput, "does not exist"),
        (lambda: archprof.plot("ball", WHOLE, widht=3), TypeError, "has no argument 'widht'"),
        (lambda: archprof.plot("ball", WHOLE, batch_sizes=(1,)), TypeError, "has no argument 'batch_sizes'"),
        (lambda: archprof.plot("ball", WHOLE, width=1000), BadOption, "out of range"),
        (lambda: archprof.plot("ball", "nosuchnet"), archprof.ArchprofError, "unknown model 'nosuchnet'"),
        (lambda: archprof.plot("ball", 3), BadOption, "a model cannot be of type int"),
        (lambda: archprof.plot("breakdown", "resnet18", input_shape=(1, 8, 8)), BadOption, "nothing can be drawn"),
        (lambda: archprof.plot("breakdown", "resnet_tiny", precison=1), TypeError, "precison"),
    ],
)
def test_mistakes_are_said_before_anything_is_drawn(call, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says):
        call()
    assert list(tmp_path.iterdir()) == []
