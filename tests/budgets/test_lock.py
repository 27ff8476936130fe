"""The baseline file: stable text, whole or not at all, and clear about what it cannot read."""

from __future__ import annotations

import pytest
from helpers.budget_records import network
from hypothesis import given
from hypothesis import strategies as st

from archprof.base.errors import BadFile
from archprof.budgets import lock
from archprof.budgets.lock import Baseline, LayerChange, LayerSummary

TEXT = """\
{
 "schema_version": 1,
 "budgets": {
  "net": {
   "model": "resnet18",
   "input_shape": [3, 8, 8],
   "batch_size": 1,
   "parameters": 86,
   "trainable_parameters": 86,
   "macs": 3476,
   "activations": 138,
   "parameter_bytes": 344,
   "peak_activation_bytes": 1024,
   "file_size": 344,
   "layers": {
    "conv": {"type": "conv", "parameters": 56, "trainable_parameters": 56, "macs": 3456, "activations": 128},
    "fc": {"type": "linear", "parameters": 30, "trainable_parameters": 30, "macs": 20, "activations": 10}
   }
  }
 }
}
"""


def test_the_text_has_one_line_a_layer():
    assert lock.to_json({"net": lock.baseline_of("resnet18", network(2))}).replace("conv 3x3", "conv") == TEXT


def test_budgets_stand_in_alphabetical_order_whatever_the_config_says():
    one, two = lock.baseline_of("a", network(1)), lock.baseline_of("b", network(2))
    assert lock.to_json({"b": two, "a": one}) == lock.to_json({"a": one, "b": two})


def test_no_budget_is_still_json():
    assert lock.from_json(lock.to_json({})) == {}


_counts = st.integers(0, 10**15)


@given(
    st.dictionaries(
        st.text(),
        st.builds(
            Baseline,
            model=st.text(),
            input_shape=st.lists(st.integers(1, 9)).map(tuple),
            batch_size=st.integers(1, 9),
            counts=st.dictionaries(st.sampled_from(["parameters", "macs"]), _counts),
            layers=st.dictionaries(
                st.text(), st.builds(LayerSummary, st.text(), _counts, _counts, _counts, _counts), max_size=3
            ),
        ),
        max_size=3,
    )
)
def test_what_is_written_is_read_back(baselines):
    assert lock.from_json(lock.to_json(baselines)) == baselines


@pytest.mark.parametrize(
    "text, said",
    [
        ("<<<<<<< HEAD\n", "archprof.lock.json is not JSON"),
        ("", "archprof.lock.json is not JSON"),
        ("[]", "not a baseline: it has no 'schema_version'"),
        ('{"schema_version": 2, "budgets": {}}', "has schema_version 2; this archprof reads 1"),
        ('{"schema_version": 1}', "lacks or garbles a key: KeyError('budgets')"),
        ('{"schema_version": 1, "budgets": {"a": {"model": "x"}}}', "lacks or garbles a key"),
        ('{"schema_version": 1, "budgets": {"a": 3}}', "lacks or garbles a key"),
    ],
)
def test_what_is_no_lock_is_refused_with_a_way_out(text, said):
    with pytest.raises(BadFile) as seen:
        lock.from_json(text)
    assert said in str(seen.value) and "archprof check --update" in str(seen.value)
    assert "\n" not in str(seen.value)


def test_a_missing_file_is_no_baseline(tmp_path):
    assert lock.read(tmp_path / "archprof.lock.json") == {}


def test_a_broken_file_is_in_the_way_of_a_part_only(tmp_path):
    path = tmp_path / "archprof.lock.json"
    path.write_text("not JSON")
    assert lock.read_for_update(path, whole=True) == {}
    with pytest.raises(BadFile):
        lock.read_for_update(path, whole=False)


def test_changed_layers_come_largest_first_with_new_and_lost_ones():
    before = {"a": LayerSummary("conv", 10), "b": LayerSummary("conv", 5), "gone": LayerSummary("linear", 7)}
    after = {"a": LayerSummary("conv", 12), "b": LayerSummary("conv", 5), "new": LayerSummary("linear", 100)}
    assert lock.changes(before, after, "parameters") == [
        LayerChange("new", "linear", 0, 100),
        LayerChange("gone", "linear", 7, 0),
        LayerChange("a", "conv", 10, 12),
    ]


def test_layers_hold_everything_that_the_totals_count():
    profile = network(5)
    layers = lock.layers_of(profile).values()
    assert sum(layer.parameters for layer in layers) == profile.parameters
    assert sum(layer.macs for layer in layers) == profile.macs
    assert sum(layer.activations for layer in layers) == profile.activations
