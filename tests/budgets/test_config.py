"""Files of budgets, patterns, and checks from Python."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from helpers.budget_records import network, profiler, written

import archprof
from archprof.base.errors import ArchprofError, BadFile, BadOption
from archprof.budgets import config, lock
from archprof.budgets.budget import Budget
from archprof.budgets.judging import check


def test_a_file_is_read_whole(tmp_path):
    stated = config.read(
        written(
            tmp_path,
            """
# what we promised
[[budget]]
name = "backbone"
model = "resnet18"
input_shape = [3, 32, 32]
batch_size = 8
parameters = { at_least = "1 M", at_most = "12 M" }
latency = [{ at_most = "1.2 x mobilenetv1" }, { batch_size = 32, at_most = "2 x alexnet" }]
growth = "2 %"
allow_uncounted = ["mylib::fused_act"]

[[budget]]
model = "mobilenetv1"
file_size = "17 MB"
""",
        )
    )
    first, second = stated.budgets
    assert (first.name, first.model) == ("backbone", "resnet18")
    assert (first.feed.input_shape, first.feed.batch_size) == ((3, 32, 32), 8)
    assert [limit.batch_size for limit in first.latency] == [8, 32]
    assert (first.growth, first.allow_uncounted) == (Fraction(1, 50), ("mylib::fused_act",))
    assert (first.line, second.line, second.name) == (3, 13, "mobilenetv1")
    assert second.limits["file_size"].bounds[0].number == 17_000_000
    assert stated.lock_path == tmp_path / "archprof.lock.json"


def test_pyproject_holds_budgets_too(tmp_path):
    path = written(
        tmp_path, '[project]\nname = "x"\n[[tool.archprof.budget]]\nmodel = "nin"\nmacs = "1 G"\n', "pyproject.toml"
    )
    assert config.find(tmp_path) == path
    assert config.read(path).budgets[0].line == 3
    own = written(tmp_path, '[[budget]]\nmodel = "nin"\nmacs = "1 G"\n')
    assert config.find(tmp_path) == own


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "archprof.toml: it states no budget"),
        ("[[budget]\n", "archprof.toml is not valid TOML"),
        ("[budget]\nmodel = 'a'\nmacs = 1\n", "two brackets"),
        ("[[budgets]]\nmodel = 'a'\n", "unknown key 'budgets'. Did you mean 'budget'?"),
        ("[[budget]]\nmacs = 1\n", "budget 1 has no model"),
        ("[[budget]]\nmodel = 3\nmacs = 1\n", "model 3 is not a text"),
        ("[[budget]]\nmodel = 'a'\nparameter = 1\n", "'a': unknown key 'parameter'. Did you mean 'parameters'"),
        ("[[budget]]\nmodel = 'a'\nmacs = '5MB'\n", "budget 'a': macs '5MB': 'MB' is a unit of another kind"),
        ("[[budget]]\nmodel = 'a('\nmacs = 1\n", "malformed model name"),
        ("[[budget]]\nmodel = 'a'\nmacs = 1\n" * 2, "budgets 1 and 2 are both named 'a'"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArchprofError) as seen:
        config.read(written(tmp_path, text))
    assert said in str(seen.value) and "\n" not in str(seen.value)
    assert str(seen.value).startswith("archprof.toml")


def test_no_file_says_where_to_begin(tmp_path):
    with pytest.raises(BadFile, match=r"no archprof\.toml here"):
        config.find(tmp_path)
    with pytest.raises(BadFile, match="does not exist"):
        config.read(tmp_path / "other.toml")


def test_a_path_is_relative_to_the_file_that_names_it(tmp_path, monkeypatch):
    path = written(tmp_path, '[[budget]]\nmodel = "nets/mine.py:Net"\nmacs = "1 G"\n')
    assert config.read(path).budgets[0].model == f"{tmp_path}/nets/mine.py:Net"
    monkeypatch.chdir(tmp_path)
    assert config.read(path).budgets[0].model == "nets/mine.py:Net"


def test_a_pattern_is_one_budget_for_each_network(tmp_path):
    stated = config.read(
        written(
            tmp_path,
            """
[[budget]]
model = "resnet[13]*8"
parameters = "1 M"

[[budget]]
name = "small"
model = "alexnet*(num_classes=10)"
macs = "1 G"
""",
        )
    )
    first, second = stated.budgets[:-1], stated.budgets[-1]
    assert [budget.model for budget in first] == ["resnet18"]
    assert (second.name, second.model, second.stated) == (
        "small[alexnet(num_classes=10)]",
        "alexnet(num_classes=10)",
        "small",
    )
    assert {budget.line for budget in first} == {2} and second.line == 6
    chosen = config.select([stated], ["small"])[0].budgets
    assert chosen == (second,) == config.select([stated], [second.name])[0].budgets


def test_a_pattern_from_python_is_judged_for_each_network():
    profiles = profiler(resnet18=network(16), resnet34=network(32))
    checked = check([Budget.of("resnet[13]?", parameters="1 k")], profile=profiles)
    assert [(one.budget.name, one.verdicts[0].status) for one in checked] == [
        ("resnet18", "within"),
        ("resnet34", "over"),
    ]


def test_a_network_that_two_patterns_match_is_named_twice(tmp_path):
    path = written(tmp_path, "[[budget]]\nmodel = 'resnet1?'\nmacs = 1\n[[budget]]\nmodel = 'resnet?8'\nmacs = 1\n")
    with pytest.raises(BadOption, match="budgets 1 and 2 are both named 'resnet18'"):
        config.read(path)


@pytest.mark.parametrize(
    "model, said",
    [
        ("resnetx*", r"budget 'resnetx\*': none of the \d+ networks of zoo matches 'resnetx\*'"),
        ("nets/*.py:Net", "the networks of 'file' cannot be listed"),
    ],
)
def test_a_pattern_that_matches_nothing_is_said(tmp_path, model, said):
    with pytest.raises(ArchprofError, match=said):
        config.read(written(tmp_path, f"[[budget]]\nmodel = '{model}'\nmacs = 1\n"))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_checked_with_the_baselines_beside_it(tmp_path, kind):
    path = written(tmp_path, '[[budget]]\nmodel = "net"\nparameters = { at_most = "1 k", growth = "2 %" }\n')
    profiles = profiler(net=network(16))
    (one,) = archprof.check(kind(path), growth=False, profile=profiles)
    (tmp_path / "archprof.lock.json").write_text(lock.to_json({"net": lock.baseline_of("net", network(15))}))
    (two,) = archprof.check(kind(path), profile=profiles)
    assert [verdict.status for verdict in one.verdicts] == ["within"]
    assert [(verdict.status, verdict.baseline) for verdict in two.verdicts] == [("within", 580), ("over", 580)]


def test_budgets_are_made_and_checked_from_python():
    budget = archprof.Budget.of("net", name="mine", parameters="< 5 M", macs="1 k")
    (checked,) = archprof.check(budget, profile=profiler(net=network()))
    assert (checked,) == archprof.check([budget], profile=profiler(net=network()))
    assert [(verdict.budget, verdict.status) for verdict in checked.verdicts] == [("mine", "within"), ("mine", "over")]


@pytest.mark.parametrize("wrong", [3, None, ["archprof.toml"]])
def test_what_is_not_a_budget_is_refused(wrong):
    with pytest.raises(BadOption, match=r"expected a budget, such as Budget\.of\(.*or the path of a file"):
        archprof.check(wrong)
