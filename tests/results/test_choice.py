"""The best under limits, by hand: the order, the front, the next step up, and the recipe's part of a difference."""

from __future__ import annotations

import random
from typing import Any

from archprof.results import choice, where
from archprof.results.choice import Option
from archprof.results.columns import COLUMNS
from archprof.results.comparison import Accuracy


def claim(percent: float, weights: str = "v1", pretraining: str = "") -> Accuracy:
    return Accuracy("net", "imagenet-1k", "top1", percent, "us", "", "single crop", 224, weights, "", pretraining)


def option(name: str, top1: float | None, macs: int, parameters: int = 1, *others: Accuracy, **more: Any) -> Option:
    facts = {"name": name, "top1": top1, "macs": macs, "parameters": parameters} | more
    return Option(name, "zoo", "f", (3, 224, 224), facts, None if top1 is None else claim(top1), others)


def test_best_first_and_cheaper_among_equals() -> None:
    rows = [option("b", 70, 5), option("none", None, 1), option("a", 80, 9), option("c", 70, 4)]
    assert [one.name for one in choice.ordered(rows, COLUMNS["top1"])] == ["a", "c", "b", "none"]
    assert [one.name for one in choice.ordered(rows, COLUMNS["macs"])] == ["none", "c", "b", "a"]
    assert [one.name for one in choice.ordered(rows, COLUMNS["name"])] == ["a", "b", "c", "none"]


def test_the_front() -> None:
    rows = [
        option("best", 80, 9, 9),
        option("as good, dearer", 80, 10, 9),
        option("cheap", 60, 1, 8),
        option("beaten", 59, 2, 9),
        option("few parameters", 55, 5, 1),
        option("twin", 60, 1, 8),
        option("unknown", None, 0, 0),
    ]
    assert choice.front(rows, ["macs"]) == {"best", "cheap", "twin"}
    assert choice.front(rows, ["macs", "parameters"]) == {"best", "cheap", "twin", "few parameters"}


def test_the_front_is_what_its_definition_says() -> None:
    chance = random.Random(0)
    rows = [option(str(n), chance.randrange(20), chance.randrange(20), chance.randrange(20)) for n in range(200)]

    def beaten(one: Option) -> bool:
        mine = (-one.facts["top1"], one.facts["macs"], one.facts["parameters"])
        for other in rows:
            theirs = (-other.facts["top1"], other.facts["macs"], other.facts["parameters"])
            if theirs != mine and all(a <= b for a, b in zip(theirs, mine, strict=True)):
                return True
        return False

    assert choice.front(rows, ["macs", "parameters"]) == {one.name for one in rows if not beaten(one)}


def test_the_next_step_exceeds_the_caps_by_least_and_nothing_else() -> None:
    best = option("best", 70, 90)
    rows = [
        best,
        option("far", 85, 500),
        option("near", 71, 130),
        option("nearest", 75, 120),
        option("worse", 60, 110),
        option("not allowed", 90, 101, family="x"),
    ]
    limits = where.parse_all(["macs < 100", "family != x"])
    step = choice.next_step(best, rows, limits)
    assert step is not None and (step.option.name, step.costs) == ("nearest", ("macs",))
    assert choice.next_step(best, rows, where.parse_all(["top1 > 60"])) is None  # nothing caps a cost
    assert choice.next_step(option("best", 95, 90), rows, limits) is None


def test_the_recipes_part() -> None:
    one = option("one", 80.0, 1, 1, claim(75.0, "old"), claim(76.0, "other"))
    two = option("two", 82.0, 2, 1, claim(78.0, "old"))
    assert choice.under_one_recipe(one, two) == ("v1", 2.0)
    three = Option("three", "zoo", "f", (3, 224, 224), {"top1": 82.0}, claim(82.0, "new"), (claim(78.0, "old"),))
    assert choice.under_one_recipe(one, three) == ("old", 3.0)
    assert choice.under_one_recipe(one, option("four", None, 1)) is None


def test_costs_of_the_front_are_those_that_are_capped() -> None:
    assert choice.costs_of(where.parse_all(["parameters < 5 M", "top1 > 70", "macs < 1 G"])) == ("parameters", "macs")
    assert choice.costs_of(where.parse_all(["parameters > 5 M", "family = a"])) == choice.USUAL_COSTS
