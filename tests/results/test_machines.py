"""Several machines as one record: fingerprints, ratios, ranks; truths that can be checked by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.machines import FAST, TURNED, fleet, measured

from archprof.base.errors import BadFile, BadOption
from archprof.results import machines


def test_spearman_by_hand():
    assert machines.spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert machines.spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # ranks 1 2 3 4 and 1 3 2 4: 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15)
    assert machines.spearman([1, 2, 3, 4], [1, 9, 5, 12]) == pytest.approx(1 - 12 / 60)
    # ties at their mean rank: 1.5 1.5 3 against 1 2 3, Pearson of the ranks
    assert machines.spearman([5, 5, 7], [1, 2, 3]) == pytest.approx(1.5 / (1.5 * 2) ** 0.5)
    assert machines.spearman([1, 1, 1], [1, 2, 3]) is None


def test_ranks_ratios_and_pairs_that_turn_round():
    found = fleet()
    assert [machine.name for machine in found.machines] == ["EPYC", "slow"]
    assert found.reference() == "d" and found.reference("a") == "a"
    (each,) = found.correlations(1)
    assert each.machines == ("EPYC", "slow") and each.networks == 4
    assert each.rho == pytest.approx(0.8)
    assert each.reversed_pairs == (("b", "c"),)
    assert found.ranks(1) == {
        "a": {"EPYC": 1, "slow": 1}, "b": {"EPYC": 2, "slow": 3}, "c": {"EPYC": 3, "slow": 2},
        "d": {"EPYC": 4, "slow": 4},
    }  # fmt: skip


def test_a_pair_within_the_intervals_does_not_turn_round():
    vague = measured({"a": 0.010, "b": 0.0301, "c": 0.030, "d": 0.040}, "bbbb", "Atom")
    (each,) = machines.merge([(None, measured(FAST)), (None, vague)]).correlations(1)
    assert each.rho == pytest.approx(0.8) and each.reversed_pairs == ()


def test_a_time_that_is_not_reliable_turns_no_pair_round():
    slow = measured(TURNED, "bbbb", "Atom")
    rows = [
        replace(row, latency=tuple(replace(cell, why="other work") for cell in row.latency)) if row.name == "b" else row
        for row in slow.architectures
    ]
    found = machines.merge([(None, measured(FAST)), (None, replace(slow, architectures=tuple(rows)))])
    (each,) = found.correlations(1)
    assert each.networks == 4 and each.reversed_pairs == ()


def test_files_of_one_fingerprint_are_one_machine_and_the_later_counts():
    again = measured({"d": 0.005, "e": 0.006}, macs={"d": 1003, "e": 7})
    found = machines.merge([(None, measured(FAST)), (None, again)])
    (machine,) = found.machines
    assert found.networks == ("a", "b", "c", "d", "e")
    assert machine.time("d", 1).p50_s == pytest.approx(0.005)
    assert found.warnings == ("d was measured twice on aaaa at batch 1: the later file counts",)
    same = machines.merge([(None, measured(FAST)), (None, measured(FAST))])
    assert same.warnings == () and same.machines[0].comparison.architectures == measured(FAST).architectures


def test_other_batch_sizes_of_one_machine_are_kept_beside_each_other():
    found = machines.merge([(None, measured(FAST)), (None, measured(FAST, batch_size=8))])
    assert found.batch_sizes == (1, 8) and found.warnings == ()
    assert found.machines[0].time("a", 1) and found.machines[0].time("a", 8)


def test_other_counts_are_not_the_same_network():
    with pytest.raises(BadFile, match="a has macs 1000 in one file and 999 in another"):
        machines.merge([(None, measured(FAST)), (None, measured(FAST, "bbbb", macs={"a": 999}))])


def test_names_tell_machines_apart():
    def names(*which):
        return [machine.name for machine in machines.merge([(None, one) for one in which]).machines]

    assert names(measured(FAST), measured(FAST, "bbbb", "Atom")) == ["EPYC", "Atom"]
    assert names(measured(FAST), measured(FAST, "bbbb", threads=4)) == ["EPYC, 2 threads", "EPYC, 4 threads"]
    assert names(measured(FAST), measured(FAST, "bbbb")) == ["EPYC, 2 threads, aaaa", "EPYC, 2 threads, bbbb"]
    with pytest.raises(BadOption, match="two machines have the name 'x'"):
        machines.merge([("x", measured(FAST)), ("x", measured(FAST, "bbbb"))])


def test_files_without_a_time_hold_counts_and_are_no_machine():
    nothing = measured(dict.fromkeys("abcd", 0))
    found = machines.merge([(None, nothing), (None, measured(FAST, "bbbb"))])
    assert len(found.machines) == 1 and len(found.counted) == 4
    with pytest.raises(BadOption, match="none of the files holds a time"):
        machines.merge([(None, nothing)])
    with pytest.raises(BadOption, match="reference 'z' was not measured"):
        found.reference("z")


def test_what_is_written_is_read_again():
    text = fleet().to_json()
    saved = json.loads(text)
    assert saved["schema_version"] == 1 and [entry["name"] for entry in saved["machines"]] == ["EPYC", "slow"]
    assert saved["rank_correlation"] == [
        {"batch_size": 1, "machines": ["EPYC", "slow"], "rho": pytest.approx(0.8), "networks": 4,
         "reversed_pairs": [["b", "c"]]}
    ]  # fmt: skip
    assert machines.merge(machines.read(text)).to_json() == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"schema_version": 2, "machines": []}', "schema_version is 2"),
        ('{"schema_version": 1, "machines": 3}', "machines is a number|machines is 3; expected a list"),
        ('{"schema_version": 1, "machines": [{"name": "x"}]}', "schema_version"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(text, says):
    with pytest.raises(BadFile, match=says):
        machines.read(text)
