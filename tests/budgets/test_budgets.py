"""Budgets: how limits are written, and how they are judged."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from helpers.budget_records import network, profiler, with_unknown_op
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archprof.base.errors import BadOption
from archprof.budgets import lock
from archprof.budgets.budget import Budget
from archprof.budgets.judging import check
from archprof.budgets.limits import MEASURES, parse_limit
from archprof.budgets.networks import Relative
from archprof.budgets.verdict import Checked, exit_code
from archprof.render.tables.verdicts import reasons, sentence
from archprof.results.bounds import parse_bound
from archprof.results.profile import Uncounted


def judged(profile=None, baseline=None, measure=None, **keys):
    """The verdicts on one budget for that profile."""
    budget = replace(Budget.of(object(), **keys), name="net", model="net")
    profiles = profiler(net=profile or network(), wide=network(32, "wide"))
    baselines = {"net": baseline} if baseline else {}
    return check([budget], baselines, profile=profiles, measure=measure)[0].verdicts


def status(**keys):
    (verdict,) = judged(**keys)
    return verdict.status


# --- how a limit is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, allowed, refused",
    [
        ("5 M", 5_000_000, 5_000_001),
        ("<= 5 M", 5_000_000, 5_000_001),
        ("at most 5 M", 5_000_000, 5_000_001),
        ("< 5 M", 4_999_999, 5_000_000),
        (">= 1 M", 1_000_000, 999_999),
        ("at least 1 M", 1_000_000, 999_999),
        ("> 1 M", 1_000_001, 1_000_000),
        (600, 600, 601),
    ],
)
def test_a_bound_means_what_its_sign_says(text, allowed, refused):
    bound = parse_bound(text, "parameters", MEASURES["parameters"].parse)
    assert bound.allows(allowed, bound.number)
    assert not bound.allows(refused, bound.number)


def test_a_table_gives_both_sides_and_growth():
    limit = parse_limit({"at_least": "1 M", "at_most": "5 M", "growth": "2 %"}, "", MEASURES["parameters"])
    assert [(bound.upper, bound.number) for bound in limit.bounds] == [(False, 1_000_000), (True, 5_000_000)]
    assert limit.growth == Fraction(1, 50)


def test_a_relative_bound_names_its_model():
    bound = parse_bound("0.6 x resnet18(num_classes=10)", "macs", MEASURES["macs"].parse)
    assert (bound.factor, bound.reference) == (Fraction(3, 5), "resnet18(num_classes=10)")


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"parameters": "5MB"}, "'MB' is a unit of another kind"),
        ({"parameters": "five"}, "not a number"),
        ({"parameters": True}, "not a limit"),
        ({"parameters": {"at_most": "> 5 M"}}, "both 'at most' and 'at least'"),
        ({"parameters": {}}, "limits nothing"),
        ({"parameters": {"atmost": 3}}, "Did you mean 'at_most'"),
        ({"parameter_bytes": 5}, "no unit"),
        ({"parameter_bytes": "5 M"}, "unit of another kind"),
        ({"peak_activation_bytes": "64"}, "the unit is missing"),
        ({"macs": "0.6 x resnet18("}, "malformed model name"),
        ({"growth": "2"}, "not a percentage"),
        ({"growth": 2}, "not a percentage"),
        ({"latency": "12 ms"}, "not relative to a network"),
        ({"latency": {"batch_size": 0, "at_most": "1 x a"}}, "not a batch size; expected a positive whole number"),
        ({"latency": {"batch_size": 1}}, "limits nothing"),
        ({"latency": []}, "limits nothing"),
        ({"parameters": 5, "batch_size": True}, "not a batch size; expected a positive whole number"),
        ({"parameters": 5, "input_shape": "3x32x32"}, "not a shape"),
        ({"parameters": 5, "input_shape": []}, "not a shape"),
        ({"parameters": 5, "allow_uncounted": "op"}, "not a list of operators"),
        ({"params": 5}, "Did you mean"),
        ({"parameters": {"at_least": "5 M", "at_most": "1 M"}}, "no value is ≥ 5 M and ≤ 1 M; exchange the two"),
        ({"parameters": "0.5 x resnet*"}, "relative to a pattern; expected one network"),
        ({"parameters": 5, "input": "ids=int46[3]"}, "unknown type 'int46'"),
        ({"parameters": 5, "input": ["a=bool[3]", "a=bool[3]"]}, "'a' is given twice"),
        ({"parameters": 5, "input": []}, "not a list of inputs"),
        ({"parameters": 5, "input": ["float32[3]"], "input_shape": [3]}, "both input and input_shape; state one"),
        ({}, "limits nothing"),
    ],
)
def test_bad_limits_say_what_is_wrong(keys, said):
    with pytest.raises(BadOption, match=said.replace("(", r"\(")) as seen:
        Budget.of(object(), **keys)
    assert "\n" not in str(seen.value)


# --- how it is judged ---------------------------------------------------------------------------------------


@given(measure=st.sampled_from(sorted(MEASURES)), width=st.integers(1, 10**6), batch_size=st.integers(1, 512))
def test_a_limit_equal_to_the_value_passes_and_one_below_fails(measure, width, batch_size):
    profile = replace(network(width, batch_size=batch_size), training_bytes=width)
    value = MEASURES[measure].value(profile)
    unit = " B" if MEASURES[measure].parse("1 B", "") == 1 else ""
    assert status(profile=profile, **{measure: f"{value}{unit}"}) == "within"
    assert status(profile=profile, **{measure: f"{value - 1}{unit}"}) == "over"
    assert status(profile=profile, **{measure: f"< {value}{unit}"}) == "over"
    assert status(profile=profile, **{measure: f"at least {value}{unit}"}) == "within"
    assert status(profile=profile, **{measure: f"at least {value + 1}{unit}"}) == "under"
    assert status(profile=profile, **{measure: "1 x net"}) == "within"
    assert status(profile=profile, **{measure: "0.999999 x net"}) == "over"


def test_the_memory_of_a_step_adds_up_by_hand():
    """100 features to 50 to 10, and the cross-entropy of one sample."""
    chain = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    (checked,) = check([Budget.of(chain, input_shape=[100], training_bytes="1 MB")])
    found = {verdict.measure: verdict.value for verdict in checked.verdicts}
    weights = 4 * (100 * 50 + 50 + 50 * 10 + 10)
    # parameters, gradients and momentum; in the backward pass input, both maps and the gradient of one
    assert 3 * weights < found["training_bytes"] < 3 * weights + 4 * (100 + 5 * 50 + 10 * 10)


def test_training_bytes_blame_the_layer_that_weighs_most_in_them():
    """conv has the activations (1,024 against 10), fc the parameters: 4 bytes of each, of its gradient and momentum."""
    heavy = network(16)
    layers = (*heavy.layers[:2], heavy.layers[2]._replace(parameters=100_000))
    modules = (*heavy.modules[:3], heavy.modules[3]._replace(parameters=100_000, trainable_parameters=100_000))
    parameters = 448 + 100_000
    heavy = replace(
        heavy,
        parameters=parameters,
        trainable_parameters=parameters,
        parameter_bytes=4 * parameters,
        gradient_bytes=4 * parameters,
        training_bytes=12 * parameters + 20_000,
        layers=layers,
        modules=modules,
    )
    (verdict,) = judged(profile=heavy, training_bytes="1 kB")
    assert verdict.heaviest[0].layer == "fc"
    assert sentence(verdict).endswith(
        "fc (linear) weighs most: 100,000 parameters, 99.6 % of them. "
        "Parameters, buffers, gradients and momentum take 1.15 MiB, activations kept for the backward pass 12.0 KiB."
    )
    light = replace(network(16), gradient_bytes=2472, training_bytes=3 * 2472 + 12_288)
    (verdict,) = judged(profile=light, training_bytes="1 kB")
    assert verdict.heaviest[0].layer == "conv" and "conv (conv 3x3) weighs most: 1,024 activations" in sentence(verdict)


def test_a_relative_limit_reads_the_other_model():
    (verdict,) = judged(macs="0.5 x wide")  # 16 channels have exactly half the mult-adds of 32
    assert (verdict.status, verdict.bound, verdict.headroom) == ("within", verdict.value, 0)
    assert status(macs="0.499 x wide") == "over"


def test_a_missing_reference_is_an_error_of_that_limit_alone():
    broken, fine = sorted(judged(macs="0.5 x nowhere", parameters="1 k"), key=lambda verdict: verdict.status)
    assert (broken.status, fine.status) == ("error", "within")
    assert "unknown model 'nowhere'" in sentence(broken)


def test_a_model_that_fails_stops_no_other():
    missing = Budget.of("x", parameters=1)
    fine = Budget("b", "net", Budget.of("x", parameters="1 k").limits)
    found = check([missing, fine], profile=profiler(net=network()))
    assert [one.verdicts[0].status for one in found] == ["error", "within"]
    assert exit_code(found) == 2


def test_uncounted_operators_fail_unless_allowed_by_name():
    profile = with_unknown_op(network())
    over = judged(profile=profile, parameters="1 k")
    assert [verdict.status for verdict in over] == ["within", "over"]
    assert "mylib::fused_act has no formula" in sentence(over[1])
    allowed = judged(profile=profile, parameters="1 k", allow_uncounted=["mylib::fused_act"])
    assert [verdict.status for verdict in allowed] == ["within", "within"]
    other = judged(profile=profile, parameters="1 k", allow_uncounted=["mylib::other"])
    assert other[1].status == "over"


@pytest.mark.parametrize("seen", ["mylib::fused_act", "mylib.fused_act"])
@pytest.mark.parametrize("written", ["mylib::fused_act", "mylib.fused_act", "mylib.fused_act.default"])
def test_an_operator_is_allowed_in_either_spelling(seen, written):
    profile = replace(network(), uncounted=(Uncounted(seen, 3),))
    assert [verdict.status for verdict in judged(profile=profile, parameters="1 k", allow_uncounted=[written])] == [
        "within",
        "within",
    ]


@pytest.mark.parametrize(
    "interval, expected",
    [
        ((1.0, 1.1), "within"),
        ((1.1, 1.2), "within"),
        ((1.1, 1.3), "cannot tell"),
        ((1.21, 1.3), "over"),
        ((1.3, 1.3), "cannot tell"),  # measured once: no interval
    ],
)
def test_latency_is_over_only_when_the_whole_interval_is(interval, expected):
    def measure(model, reference, feed):
        assert (model, reference, feed.batch_size) == ("net", "mobilenetv1", 8)
        return Relative(sum(interval) / 2, interval)

    found = judged(latency={"batch_size": 8, "at_most": "1.2 x mobilenetv1"}, measure=measure)
    assert found[0].status == expected
    one = Checked(Budget("net", "net"), network(), tuple(found))
    assert exit_code([one]) == (1 if expected == "over" else 0)
    assert exit_code([one], strict=True) == (0 if expected == "within" else 1)


def test_growth_is_judged_against_the_baseline():
    before = lock.baseline_of("net", network(16))
    assert status(profile=network(16), baseline=before, parameters={"growth": "0 %"}) == "within"
    (verdict,) = judged(profile=network(18), baseline=before, parameters={"growth": "2 %"})
    # 618 -> 694 parameters: conv 448 -> 504, fc 170 -> 190
    assert (verdict.status, verdict.baseline, verdict.value) == ("over", 618, 694)
    assert [(change.layer, change.before, change.after) for change in verdict.changed] == [
        ("conv", 448, 504),
        ("fc", 170, 190),
    ]
    assert sentence(verdict) == (
        "net has 694 parameters, +12.30 % against the baseline's 618, where 2 % of growth is allowed. "
        "conv (conv 3x3) went from 448 to 504 (+12.50 %)."
    )


def test_growth_of_a_budget_holds_for_every_measure_that_states_none():
    before = lock.baseline_of("net", network(16))
    budget = replace(Budget.of(object(), growth="2 %", macs={"growth": "10 %"}), name="net", model="net")
    found = check([budget], {"net": before}, profile=profiler(net=network(17)))[0].verdicts
    assert {verdict.measure for verdict in found} == set(MEASURES) - {"training_bytes"}
    # one channel in sixteen more is 6.25 % more mult-adds, and 38 of 618 parameters
    assert {verdict.measure for verdict in found if verdict.status == "within"} == {"macs"}


def test_growth_without_a_baseline_cannot_be_judged():
    (verdict,) = judged(parameters={"growth": "2 %"})
    assert verdict.status == "error" and "no baseline yet" in verdict.detail and "--update" in verdict.detail


def test_a_baseline_at_another_batch_size_is_not_compared():
    before = lock.baseline_of("net", network(16, batch_size=8))
    (verdict,) = judged(baseline=before, parameters={"growth": "2 %"})
    assert verdict.status == "error"
    assert "taken at batch 8 of 3x8x8, this is batch 1 of 3x8x8" in verdict.detail


def test_sentences_name_the_number_the_limit_and_the_heaviest_layer():
    (over,) = judged(parameters="600")
    assert sentence(over) == (
        "net has 618 parameters, 18 more than the 600 allowed. "
        "conv (conv 3x3) weighs most: 448 parameters, 72.5 % of them."
    )
    (equal,) = judged(parameters="< 618")
    assert "where fewer than 618 are allowed" in sentence(equal)
    (under,) = judged(parameters="> 1 k")
    assert "382 fewer than the 1 k required" in sentence(under)
    (relative,) = judged(macs="0.25 x wide")
    assert "13,904 more than the 0.25 x wide (13,904) allowed" in sentence(relative)
    (peak,) = judged(peak_activation_bytes="1 kB")
    assert "The peak is reached at relu." in sentence(peak)


def test_widening_one_layer_is_named():
    before = lock.baseline_of("net", network(16))
    (verdict,) = judged(profile=network(24), baseline=before, parameters="700")
    assert verdict.status == "over"
    assert reasons(verdict) == [
        "heaviest   conv (conv 3x3): 672 parameters, 72.9 %",
        "           fc (linear): 250 parameters, 27.1 %",
        "changed    conv (conv 3x3) went from 448 to 672 (+50.00 %)",
        "           fc (linear) went from 170 to 250 (+47.06 %)",
    ]
