"""Trials under attack: networks that change what is around them, processes that are killed, and strange data."""

from __future__ import annotations

import os

import pytest
import torch
from helpers.stripes import stripes
from hostile.networks_trained import ROWS, Plain, Row

import archprof

HOW = {"lr": 0.01, "batch_size": 30, "epochs": 2, "seeds": 2, "input_shape": (1, 8, 8)}


def observed(found: archprof.Trial, name: str) -> list:
    """What was seen of one network, but for its times."""
    (entry,) = [entry for entry in found.entries if entry.network == name]
    return [entry.error, *((run.seed, [seen[:5] for seen in run.epochs], run.class_correct) for run in entry.runs)]


@pytest.fixture(scope="module")
def alone() -> list:
    return observed(archprof.trial({"plain": Plain}, stripes(), **HOW), "plain")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_network_after_it_is_trained_as_if_it_were_alone(row: Row, alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = archprof.trial({"strange": row.network, "plain": Plain}, stripes(), folder="t", **HOW)
    assert observed(found, "plain") == alone
    error = found.entries[0].error
    assert (row.fails in error) if row.fails else (error is None), error
    assert len(list((tmp_path / "t" / "runs").glob("plain*.pt"))) == 2 and os.listdir(tmp_path) == ["t"]
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32
