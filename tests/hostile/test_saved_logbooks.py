"""A saved logbook, and a second copy's blocks, with every value in turn replaced by what nobody expects."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import shifting

from archprof.base.errors import BadFile
from archprof.render import answer
from archprof.render.tables import times
from archprof.results import entries
from archprof.results.comparison import Comparison

ODD = (None, -1, 0, 1e-300, 1e300, 10**18, True, "text", [], {}, [1], [-1.0, 1.0], [2.0, 1.0], {"sum_us": -1.0})


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """The path to every value inside, of a list's items the first and the last."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for place in {0, len(value) - 1} if value else ():
            yield from places(value[place], (*at, place))


def saved() -> dict[str, Any]:
    return json.loads(shifting.series(["a" * 6, "a" * 6, "aaabbb"])[-1].to_json())


PLACES = [place for key in ("logbook", "control") for place in places(saved()[key], (key,))]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_it_is_refused_or_shown(place: tuple):
    whole = saved()
    for odd in ODD:
        changed = copy.deepcopy(whole)
        inner = changed
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = odd
        try:
            found = Comparison.from_json(json.dumps(changed))
        except BadFile as refused:
            assert "\n" not in str(refused)
            continue
        assert times.latency(found).notes and answer.sentences(found)
        assert entries.entry(found) is not None
        assert Comparison.from_json(found.to_json()).ratios == found.ratios
