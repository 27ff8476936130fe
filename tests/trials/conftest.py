"""A small network and small images that several tests train on."""

from __future__ import annotations

import pytest
from helpers.stripes import stripes as made

from archprof.trials.data import Arrays


@pytest.fixture
def net(monkeypatch) -> str:
    """The spec of a network for (1, 8, 8)."""
    from helpers import small_source

    from archprof import models

    monkeypatch.setitem(models._SOURCES, "small", small_source)
    return "small:Net"


@pytest.fixture
def stripes() -> Arrays:
    """Three classes that are easily told apart."""
    return made()
