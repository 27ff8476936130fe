"""Ctrl-C: what was reached until then is kept where a command can keep it, and the exit code says so."""

from __future__ import annotations

import pytest

from archprof.cli import main
from archprof.counting import counts
from archprof.measure import per_layer, sampling
from archprof.results.comparison import Comparison

QUICK = ("--batch-sizes", "1", "--time-budget", "0.5", "--precision", "0.9")
LONG = ("--batch-sizes", "1", "--time-budget", "25")  # it is stopped before
TWO = ("resnet_tiny", "plain_tiny")


@pytest.fixture
def stopping(monkeypatch):
    """Ctrl-C at the so-maniest call of a function."""

    def at(module, name: str, call: int) -> None:
        real, calls = getattr(module, name), []

        def stopped(*args, **kwargs):
            calls.append(1)
            if len(calls) == call:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, stopped)

    return at


def test_a_report_keeps_what_was_measured(stopping, tmp_path, capsys):
    stopping(sampling._Run, "block", 5)
    folder = tmp_path / "told"
    assert main(["report", *TWO, "-o", str(folder), *LONG]) == 130
    said = capsys.readouterr().err
    assert "archprof: interrupted: what was not reached is missing\n" in said
    assert said.endswith(f"archprof: {folder} tells what was reached until then\n")
    seen = Comparison.from_json((folder / "comparison.json").read_text())
    assert sum(len(row.latency_at(1).blocks) for row in seen.architectures) == 4
    assert [row.division for row in seen.architectures] == [None, None]
    text = (folder / "README.md").read_text()
    assert "## Warnings\n\n- interrupted: what was not reached is missing" in text
    assert "figures/latency.svg" in text and (folder / "figures" / "latency.svg").exists()


def test_a_report_keeps_the_layers_that_were_timed(stopping, tmp_path, capsys):
    stopping(per_layer.operator_times, "where_time_goes", 2)
    folder = tmp_path / "told"
    assert main(["report", *TWO, "-o", str(folder), *QUICK]) == 130
    one, other = Comparison.from_json((folder / "comparison.json").read_text()).architectures
    assert one.division.error is None and one.latency_at(1).measured
    assert other.division is None and other.latency_at(1).measured


def test_a_report_of_counts_names_what_was_not_counted(stopping, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # where nothing is known yet
    stopping(counts, "subject_of", 2)
    assert main(["report", *TWO, "--no-latency", "-o", str(tmp_path / "told")]) == 130
    assert "plain\\_tiny failed: plain\\_tiny: interrupted before it was counted." in (
        tmp_path / "told" / "README.md").read_text()  # fmt: skip


def test_a_report_of_nothing_is_not_written(stopping, tmp_path, capsys):
    stopping(counts, "subject_of", 1)
    assert main(["report", *TWO, "-o", str(tmp_path / "told"), *QUICK]) == 130
    assert not (tmp_path / "told").exists()
    assert capsys.readouterr().err == "archprof: interrupted: what was not reached is missing\n"


@pytest.mark.parametrize("kept", [True, False])
def test_a_plot_draws_nothing_and_keeps_what_it_is_told_to(kept, stopping, tmp_path, capsys):
    stopping(per_layer.operator_times, "where_time_goes", 1)
    picture, file = tmp_path / "where.svg", tmp_path / "seen.json"
    keep = ("--json", str(file)) if kept else ()
    assert main(["plot", "breakdown", *TWO, "--measure", "-o", str(picture), *keep, *QUICK[2:]]) == 130
    said = capsys.readouterr().err
    assert not picture.exists() and file.exists() == kept
    assert "archprof: nothing is drawn; 2 of 2 networks were measured, " in said
    assert (f"kept in {file} for --from" if kept else "not kept (--json FILE keeps what was reached)") in said
    if kept:
        assert main(["plot", "breakdown", "--from", str(file), "-o", str(picture)]) == 0 and picture.exists()


def test_compare_exports_and_says_so(stopping, tmp_path, capsys):
    stopping(sampling._Run, "block", 3)
    assert main(["compare", *TWO, "--json", str(tmp_path / "a.json"), *LONG]) == 130
    out, err = capsys.readouterr()
    assert "resnet_tiny" in out and "interrupted" in err
    assert (
        sum(
            len(row.latency_at(1).blocks)
            for row in Comparison.from_json((tmp_path / "a.json").read_text()).architectures
        )
        == 2
    )
