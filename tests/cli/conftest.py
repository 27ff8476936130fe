"""What several files of tests of `archprof check` share."""

from __future__ import annotations

import pytest
from helpers.budget_records import budget, network, profiler, with_unknown_op, written

from archprof import cli
from archprof.budgets import judging as budgets


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder, with networks made by hand; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    networks = {"net": network(16), "wider": network(32), "odd": with_unknown_op(network(16))}

    def run(*options, text=None, ratio=None, **changed):
        if text is not None:
            written(tmp_path, text)
        monkeypatch.setattr(budgets, "count_model", profiler(**networks | changed))
        monkeypatch.setattr(budgets, "measure_ratio", lambda *_: ratio)
        code = cli.main(["check", *options])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return run


@pytest.fixture
def monorepo(tmp_path):
    """Two packages, each with a budget called net: the first is over, the last within."""
    for name, limit in (("a", "617"), ("b", "618")):
        (tmp_path / name).mkdir()
        written(tmp_path / name, budget(parameters=limit))
    return "--config", "a/archprof.toml", "--config", "b/archprof.toml"
