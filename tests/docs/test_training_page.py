"""The programs of docs/training.md, in the order of the page; those of a library where it is installed."""

from __future__ import annotations

import csv
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from helpers.torchvision_on_cpu import import_torchvision

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
PROGRAMS = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
FIRST, LOOP, BUDGET, LIGHTNING, TENSORBOARD, MLFLOW = PROGRAMS


@pytest.fixture
def names(tmp_path, monkeypatch, capsys) -> dict[str, Any]:
    """What the first two programs of the page leave behind, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {"__name__": "__main__"}
    run(FIRST, found)
    run(LOOP, found)
    return found


def run(program: str, names: dict[str, Any]) -> None:
    exec(compile(program, "training.md", "exec"), names)


def test_the_plain_loop_trains_and_says_what_it_costs(names, capsys):
    # 3x3 convolution 3 -> 16 on 32x32: forward, and the weights' gradient (images need none); 16 -> 10: all three
    assert names["costs"]["cost/step_macs_per_image"] == 2 * (3 * 16 * 9 * 32 * 32) + 3 * (16 * 10)
    assert names["costs"]["cost/parameters"] == 16 * 27 + 16 + 16 * 10 + 10
    assert names["costs"]["cost/kept_for_backward_mib"] > 0
    assert names["loss"].item() > 0


def test_the_budget_stops_a_run_that_is_over(names):
    run(BUDGET, names)
    with pytest.raises(SystemExit, match="parameters: over"):
        run(BUDGET.replace("< 1 k", "< 500"), names)


def test_lightning(names, tmp_path):
    import_torchvision()  # Lightning's metrics do, where it is installed
    pytest.importorskip("pytorch_lightning")
    before = names["network"][0].weight.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of workers, and of a validation that is not asked for
        run(LIGHTNING, names)
    assert not names["network"][0].weight.equal(before)
    logged = list(csv.DictReader(next(tmp_path.rglob("metrics.csv")).open()))
    assert [float(row["cost/step_macs_per_image"]) for row in logged] == [names["costs"]["cost/step_macs_per_image"]]


def test_tensorboard(names, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(TENSORBOARD, names)
    events = EventAccumulator(str(tmp_path / "runs" / "small"))
    events.Reload()
    assert events.Scalars("cost/parameters")[0].value == names["costs"]["cost/parameters"]
    assert events.Tags()["images"] == ["breakdown"] and events.Tags()["tensors"] == ["compared/text_summary"]


def test_mlflow(names, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    run(re.findall(r"^comparison = .+$", TENSORBOARD, re.MULTILINE)[0], names)
    run(MLFLOW, names)
    kept = mlflow.search_runs()
    assert kept["metrics.cost/parameters"].tolist() == [names["costs"]["cost/parameters"]]


def test_programs_of_people_who_have_none_of_it_are_well_formed():
    for program in PROGRAMS:
        compile(program, "training.md", "exec")
