"""docs/json.md names every key that is written, and none that is not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from archprof.results import (
    ceilings,
    comparison,
    latency,
    logbook,
    machines,
    memory,
    predictions,
    profile,
    ratios,
    recipe,
    states,
    trials,
    whatif,
)
from archprof.results.latency import Block, Latency
from archprof.results.saved import field_names

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
RECORDS = (
    profile.StaticProfile, profile.LayerCost, profile.TypeCost, profile.Uncounted, profile.ModuleCost,
    comparison.Division, comparison.Accuracy, memory.BatchMemory, memory.OptimizerMemory, memory.LargestBatch,
    memory.Limiting, memory.Help,
    ceilings.Ceilings, ceilings.Probe, ceilings.Cache, ceilings.Lacking,
    latency.Block, ratios.Ratio, ratios.Stopping, ratios.StateRatio,
    logbook.Logbook, logbook.LoggedRun, logbook.PastRatio, states.State,
    predictions.Prediction, predictions.Target, predictions.Anchor, predictions.Predicted,
    trials.Trial, trials.DataFacts, trials.Entry, trials.Run, trials.Epoch, trials.Evaluation, trials.Axis,
    recipe.Recipe, whatif.WhatIf, whatif.Variant, whatif.KindTime, whatif.NotEdited,
)  # fmt: skip


def written() -> set[str]:
    row = comparison.ArchitectureResult("a", "zoo")
    whole = comparison.Comparison({}, (row,))
    keys = {name for record in RECORDS for name in field_names(record)}
    keys |= {field.name for field in dataclasses.fields(machines.RankCorrelation)} | {"rank_correlation"}
    keys |= set(comparison.row_json(row)) | set(Latency(1, (Block(0.1, 1, 1, 1),)).to_json())
    keys |= {"predicted_seconds", "inference_bytes"}
    keys |= {"flops_per_s", "memory_bytes", "measured_seconds", "prediction_error"}
    return keys | set(re.findall(r'^ "(\w+)":', whole.to_json(), re.MULTILINE))


def test_every_key_is_named_and_no_other():
    named = set(re.findall(r"`([a-z_0-9]+)`", PAGE))
    assert written() - named == set()
    assert named - written() - {"sweep", "inputs", "diff", "trial"} == set()
