"""What a machine can do at best: figures follow from the fastest probes, by arithmetic done by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from helpers.ceilings import ENVIRONMENT, MIB, arithmetic, ceilings, stream

from archprof.base import cache
from archprof.base.errors import BadFile
from archprof.base.kept import Store
from archprof.results import ceilings as keeping
from archprof.results.ceilings import CONVOLUTION, MEMORY, Bound, Ceilings, Lacking, Probe

KNOWN = ceilings()


def test_arithmetic_is_the_highest_rate_of_any_product_or_convolution():
    assert KNOWN.compute("float32").value == pytest.approx(100e9)
    assert KNOWN.compute("float32", ("product",)).value == pytest.approx(90e9)
    assert KNOWN.compute("bfloat16").value == pytest.approx(25e9)
    assert KNOWN.compute("float16") is None and KNOWN.dtypes == ("float32", "bfloat16")


def test_bandwidth_is_that_of_the_fastest_way_without_the_call():
    assert [(size, round(figure.value / 1e9, 6)) for size, figure in KNOWN.memory] == [
        (MIB, 50.0), (4 * MIB, 20.0), (64 * MIB, 10.0)]  # fmt: skip
    assert [figure.probe.work for _, figure in KNOWN.memory] == ["read", "copy", "read"]


def test_what_changes_its_input_may_be_faster():
    assert [(size // MIB, round(figure.value / 1e9, 6)) for size, figure in KNOWN.in_place] == [
        (1, 80.0), (4, 20.0), (64, 16.0)]  # fmt: skip
    assert KNOWN.bytes_per_s(MIB, in_place=True) == pytest.approx(80e9)
    # 2 MiB moved are 1 MiB of data, there and back
    assert KNOWN.bound(0, 2 * MIB, in_place=True).memory_s == pytest.approx(2 * MIB / 80e9)
    assert KNOWN.bound(0, 2 * MIB).memory_s == pytest.approx(2 * MIB / math.sqrt(50e9 * 20e9))


def test_a_larger_working_set_vouches_for_a_smaller_one():
    known = ceilings(stream("copy", 2 * MIB, 1e9), stream("copy", 128 * MIB, 15e9))
    assert [(size // MIB, round(figure.value / 1e9, 6)) for size, figure in known.memory] == [
        (1, 50.0), (2, 20.0), (4, 20.0), (64, 15.0), (128, 15.0)]  # fmt: skip


def test_what_is_mostly_a_call_says_nothing_of_memory():
    """64 KiB in 0.9 us beside a call of 1 us: a rate of which half is guessed."""
    known = ceilings(stream("copy", 2**16, 2**16 / 0.9e-6))
    assert known.memory[0].working_set_bytes == MIB
    assert known.stream(stream("copy", 2**16, 2**16 / 1.1e-6)) == pytest.approx(2**16 / 1.1e-6)


def test_between_two_sizes_bandwidth_follows_the_line_in_logarithms():
    assert KNOWN.bytes_per_s(2 * MIB) == pytest.approx(math.sqrt(50e9 * 20e9))
    assert KNOWN.bytes_per_s(16 * MIB) == pytest.approx(math.sqrt(20e9 * 10e9))
    assert KNOWN.bytes_per_s(1) == KNOWN.bytes_per_s(MIB) == pytest.approx(50e9)
    assert KNOWN.bytes_per_s(10**12) == KNOWN.bytes_per_s(64 * MIB) == pytest.approx(10e9)


def test_levels_are_named_by_the_caches_that_hold_a_working_set():
    assert [KNOWN.level(size) for size in (1, 2 * MIB, 2 * MIB + 1, 16 * MIB, 17 * MIB)] == [
        "L2",
        "L2",
        "L3",
        "L3",
        MEMORY,
    ]
    assert {level: round(figure.value / 1e9) for level, figure in KNOWN.levels.items()} == {
        "L2": 50,
        "L3": 20,
        MEMORY: 10,
    }
    assert {level: round(figure.value / 1e9) for level, figure in ceilings(caches=()).levels.items()} == {MEMORY: 10}


@pytest.mark.parametrize(
    ("work", "seconds", "by", "level"),
    [
        ((1e9, MIB), 1e-6 + 0.01, "compute", "L2"),  # 10 ms of arithmetic, 0.02 ms of data
        ((0, 64 * MIB), 1e-6 + 64 * MIB / 10e9, "memory", MEMORY),
        ((1000, 4000), 1e-6 + 4000 / 50e9, "calls", "L2"),
        ((0, 0), 1e-6, "calls", MEMORY),
    ],
)
def test_the_best_time_is_that_of_what_binds_and_of_the_call(work, seconds, by, level):
    bound = KNOWN.bound(*work)
    assert bound.seconds == pytest.approx(seconds) and (bound.by, bound.level) == (by, level)


def test_weights_come_from_where_a_whole_pass_fits():
    """1 MiB of weights and 1 MiB of activations, in a pass that goes through 64 MiB."""
    bound = KNOWN.bound(0, 2 * MIB, weight_bytes=MIB, held_bytes=64 * MIB)
    assert bound.memory_s == pytest.approx(MIB / 10e9 + MIB / 50e9) and bound.level == MEMORY
    assert KNOWN.bound(0, 2 * MIB, weight_bytes=MIB, held_bytes=MIB).memory_s == pytest.approx(2 * MIB / 50e9)
    # a smaller pass than its own weights, and more weights than bytes, are the counter's slips: no more than what moved
    assert KNOWN.bound(0, MIB, weight_bytes=9 * MIB, held_bytes=0).memory_s == pytest.approx(MIB / 50e9)


def test_kinds_of_call_have_their_own_least_time():
    assert KNOWN.bound(1, 0, call=CONVOLUTION).call_s == pytest.approx(8e-6)
    assert ceilings(without=CONVOLUTION).bound(1, 0, call=CONVOLUTION).call_s == 0.0


def test_on_a_gpu_calls_are_made_while_it_computes():
    assert Bound(3e-6, 2e-6, 4e-6).seconds == pytest.approx(7e-6)
    assert Bound(3e-6, 2e-6, 4e-6, overlapping=True).seconds == pytest.approx(4e-6)
    gpu = ceilings(environment=ENVIRONMENT | {"device": "cuda:1"})
    assert gpu.bound(1e9, 0).seconds == pytest.approx(0.01)
    assert gpu.memory[0].figure.value == pytest.approx(MIB / (MIB / 50e9 + 1e-6))


def test_probes_of_nothing_are_passed_over():
    empty = [Probe(work, "", "float32", 0, 0, 0, (1.0, 1.0, 1.0)) for work in ("product", "copy")]
    empty.append(Probe("copy", "", "float32", 0, MIB, 0, (1.0, 1.0, 1.0)))
    assert ceilings(*empty).memory == KNOWN.memory and ceilings(*empty).compute("float32") == KNOWN.compute("float32")
    assert Ceilings({}, tuple(empty)).bound(1, 1) is None and Ceilings({}, tuple(empty)).dtypes == ()


def test_a_ceiling_that_was_not_measured_bounds_nothing():
    assert KNOWN.bound(1e9, MIB, "float16") is None
    assert KNOWN.bound(0, MIB, "float16") is not None  # no arithmetic, no type
    nothing = Ceilings({}, ())
    assert nothing.bound(1, 0) is None and nothing.bound(0, 1) is None and nothing.bound(0, 0).seconds == 0
    assert (nothing.memory, nothing.levels, nothing.dtypes, nothing.doubts, nothing.date) == ((), {}, (), (), "")


# -- what can be relied on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "disturbed", "why"),
    [
        ((1.0, 1.04, 3.0), (), None),
        ((1.0, 1.06, 3.0), (), "no other block came within 5 % of the fastest"),
        ((1.0, 1.0), (), "there was time for 2 blocks, 3 are needed"),
        ((1.0, 1.0), (9.0, 9.0), "2 of 4 blocks were disturbed (other work, 50 % of the CPUs)"),
    ],
)
def test_the_fastest_block_needs_others(seconds, disturbed, why):
    cause = "other work, 50 % of the CPUs" if disturbed else None
    probe = Probe("copy", "", "float32", 0, 8, 8, seconds, disturbed, cause)
    assert probe.why == why and probe.best_s == 1.0


def test_a_probe_that_cannot_be_relied_on_stands_back():
    once = arithmetic("product", "float32", 150e9, seconds=(2 * 512**3 / 150e9,))
    assert ceilings(once).compute("float32").value == pytest.approx(100e9) and not ceilings(once).doubts
    alone = ceilings(once, without="convolution")
    alone = replace(alone, probes=tuple(p for p in alone.probes if p is once or p.dtype != "float32" or not p.flops))
    assert alone.compute("float32").value == pytest.approx(150e9)
    assert alone.doubts == ("float32: there was time for 1 block, 3 are needed",)


def test_what_was_disturbed_throughout_is_told_and_used():
    probe = Probe("copy", "", "float32", 0, 8 * MIB, 8 * MIB, (), (0.01, 0.02), "steal, 9 % of the CPUs")
    known = ceilings(probe, without="read")
    assert "memory, 8.00 MiB" not in " ".join(known.doubts)  # a larger one that was undisturbed vouches for it
    known = replace(known, probes=tuple(p for p in known.probes if p.working_set_bytes != 64 * MIB))
    assert known.doubts == ("memory, 8.00 MiB: 2 of 2 blocks were disturbed (steal, 9 % of the CPUs)",)


def test_two_measurements_know_more_than_either():
    probe = stream("copy", MIB, 10e9)
    slow = replace(probe, seconds=(3e-4,), disturbed_seconds=(5e-4, 6e-4), cause="steal")
    fast = replace(probe, seconds=(1e-4, 1.01e-4), disturbed_seconds=(), cause=None)
    alone = stream("read", MIB, 5e9)
    newer = Ceilings(
        {"date": "2026-02-01T10:00:00"}, (slow,), (), (Lacking("float64", "slow"), Lacking("float16", "no"))
    )
    earlier = Ceilings({"date": "2026-01-01T10:00:00"}, (fast, alone, arithmetic("product", "float64", 1e9)))
    both = newer.with_earlier(earlier)
    assert both.probes[0].seconds == (1e-4, 1.01e-4, 3e-4) and both.probes[0].disturbed_seconds == (5e-4, 6e-4)
    assert (both.probes[0].cause, both.probes[0].why, both.probes[1]) == ("steal", None, alone)
    assert both.date == "2026-02-01 10:00 UTC" and [one.dtype for one in both.lacking] == ["float16"]


# -- kept for another time -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "may_keep", True)
    return tmp_path


def test_json_and_back():
    saved = json.loads(json.dumps(KNOWN.to_json()))
    assert keeping.read(saved) == KNOWN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda saved: saved.pop("probes"), "ceilings has no key 'probes'"),
        (lambda saved: saved["probes"][0].update(seconds=[0]), r"ceilings.probes\[0\].seconds\[0\] is 0"),
        (lambda saved: saved["probes"][0].update(flops=-1), r"ceilings.probes\[0\].flops is -1"),
        (lambda saved: saved["probes"][0].update(work=3), r"ceilings.probes\[0\].work is 3; expected text"),
        (lambda saved: saved["caches"].append({"level": "L4", "size_bytes": "big"}), r"caches\[2\].size_bytes"),
        (lambda saved: saved.update(environment=[]), "environment"),
        (lambda saved: saved["environment"].update(date=5), "environment.date is 5"),
    ],
)
def test_what_is_no_ceilings_is_one_line(change, said):
    saved = json.loads(json.dumps(KNOWN.to_json()))
    change(saved)
    with pytest.raises(BadFile, match=said):
        keeping.read(saved)


def test_ceilings_are_kept_for_the_machine_whatever_a_pass_computes(folder):
    assert keeping.known(ENVIRONMENT) is None
    assert keeping.keep(KNOWN) is None and keeping.known(ENVIRONMENT) == KNOWN
    for same in ({"dtype": "bfloat16"}, {"mode": "train", "optimizer": "adam"}, {"channels_last": True}, {"date": "x"},
                 {"autocast": "float16"}, {"keep_memory": False}, {"compile": "default"}):  # fmt: skip
        assert keeping.known(ENVIRONMENT | same) == KNOWN, same
    for other in ({"threads": 1}, {"device": "cuda"}, {"torch": "2.14.0"}, {"variables": {"MKL_DYNAMIC": "0"}},
                  {"device_name": "another"}, {"cpu_capability": "AVX512"}):  # fmt: skip
        assert keeping.known(ENVIRONMENT | other) is None, other


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        [],
        {},
        {"environment": {}, "probes": [1]},
        {"environment": {}, "probes": []},
        ceilings(without="x").to_json() | {"probes": []},
    ],
)
def test_what_became_of_the_file_hurts_nobody(folder, value):
    Store(keeping.KIND, keeping.machine(ENVIRONMENT)).put(keeping.KEY, value)
    assert keeping.known(ENVIRONMENT) is None


def test_a_folder_that_cannot_be_written_is_told(folder):
    (folder / "archprof").write_text("a file in the way")
    assert "not kept for another time" in keeping.keep(KNOWN)
