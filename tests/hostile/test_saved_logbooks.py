"""A saved logbook, and a second copy's blocks, with every value in turn replaced by what nobody expects."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import shifting

from archprof.base.errors import BadFile
from archprof.cli import main
from archprof.render import answer
from archprof.render.tables import times
from archprof.results import entries, statistics
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


@pytest.mark.parametrize("readings", [(5e-324, 1e100), (1e-300, 1e300), (-1.0, 0.0), (1e308, 1e308)])
def test_readings_that_no_machine_has(readings: tuple[float, float], tmp_path, capsys):
    changed = saved()
    blocks = [block for row in changed["architectures"] for cell in row["latency"] for block in cell["blocks"]]
    for place, block in enumerate([*blocks, *changed["control"][0]["blocks"]]):
        block["evidence"] = dict.fromkeys(block["evidence"], readings[place % 2])
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(changed))
    for command in (["compare", "--from", str(file), "--details"], ["diff", str(file), str(file)]):
        assert main(command) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err


def test_many_states_and_blocks_are_refused_or_shown_in_seconds():
    changed = saved()
    state = changed["logbook"]["states"][0]
    changed["logbook"]["states"] = [state | {"number": number} for number in range(1, 500)]
    with pytest.raises(BadFile, match="499 states"):
        Comparison.from_json(json.dumps(changed))


def test_a_difference_of_many_blocks_is_found_in_moments():
    draw = random.Random(0)
    one, other = ([draw.lognormvariate(middle, 0.1) for _ in range(20_000)] for middle in (0.0, 0.5))
    low, high = statistics.bootstrap_ratio_interval(other, one)
    width = 2 * 1.96 * 1.2533 * 0.1 * (2 / 20_000) ** 0.5
    assert low < math.exp(0.5) < high and math.log(high / low) == pytest.approx(width, rel=0.05)


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
