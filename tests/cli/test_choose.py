"""`archprof choose`, and --where in list, compare and plot: the answer, the table, the exports, what is refused."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import indexed
from helpers.indexed import COSTS

import archprof
from archprof import cli
from archprof.models import published
from archprof.results.comparison import ArchitectureResult, Comparison, row_json
from archprof.results.latency import Block, Latency
from archprof.results.profile import StaticProfile
from archprof.runs import choose as choosing
from archprof.runs.engines.processes import Outcome

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: Patch, tmp_path: Path, capsys: Capture) -> Run:
    """Run a command over the networks of `indexed`; gives exit code, stdout and stderr."""
    indexed.installed(monkeypatch, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)

    def command(*words: Any) -> tuple[int, str, str]:
        code = cli.main([*map(str, words)])
        seen = capsys.readouterr()
        return code, "".join(f"{line.rstrip()}\n" for line in seen.out.splitlines()), seen.err

    return command


def limits(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--where", text)]


def test_the_answer_then_the_table(run: Run) -> None:
    code, out, err = run("choose", *limits("parameters < 5.4 M", "macs < 450 M"))
    best = max(
        published.claims("timm:efficientnet_b0", metric="top1", resolution=224, dataset="imagenet-1k"),
        key=lambda claim: claim.percent,
    )
    step = max(
        published.claims("timm:efficientnet_b0", metric="top1", resolution=256, dataset="imagenet-1k"),
        key=lambda claim: claim.percent,
    )
    assert code == 0
    assert out.splitlines()[0] == (
        f"timm:efficientnet_b0: the highest top-1 of 5 networks within the limits, {best.percent:.2f} % on imagenet-1k "
        f"with weights {best.weights}; 5.29 M parameters and 386 M mult-adds at 224x224."
    )
    assert out.splitlines()[1].startswith(
        f"The next step up, timm:efficientnet_b0@256 (+{step.percent - best.percent:.2f} points), "
        "needs 504 M mult-adds (+30.60 %)"
    )
    assert "5 of 11 networks within parameters < 5.4 M, macs < 450 M" in out
    rows = [line.split()[0] for line in out.splitlines() if "  " in line and ":" not in line[:3]]
    assert [name for name in rows if name in COSTS][:3] == [
        "timm:efficientnet_b0",
        "torchvision:regnet_y_400mf",
        "mobilenetv1@192",
    ]
    # the zoo's resnet50 and torchvision's are one network, and what failed is said
    assert "archprof: 1 of 13 networks could not be counted (timm:broken)" in err


def test_every_accuracy_shown_is_a_claim_at_the_size_shown(run: Run) -> None:
    code, out, _ = run("choose", "--csv", "-")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    shown = [row for row in rows if row["top1"]]
    assert len(shown) > 5
    for row in shown:
        claims = published.claims(row["name"].partition("@")[0], metric="top1", dataset="imagenet-1k")
        mine = [claim for claim in claims if claim.weights == row["weights"] and claim.percent == float(row["top1"])]
        assert mine and any(claim.resolution in (None, int(row["resolution"])) for claim in mine), row["name"]


def test_json_has_what_python_has(run: Run) -> None:
    code, out, _ = run("choose", "timm:*", *limits("macs < 600 M"), "--json", "-")
    saved = json.loads(out)
    assert code == 0 and saved["limits"] == ["macs < 600 M"] and saved["considered"] == 5
    with pytest.warns(UserWarning, match="could not be counted"):
        frame = archprof.choose(["timm:*"], ["macs < 600 M"])
    assert list(frame["name"]) == [row["name"] for row in saved["options"]]
    assert list(frame["macs"]) == [row["macs"] for row in saved["options"]]


def test_sorted_by_another_column(run: Run) -> None:
    code, out, _ = run("choose", *limits("top1 > 70"), "--sort", "macs")
    assert code == 0 and out.startswith(
        "timm:mobilenetv3_large_100: first of 8 networks within the limits by macs: 215 M"
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (limits("parameters < 5 MiB"), 2, "'MiB' is a unit of another kind"),
        (limits("paramters < 5 M"), 2, "no column is called 'paramters'. Did you mean 'parameters'"),
        (limits("macs < 1 M", "macs > 2 M"), 2, "no network has macs < 1 M and > 2 M"),
        (limits("macs < 0.5 x resnet5o"), 2, "macs of 'resnet5o' is not known here"),
        (limits("latency < 2 x resnet50"), 2, "relative to another network's time"),
        (["--sort", "speed"], 2, "sort: no column is called 'speed'."),
        (["--sort", "latency"], 2, "latency is known of measured networks only"),
        (["--dataset", "imagnet-1k"], 2, "Did you mean 'imagenet-1k'"),
        (["--threads", "1"], 2, "--threads has no effect without a limit on latency or memory"),
        (["--batch-size", "8"], 2, "--batch-size has no effect without a limit on latency or memory"),
        (["mymodel.py:Net"], 2, "'mymodel.py:Net': only networks of zoo, torchvision, timm are listed"),
        (["timm:resnet5o"], 2, "no network of timm matches 'resnet5o'. Did you mean 'resnet50'"),
        (["resnet50@192"], 2, "has options or a resolution"),
        (limits("top1 > 75", "macs < 10 k"), 1, "none has macs < 10 k"),
        (["secret", *limits("top1 > 10")], 1, "none of them is known to have top1 > 10. Bring your own: --accuracy"),
    ],
)
def test_what_is_refused_is_one_line(run: Run, words: Sequence[str], code: int, said: str) -> None:
    seen, out, err = run("choose", *words)
    counting = re.compile(r"could not be counted|\d+ of \d+ networks: ")
    lines = [line for line in err.splitlines() if not counting.search(line)]
    assert (seen, out) == (code, "") and len(lines) == 1 and said in lines[0]


def test_the_nearest_miss_is_named(run: Run) -> None:
    _, _, err = run("choose", *limits("parameters < 5 M", "top1 > 76"))
    assert "none has top1 > 76. The nearest miss is torchvision:regnet_y_400mf with 75.80 % top-1." in err


def test_ones_own_accuracy(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("architecture,dataset,metric,percent,source\nsecret,imagenet-1k,top1,99.5,our lab\n")
    code, out, _ = run("choose", "--accuracy", own)
    assert code == 0 and out.startswith("secret: the highest top-1 of 11 networks, 99.50 % on imagenet-1k with our lab")
    code, out, _ = run("choose", "secret")
    assert code == 0 and out.startswith(
        "secret: the fewest mult-adds of 1 network, for no top1 is known; 950 parameters"
    )
    assert "No accuracy on imagenet-1k is known of any network here. Bring your own: --accuracy own.csv" in out


# Limits on what is measured


class Machine:
    """Stands for the processes that measure: a matrix product's rate, and each network's seconds."""

    def __init__(self, rate: float, **seconds: float | tuple[float, ...]) -> None:
        self.rate, self.seconds, self.asked = rate, seconds, []

    def run(self, tasks: Sequence[str]) -> Iterator[Outcome]:
        for task in tasks:
            if task == "a matrix product":
                yield Outcome(task, self.rate)
                continue
            self.asked.append(task)
            seconds = self.seconds[task.rpartition(":")[2]]
            times = seconds if isinstance(seconds, tuple) else (seconds,) * 6
            blocks = tuple(Block(one, 10, place, place) for place, one in enumerate(times))
            _, side, parameters, macs = COSTS[task]
            profile = StaticProfile(
                task, "timm", (3, side, side), 1, parameters, parameters, 0, macs, 0, 4 * parameters, 0, 0, None
            )
            row = ArchitectureResult(task, "timm", profile=profile, latency=(Latency(1, blocks, 5 * 2**20),))
            yield Outcome(task, row_json(row))


def measured(machine: Machine, *texts: str) -> Any:
    return choosing.choice_of(["timm:*"], texts, executor=machine)


def test_survivors_are_measured_best_first_until_one_is_certain(run: Run) -> None:
    machine = Machine(1e15, **{"resnet50@288": 0.05, "resnet50": 0.03, "efficientnet_b0@256": 0.008})
    found = measured(machine, "latency < 10 ms")
    # resnet50@288 has the highest accuracy, then resnet50, then efficientnet_b0@256
    assert machine.asked == ["timm:resnet50@288", "timm:resnet50", "timm:efficientnet_b0@256"]
    assert found.best.name == "timm:efficientnet_b0@256"
    assert found.skipped == ((2, "they are less good by top1"),)
    assert found.best.measured.p50_s == 0.008


def test_what_the_machine_cannot_do_in_time_is_not_measured(run: Run) -> None:
    # 4 x 1e11 mult-adds a second: 0.6 G take 1.5 ms at least, 4.09 G 10.2 ms
    machine = Machine(1e11, efficientnet_b0=0.008, **{"efficientnet_b0@256": 0.02})
    found = measured(machine, "latency < 10 ms")
    assert machine.asked == ["timm:efficientnet_b0@256", "timm:efficientnet_b0"]
    assert found.skipped[0] == (
        2,
        "4 times the mult-adds a second of a large matrix product would be too slow for them",
    )


def test_memory_below_the_parameters_is_not_measured(run: Run) -> None:
    machine = Machine(1e15, **{"efficientnet_b0@256": 0.01, "efficientnet_b0": 0.01, "mobilenetv3_large_100": 0.01})
    found = measured(machine, "memory < 22 MiB")
    assert not any("resnet50" in name for name in machine.asked)
    assert found.best.facts["memory"] == 5 * 2**20


def test_an_interval_that_holds_the_limit_is_no_answer(run: Run) -> None:
    spread = (0.008, 0.009, 0.0095, 0.0105, 0.011, 0.012)
    machine = Machine(1e15, **{"resnet50@288": spread, "resnet50": 0.005})
    found = measured(machine, "latency < 10.1 ms")
    assert found.best.name == "timm:resnet50" and found.unsure == ("timm:resnet50@288",)


def test_a_machine_that_never_tells_is_not_asked_for_ever(run: Run) -> None:
    names = [name.rpartition(":")[2] for name in COSTS if name.startswith("timm:") and "broken" not in name]
    machine = Machine(1e15, **dict.fromkeys(names, (0.008, 0.009, 0.0095, 0.0105, 0.011, 0.012)))
    found = measured(machine, "latency < 10.1 ms")
    assert len(machine.asked) == 3 and len(found.unsure) == 3 and found.best.name == "timm:resnet50@288"
    assert found.skipped == ((2, "the machine is not quiet enough"),)
    assert found.notes == ("after 3 measurements that do not tell, no more were taken: try a quieter machine",)


def test_where_nothing_is_fast_enough_the_nearest_is_named(run: Run) -> None:
    names = [name.rpartition(":")[2] for name in COSTS if name.startswith("timm:") and "broken" not in name]
    machine = Machine(1e15, **{name: 0.02 + place / 1000 for place, name in enumerate(names)})
    found = measured(machine, "latency < 1 ms")
    assert found.best is None and found.emptied is not None and found.nearest == "timm:resnet50"
    assert len(machine.asked) == 5


# The same limits elsewhere


def test_list_of_any_source_within_limits(run: Run) -> None:
    code, out, err = run("list", "timm:*", *limits("macs < 1 G"), "--sort", "top1")
    best = published.claims("timm:efficientnet_b0", dataset="imagenet-1k", metric="top1")[0]
    assert code == 0 and "could not be counted" in err
    row = next(line for line in out.splitlines() if "efficientnet_b0" in line)
    assert re.search(rf"{best.percent:.2f}\s+{best.weights}@{best.resolution}", row)
    assert "timm:efficientnet_b0@256" not in out  # a list has each network at its own size
    code, out, _ = run("list", "timm:resnet50", "--json")
    assert json.loads(out)["architectures"][0]["accuracy"][0]["weights"] == "a1_in1k"
    code, out, _ = run("list", *limits("parameters < 10 M"))
    assert code == 0 and "secret" in out and "timm:" not in out  # without a pattern: the zoo
    assert run("list", "*", *limits("parameters < 10 M")) == (code, out, "")
    code, out, err = run("list", *limits("latency < 5 ms"))
    assert code == 2 and "a list measures nothing" in err


def saved(folder: Path) -> Path:
    rows = []
    for name, macs, seconds in (("a", 100, 0.010), ("b", 200, 0.020), ("c", 300, 0.030)):
        profile = StaticProfile(name, "zoo", (3, 8, 8), 1, macs, macs, 0, macs, 0, 4 * macs, 0, 0, None)
        blocks = tuple(Block(seconds, 10, place, place) for place in range(6))
        claim = published.Accuracy(name, "imagenet-1k", "top1", 50 + macs / 10, "us", "https://a.example")
        rows.append(ArchitectureResult(name, "zoo", profile=profile, accuracy=(claim,), latency=(Latency(16, blocks),)))
    path = folder / "saved.json"
    path.write_text(Comparison({}, tuple(rows), reference="c").to_json())
    return path


def test_a_saved_comparison_within_limits(run: Run, tmp_path: Path) -> None:
    path = saved(tmp_path)
    code, out, err = run("compare", "--from", path, *limits("latency < 25 ms", "top1 > 65"), "--csv", "-")
    assert code == 0 and [row["name"] for row in csv.DictReader(io.StringIO(out))] == ["b"]
    assert err == "archprof: --where: latency and memory are those at batch 16\n"
    code, out, err = run("compare", "--from", path, *limits("macs < 50"))
    assert code == 2 and "none has macs < 50. The nearest miss is a with 100 mult-adds." in err
    code, out, err = run("plot", "ball", "--from", path, *limits("macs < 250"), "-o", "ball.svg")
    assert code == 0 and (tmp_path / "ball.svg").exists()
    for words, said in (
        (["compare", "a", *limits("macs < 50")], "--where filters what --from names"),
        (["compare", "--from", path, "--yes"], "--yes has no effect with --from"),
        (["compare", "--from", path, *limits("macs < 5 MiB")], "unit of another kind"),
    ):
        code, out, err = run(*words)
        assert code == 2 and out == "" and said in err and err.count("\n") == 1
