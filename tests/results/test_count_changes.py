"""Two saved comparisons: what their networks cost, before and after."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.budget_records import network
from helpers.runs import HERE, SLOW, STEADY

from archprof.cli import main
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.count_changes import count_changes
from archprof.results.latency import Block, Latency
from archprof.results.profile import StaticProfile, Uncounted


def saved(environment=HERE, seconds=(), **profiles: StaticProfile | None) -> Comparison:
    blocks = tuple(Block(value, 1, place, place) for place, value in enumerate(seconds, 1))
    latency = (Latency(1, blocks),) if blocks else ()
    return Comparison(
        environment,
        tuple(
            ArchitectureResult(name, "zoo", profile=profile, latency=latency, error=None if profile else "no memory")
            for name, profile in profiles.items()
        ),
    )


def sentences(before: Comparison, after: Comparison) -> list[str]:
    return [change.sentence for change in count_changes(before, after) if change.verdict != "unchanged"]


def test_every_count_is_compared():
    found = count_changes(saved(net=network(16)), saved(net=network(20)))
    # 38 w + 10 parameters, 1,738 w mult-adds, 64 w + 10 activations; 4 bytes a parameter
    assert [(change.count, change.before, change.after, change.verdict) for change in found] == [
        ("parameters", 618, 770, "grew"),
        ("mult-adds", 27_808, 34_760, "grew"),
        ("activations", 1_034, 1_290, "grew"),
        ("parameter memory", 2_472, 3_080, "grew"),
        ("peak activation memory", 8_192, 10_240, "grew"),
        ("activation memory for training", 12_288, 15_360, "grew"),
    ]
    assert found[1].sentence == "net: mult-adds 27.8 k -> 34.8 k, +25.00 %: grew"
    back = count_changes(saved(net=network(20)), saved(net=network(16)))
    assert {change.verdict for change in back} == {"shrank"}
    assert back[4].sentence == "net: peak activation memory 10.0 KiB -> 8.00 KiB, -20.00 %: shrank"


def test_one_parameter_in_millions_is_a_change():
    (one,) = sentences(
        saved(net=replace(network(), parameters=5_000_000)), saved(net=replace(network(), parameters=5_000_001))
    )
    assert one == "net: parameters 5,000,000 -> 5,000,001, +0.00002 %: grew"


def test_a_count_from_nothing_has_no_percentage():
    (one,) = sentences(saved(net=replace(network(), macs=0)), saved(net=network()))
    assert one == "net: mult-adds 0 -> 27.8 k: grew"


def test_what_cannot_be_compared_is_said():
    before = saved(a=network(), b=None, c=network(), d=network())
    after = saved(b=network(), c=replace(network(), input_shape=(3, 16, 16), macs=9), d=network(), e=network())
    assert sentences(before, after) == [
        "a: counts not compared (not in the comparison after)",
        "b: counts not compared (failed before: no memory)",
        "c: counts other than those of parameters not compared (input shape [3, 8, 8] against [3, 16, 16])",
        "e: counts not compared (not in the comparison before)",
    ]


def test_operators_without_formula_make_mult_adds_lower_bounds():
    odd = replace(network(20), uncounted=(Uncounted("mylib.op", 3),))
    (one,) = [said for said in sentences(saved(net=network(16)), saved(net=odd)) if "mult-adds" in said]
    assert one == "net: mult-adds 27.8 k -> 34.8 k, +25.00 %: grew (a lower bound after: mylib.op has no formula)"


def test_unknown_counts_are_passed_over():
    blank = replace(network(), training_activation_bytes=None)
    assert len(count_changes(saved(net=blank), saved(net=network()))) == 5


# --- the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def diff(tmp_path: Path, capsys):
    def run(before: Comparison, after: Comparison, *options: str) -> tuple[int, str, str]:
        paths = tmp_path / "a.json", tmp_path / "b.json"
        for path, side in zip(paths, (before, after), strict=True):
            path.write_text(side.to_json())
        code = main(["diff", *map(str, paths), *options])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return run


def test_counts_come_first_then_times(diff):
    code, out, _ = diff(
        saved(seconds=STEADY, net=network(16)), saved(seconds=SLOW, net=replace(network(16), macs=35_000))
    )
    assert code == 0
    assert out == (
        "net: mult-adds 27.8 k -> 35.0 k, +25.86 %: grew\n"
        "1 count grew, 0 shrank, 5 unchanged\n"
        "net, batch 1: 10.0 ms -> 12.0 ms, 1.20 (1.18 to 1.22) times as long: slower\n"
        "1 slower, 0 faster, 0 can't tell\n"
    )


def test_without_times_there_is_no_verdict_on_them(diff):
    other = HERE | {"threads": 4, "fingerprint": "def"}
    code, out, err = diff(saved(net=network(16)), saved(other, net=network(16)))
    assert (code, err) == (0, "")
    assert out == "0 counts grew, 0 shrank, 6 unchanged\nno times in either file\n"


def test_counts_are_compared_where_times_cannot_be(diff):
    other = HERE | {"threads": 4, "fingerprint": "def"}
    code, out, err = diff(saved(seconds=STEADY, net=network(16)), saved(other, seconds=SLOW, net=network(20)))
    assert code == 2 and out.endswith("6 counts grew, 0 shrank, 0 unchanged\n")
    assert err.startswith("archprof: the two were measured under different conditions (threads: 2 against 4).")


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ((), (0, 0)),
        (("--fail-on-growth",), (1, 0)),
        (("--fail-on-slower",), (0, 1)),
        (("--fail-on-growth", "--fail-on-slower"), (1, 1)),
    ],
)
def test_what_fails(diff, options, codes):
    small, large = saved(seconds=STEADY, net=network(16)), saved(seconds=STEADY, net=network(20))
    slow = saved(seconds=SLOW, net=network(16))
    assert (diff(small, large, *options)[0], diff(small, slow, *options)[0]) == codes
    assert diff(large, small, *options)[0] == 0


def test_a_factor_of_one_is_refused_before_anything_is_printed(diff):
    code, out, err = diff(saved(net=network(16)), saved(net=network(20)), "--factor", "1")
    assert (code, out) == (2, "") and err.startswith("archprof: factor is 1;")


def test_counts_are_compared_without_torch(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(saved(net=network(16)).to_json())
    code = "import sys; from archprof.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "diff", path, path], capture_output=True, text=True)
    assert done.returncode == 0 and "6 unchanged" in done.stdout
