"""Which figures a report draws, and from which files."""

from __future__ import annotations

import gzip
import re

import pytest
from helpers.figure_data import comparison

from archprof.cli import main

WHOLE = comparison("vgg19", "resnet18", "resnet50", sizes=(1, 16))


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved.json").write_text(WHOLE.to_json())
    return tmp_path


def drawn(folder):
    return sorted(path.name for path in (folder / "figures").iterdir())


def test_the_figures_and_formats_that_are_asked_for(saved, capsys):
    argv = ["report", "--from", "saved.json", "-o", "told", "--figures", "ball, latency", "--formats", "pdf,png"]
    assert main(argv) == 0, capsys.readouterr().err
    assert drawn(saved / "told") == ["ball.pdf", "ball.png", "latency.pdf", "latency.png"]
    text = (saved / "told" / "README.md").read_text()
    assert "](figures/ball.png)" in text and "([PDF](figures/ball.pdf))" in text and "svg" not in text
    assert "--figures ball,latency --formats pdf,png" in text
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert "://" in target or (saved / "told" / target).is_file()
    # fewer formats later: those of before are gone
    assert main([*argv[:-4], "--figures", "ball", "--formats", "svg"]) == 0
    assert drawn(saved / "told") == ["ball.svg"]


def test_pdf_alone_is_linked(saved):
    assert main(["report", "--from", "saved.json", "-o", "told", "--figures", "ball", "--formats", "pdf"]) == 0
    text = (saved / "told" / "README.md").read_text()
    assert "![" not in text and "([PDF](figures/ball.pdf))" in text and "\n\n\n" not in text


def test_no_figures(saved):
    assert main(["report", "--from", "saved.json", "-o", "told", "--figures", "none"]) == 0
    assert drawn(saved / "told") == [] and "figures/" not in (saved / "told" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--figures", "bal"], "unknown figure of a report 'bal'. Did you mean 'ball'?"),
        (["--figures", ""], "unknown figure of a report ''."),
        (["--formats", "gif"], "unknown format of figures 'gif'."),
        (["--formats", "none"], "no format of figures is given;"),
        (["--figures", "none", "--formats", "pdf"], "--formats has no effect without figures."),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_is_written(options, says, saved, capsys):
    assert main(["report", "--from", "saved.json", "-o", "told", *options]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not (saved / "told").exists()


def test_packed_files_are_read(saved):
    (saved / "saved.json.gz").write_bytes(gzip.compress(WHOLE.to_json().encode()))
    assert main(["report", "--from", "saved.json.gz", "-o", "told", "--figures", "none"]) == 0
    assert main(["diff", "saved.json", "saved.json.gz"]) == 0


@pytest.mark.parametrize("cut", [lambda data: data[:-9], lambda data: data[:12] + b"\0\xff" + data[14:]])
def test_a_broken_packed_file_is_one_line(cut, saved, capsys):
    (saved / "x.json.gz").write_bytes(cut(gzip.compress(WHOLE.to_json().encode())))
    assert main(["report", "--from", "x.json.gz", "-o", "told"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("archprof: 'x.json.gz'") and said.count("\n") == 1


def test_a_packed_file_that_grows_without_end_is_refused(saved, monkeypatch, capsys):
    from archprof.cli import saved as reading

    monkeypatch.setattr(reading, "LARGEST", 1 << 20)
    (saved / "x.json.gz").write_bytes(gzip.compress(b" " * (1 << 22)))
    assert main(["diff", "x.json.gz", "x.json.gz"]) == 2
    assert "unpacked it has more than 1 MiB" in capsys.readouterr().err
