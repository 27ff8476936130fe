"""Records of time: what is derived, what is written, and how a ratio reads."""

from __future__ import annotations

import json

import pytest

from archprof.results import reading, statistics
from archprof.results.latency import Block, Latency
from archprof.results.ratios import Ratio, ratio_of, ratios_to


def latency(*seconds: float, batch_size: int = 1, disturbed: tuple[int, ...] = (), first: int = 1) -> Latency:
    """One block a round; the rounds in `disturbed` were disturbed."""
    return Latency(
        batch_size,
        tuple(
            Block(value, 1, number, number, "other work (1.0 CPUs)" if number in disturbed else None)
            for number, value in enumerate(seconds, first)
        ),
    )


def test_disturbed_blocks_are_kept_and_left_out():
    seen = latency(1.0, 9.0, 1.2, 1.1, disturbed=(2,))
    assert len(seen.blocks) == 4 and seen.seconds == (1.0, 1.2, 1.1)
    assert seen.p50_s == 1.1 and seen.throughput == 1 / 1.1


def test_where_all_were_disturbed_all_are_shown():
    assert latency(1.0, 3.0, disturbed=(1, 2)).p50_s == 2.0


def test_p99_needs_a_hundred_samples():
    assert latency(*range(1, 100)).p99_s is None
    assert latency(*range(1, 101)).p99_s == pytest.approx(99.01)  # rank 0.99 * 99 = 98.01, counted from 0


def test_a_measurement_outlives_json():
    seen = Latency(
        8,
        (Block(0.5, 2, 1, 3, None, {"waiting": 0.01}), Block(0.6, 2, 2, 4, "steal", {})),
        measured_peak_bytes=10,
        why="too few",
        note="interrupted",
    )
    saved = json.loads(json.dumps(seen.to_json(), allow_nan=False))
    back = reading.checked(Latency, saved)
    assert back.to_json() == saved and back.blocks[0] == seen.blocks[0]
    assert saved["reliable"] is False and saved["samples"] == 1 and saved["p99_s"] is None


def test_an_error_invents_no_figures():
    saved = Latency(32, error="out of memory").to_json()
    assert saved["error"] == "out of memory" and saved["reliable"] is False
    assert not saved.keys() & {"p50_s", "p90_s", "ci95_s", "throughput", "samples"}


def test_a_ratio_pairs_the_blocks_of_a_round():
    """The machine halves its speed after round 4: medians of the whole would hide that the ratio stayed 4."""
    slow, fast = latency(4, 4, 4, 4, 8, 8, 8), latency(1, 1, 1, 1, 2, 2, 2)
    assert ratio_of(slow, fast) == (4.0, (4.0, 4.0))
    # the faster network's blocks of rounds 1 to 3 were disturbed: its median is 2, the other's still 4
    seen = ratio_of(slow, latency(7, 7, 7, 1, 2, 2, 2, disturbed=(1, 2, 3)))
    assert seen == (4.0, (pytest.approx(4.0), pytest.approx(4.0)))


def test_without_common_rounds_the_medians_are_compared():
    ratio, interval = ratio_of(latency(4, 4, 4), latency(2, 2, 2, first=10))
    assert ratio == 2 and interval == (2, 2)


def test_ratios_are_taken_batch_by_batch_where_both_were_measured():
    cells = {
        "a": [latency(2, 2, 2), latency(9, 9, 9, batch_size=8)],
        "b": [latency(1, 1, 1), Latency(8, error="out of memory")],
    }
    assert ratios_to("b", cells) == (Ratio(1, "a", "b", 2.0, (2.0, 2.0), True, 2.0, (2.0, 2.0)),)
    assert ratios_to(None, cells) == ()


def test_a_ratio_is_relied_on_by_its_own_interval():
    """The machine's speed wanders by a third, for both alike: each time is vague, their quotient is 4."""
    pace = (3.0, 4.0, 3.2, 3.9, 3.1, 4.1, 3.0)
    slow, fast = latency(*(4 * p for p in pace)), latency(*pace)
    assert statistics.half_width(fast.ci95_s, fast.p50_s) > 0.1
    (ratio,) = ratios_to("b", {"a": [slow], "b": [fast]})
    assert ratio.ratio == 4 and ratio.reliable


@pytest.mark.parametrize(
    ("above", "below"),
    [
        (latency(2, 2), latency(1, 1)),  # too few rounds
        (latency(2, 2, 2, 2, disturbed=(1, 2)), latency(1, 1, 1, 1)),  # too few undisturbed ones
        (latency(2, 2, 2), latency(1, 1, 1, first=10)),  # none in common
        (latency(2, 3, 2, 3, 2, 3), latency(1, 1, 1, 1, 1, 1)),  # an interval of a fifth to each side
    ],
)
def test_a_vague_ratio_is_said_to_be(above, below):
    (ratio,) = ratios_to("b", {"a": [above], "b": [below]})
    assert not ratio.reliable and ratio.sentence.endswith("not reliable)")


def test_a_wider_precision_relies_on_a_wider_interval():
    cells = {"a": [latency(2, 3, 2, 3, 2, 3)], "b": [latency(1, 1, 1, 1, 1, 1)]}
    assert [ratios_to("b", cells, widest)[0].reliable for widest in (0.05, 0.3)] == [False, True]


@pytest.mark.parametrize(
    ("ratio", "interval", "shown"),
    [
        (3.9, (3.8, 4.0), "3.9 (3.8 to 4.0)"),
        (1.991, (1.97, 2.06), "1.99 (1.97 to 2.06)"),
        (12.2, (11.3, 13.1), "12 (11 to 13)"),
        (0.6912, (0.6901, 0.6923), "0.691 (0.690 to 0.692)"),
        (2.4, (1.0, 5.2), "2.4 (1.0 to 5.2)"),
        (0.53, (0.1, 1.2), "0.53 (0.10 to 1.20)"),
    ],
)
def test_a_ratio_reads_as_a_sentence(ratio, interval, shown):
    sentence = Ratio(1, "resnet50", "mobilenetv1", ratio, interval).sentence
    assert sentence == f"resnet50 takes {shown} times as long as mobilenetv1 at batch 1"


def test_a_ratio_of_single_blocks_claims_no_interval():
    assert Ratio(8, "a", "b", 2.5, (2.5, 2.5)).sentence == ("a takes 2.5 times as long as b at batch 8 (measured once)")


def test_intervals_come_from_the_undisturbed_blocks():
    seen = latency(*[1.0, 1.1] * 10, 50, 60, disturbed=(21, 22))
    assert seen.ci95_s == statistics.median_interval([1.0, 1.1] * 10)
