"""Two saved comparisons: verdicts by factor and test, refusals by fingerprint and schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.runs import HERE, SLOW, STEADY

from archprof.base.errors import BadOption
from archprof.cli import main
from archprof.results import diff
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency


def cell(*seconds: float, batch_size: int = 1, **fields) -> Latency:
    blocks = tuple(Block(value, 1, place, place) for place, value in enumerate(seconds, 1))
    return Latency(batch_size, blocks, **fields)


def saved(environment=HERE, **cells: Latency) -> Comparison:
    rows = tuple(ArchitectureResult(name, "zoo", latency=(seen,)) for name, seen in cells.items())
    return Comparison(environment, rows)


HARDLY = [value * 1.03 for value in STEADY]
WILD = [0.009, 0.013, 0.008, 0.016, 0.0095, 0.0101, 0.0121, 0.0119]


def verdict(before: Latency, after: Latency) -> diff.Difference:
    (found,) = diff.differences(saved(net=before), saved(net=after))
    return found


def test_slower_needs_a_factor_and_a_test():
    found = verdict(cell(*STEADY), cell(*SLOW))
    assert found.verdict == "slower" and found.factor == pytest.approx(1.2)
    assert found.p == pytest.approx(2 / 12870)  # 1 of C(16, 8) arrangements to each side
    assert found.sentence == ("net, batch 1: 10.0 ms -> 12.0 ms, 1.20 (1.18 to 1.22) times as long: slower")


def test_faster_is_the_same_the_other_way():
    assert verdict(cell(*SLOW), cell(*STEADY)).verdict == "faster"


def test_a_significant_trifle_does_not_count():
    found = verdict(cell(*STEADY), cell(*HARDLY))
    assert found.p < 0.05 and (found.verdict, found.why) == ("can't tell", "less than a factor of 1.05")


def test_a_large_factor_that_may_be_chance_does_not_count():
    found = verdict(cell(*STEADY), cell(*WILD))
    assert found.factor > 1.05 and found.verdict == "can't tell" and found.why.startswith("may be chance: p = 0.")
    few = verdict(cell(0.01, 0.01, 0.01), cell(0.02, 0.02, 0.021))
    assert few.why == "may be chance: p = 0.1 from 3 and 3 samples"


def test_what_was_unreliable_stays_so():
    found = verdict(cell(*STEADY), cell(*SLOW, why="4 of 12 blocks were disturbed"))
    assert (found.verdict, found.why) == ("can't tell", "unreliable after: 4 of 12 blocks were disturbed")


def test_more_results_ask_for_more_certainty():
    """Of twenty unchanged networks one would be called changed at 5 % each."""
    assert diff.compared("net", cell(1, 2, 3, 4), cell(5, 6, 7, 8), 1.05).verdict == "slower"  # p = 2/70
    many = {f"n{place}": cell(1, 2, 3, 4) for place in range(20)}
    later = {f"n{place}": cell(5, 6, 7, 8) for place in range(20)}
    assert {found.verdict for found in diff.differences(saved(**many), saved(**later))} == {"can't tell"}


def test_what_is_on_one_side_only_is_said():
    found = diff.differences(
        saved(a=cell(*STEADY), b=Latency(1, error="out of memory")), saved(b=cell(*STEADY), c=cell(*STEADY))
    )
    assert [difference.sentence for difference in found] == [
        "a, batch 1: can't tell (not in the comparison after)",
        "b, batch 1: can't tell (failed before: out of memory)",
        "c, batch 1: can't tell (not in the comparison before)",
    ]


def test_other_conditions_are_refused_and_named():
    other = HERE | {"threads": 4, "fingerprint": "def", "date": "2026-02-02"}
    with pytest.raises(BadOption) as caught:
        diff.differences(saved(a=cell(*STEADY)), saved(other, a=cell(*STEADY)))
    assert str(caught.value) == (
        "the two were measured under different conditions (threads: 2 against 4). "
        "Measure both on one machine with the same options."
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    paths = tmp_path / "a.json", tmp_path / "b.json"
    paths[0].write_text(saved(resnet50=cell(*STEADY), alexnet=cell(*SLOW)).to_json())
    paths[1].write_text(saved(resnet50=cell(*SLOW), alexnet=cell(*SLOW)).to_json())
    return str(paths[0]), str(paths[1])


def test_the_command_prints_a_line_each_and_a_count(files, capsys):
    assert main(["diff", *files]) == 0
    assert capsys.readouterr().out == (
        "resnet50, batch 1: 10.0 ms -> 12.0 ms, 1.20 (1.18 to 1.22) times as long: slower\n"
        "alexnet, batch 1: 12.0 ms -> 12.0 ms, 1.00 (0.99 to 1.01) times as long: "
        "can't tell (less than a factor of 1.05)\n"
        "1 slower, 0 faster, 1 can't tell\n"
    )


def test_the_command_can_fail_on_slower(files):
    assert main(["diff", *files, "--fail-on-slower"]) == 1
    assert main(["diff", *files[::-1], "--fail-on-slower"]) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "b.json': not JSON"),
        ("{}", "it has no 'schema_version'"),
        (json.dumps({"schema_version": 99}), "schema_version is 99"),
        (None, "No such file or directory"),
    ],
)
def test_files_that_cannot_be_read_are_named(files, content, said, capsys):
    Path(files[1]).unlink() if content is None else Path(files[1]).write_text(content)
    assert main(["diff", *files]) == 2
    error = capsys.readouterr().err
    assert said in error and "b.json" in error and error.count("\n") == 1


@pytest.mark.parametrize("factor", ["0", "-1", "x"])
def test_factors_that_make_no_sense_are_refused(files, factor, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["diff", *files, f"--factor={factor}"])
    assert stopped.value.code == 2


def test_a_factor_of_one_is_refused(files, capsys):
    assert main(["diff", *files, "--factor", "1"]) == 2
    assert "factor is 1; expected a factor above 1" in capsys.readouterr().err


def test_diff_works_without_torch(files):
    code = "import sys; from archprof.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "diff", *files], capture_output=True, text=True)
    assert done.returncode == 0 and "1 slower" in done.stdout
