"""archprof check: exit codes, what people see, and what machines read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.budget_records import TWO, budget, network, written

from archprof.base.errors import MissingPackage
from archprof.budgets import lock
from archprof.budgets.networks import Relative


def stripped(text):
    """The lines without the blanks that fill a table's cells."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_within_is_0_and_a_table(check):
    code, out, err = check(text=TWO.replace("0.6 x", "2.6 x"))
    assert (code, err) == (0, "")
    assert (
        stripped(out)
        == """\
Budgets

 Budget   Measure       Value   Limit          Headroom   Change   Verdict
 ─────────────────────────────────────────────────────────────────────────
 small    parameters      618   ≤ 618            0.00 %        —   within
 small    macs         27.8 k   ≤ 1 M           97.22 %        —   within
 wide     parameters   1.23 k   ≥ 100         1126.00 %        —   within
 wide     parameters   1.23 k   ≤ 2.6 x net     23.70 %        —   within

2 budgets: 2 within; 4 limits: 4 within.
"""
    )


def test_over_by_one_parameter_is_1_and_says_so(check):
    code, out, _ = check(text=budget(parameters="617"))
    assert code == 1
    assert "618 ≤ 617 -0.16 % — OVER" in " ".join(out.split())
    assert (
        "net has 618 parameters, 1 more than the 617 allowed. "
        "conv (conv 3x3) weighs most: 448 parameters, 72.5 % of them."
    ) in out
    assert out.endswith("1 budget: 1 over.\n")


def test_over_by_one_in_millions_is_not_rounded_away(check):
    code, out, _ = check(text=budget(parameters="5 M"), net=replace(network(), parameters=5_000_001))
    assert code == 1
    assert "5,000,001 ≤ 5 M -0.00002 %" in " ".join(out.split())
    assert "net has 5,000,001 parameters, 1 more than the 5 M allowed." in out


def test_the_conclusion_counts_budgets_then_limits(check):
    code, out, _ = check(text=budget(parameters="617", macs="1 M"))
    assert code == 1 and out.endswith("1 budget: 1 over; 2 limits: 1 within, 1 over.\n")
    code, out, _ = check(text=budget(parameters="617", macs="1 M") + budget(model="lost", macs=1))
    assert code == 2 and out.endswith("2 budgets: 1 over, 1 error; 2 limits: 1 within, 1 over.\n")
    code, out, _ = check(text=budget(model="lost", parameters=1, macs=1))
    assert code == 2 and out.endswith("1 budget: 1 error.\n")


def test_under_a_minimum_is_1(check):
    code, out, _ = check(text=budget(parameters="> 618"))
    assert code == 1 and "UNDER" in out and "where more than 618 are required" in out


@pytest.mark.parametrize(
    "text, said",
    [
        (None, "archprof: no archprof.toml here, and no [tool.archprof] in pyproject.toml;"),
        ("", "archprof: archprof.toml: it states no budget;"),
        (budget(parameter="5 M"), "unknown key 'parameter'. Did you mean 'parameters'"),
        (budget(parameters="5MB"), "parameters '5MB': 'MB' is a unit of another kind"),
        (budget(file_size="64"), "file_size '64': the unit is missing"),
        (budget(macs=1) * 2, "budgets 1 and 2 are both named 'net'"),
    ],
)
def test_misuse_is_2_and_one_line(check, text, said):
    code, out, err = check(text=text)
    assert (code, out) == (2, "")
    assert said in err and err.count("\n") == 1


def test_a_config_that_is_not_there(check):
    code, _, err = check("--config", "budgets.toml")
    assert (code, err) == (2, "archprof: budgets.toml does not exist; name another file with --config.\n")


def test_a_model_that_is_not_found_is_2_and_the_others_are_still_judged(check):
    code, out, _ = check(text=budget(model="resnet5o", name="lost", macs=1) + budget(macs=1))
    assert code == 2
    assert "lost: unknown model 'resnet5o'." in out
    assert "net has 27,808 mult-adds, 27,807 more than the 1 allowed." in out
    assert out.endswith("2 budgets: 1 over, 1 error.\n")


def test_uncounted_operators(check):
    code, out, _ = check(text=budget(model="odd", macs="1 M"))
    assert code == 1 and "mylib::fused_act has no formula" in out
    assert check(text=budget(model="odd", macs="1 M", allow_uncounted=["mylib::fused_act"]))[0] == 0


def test_names_choose_budgets(check):
    code, out, _ = check("small", text=TWO)
    assert code == 0 and "wide" not in out
    code, _, err = check("smal")
    assert code == 2 and "no budget 'smal'. Did you mean 'small'?" in err


def test_cannot_tell_fails_only_when_strict(check):
    seen = Relative(1.21, (1.1, 1.3), "The measurement is not reliable: other work held 38 % of the CPU.")
    text = '[[budget]]\nmodel = "net"\nlatency = { batch_size = 8, at_most = "1.2 x mobilenetv1" }\n'
    code, out, _ = check(text=text, ratio=seen)
    assert code == 0
    assert (
        "net takes 1.21 times (1.10 to 1.30) as long as mobilenetv1 at batch 8: can't tell whether that "
        "is at most 1.2 times; try again on a quieter machine. The measurement is not reliable: "
        "other work held 38 % of the CPU."
    ) in out
    assert check("--strict", ratio=seen)[0] == 1
    assert check("--strict", ratio=Relative(1.1, (1.0, 1.15)))[0] == 0
    assert check(ratio=Relative(1.4, (1.3, 1.5)))[0] == 1


# --- several files ------------------------------------------------------------------------------------------


def test_every_config_counts_and_verdicts_name_their_file(check, monorepo):
    code, out, err = check(*monorepo)
    assert (code, err) == (1, "")
    assert (
        stripped(out)
        == """\
Budgets

 File              Budget   Measure      Value   Limit   Headroom   Change   Verdict
 ───────────────────────────────────────────────────────────────────────────────────
 a/archprof.toml   net      parameters     618   ≤ 617    -0.16 %        —   OVER
 b/archprof.toml   net      parameters     618   ≤ 618     0.00 %        —   within

a/archprof.toml: net has 618 parameters, 1 more than the 617 allowed. conv (conv 3x3) weighs most: 448 parameters, \
72.5 % of them.

2 budgets: 1 within, 1 over.
"""
    )


def test_each_file_has_its_own_baselines(check, monorepo, tmp_path):
    code, _, err = check(*monorepo, "--update")
    assert code == 1 and err.count("holds the new baseline") == 2 and "a/archprof.lock.json holds" in err
    written(tmp_path / "a", budget(parameters="5 M", growth="2 %"))
    written(tmp_path / "b", budget(name="other", growth="2 %"))
    code, out, _ = check(*monorepo)
    assert code == 2 and "b/archprof.toml: other: parameters: no baseline yet" in out and "a/archprof.toml:" not in out
    before = (tmp_path / "a" / "archprof.lock.json").read_text()
    assert check(*monorepo, "--update", "other")[0] == 0
    assert (tmp_path / "a" / "archprof.lock.json").read_text() == before
    assert check(*monorepo)[0] == 0


def test_files_of_one_folder_share_a_lock(check, tmp_path):
    written(tmp_path, budget(name="one", parameters="5 M"), "one.toml")
    written(tmp_path, budget(name="two", parameters="5 M"), "two.toml")
    both = "--config", "one.toml", "--config", "two.toml"
    assert check(*both, "--update")[0] == 0
    assert set(json.loads((tmp_path / "archprof.lock.json").read_text())["budgets"]) == {"one", "two"}
    written(tmp_path, budget(name="one", parameters="5 M"), "two.toml")
    code, out, err = check(*both)
    assert (code, out) == (2, "")
    assert err.startswith("archprof: one.toml and two.toml both have a budget 'one', and share archprof.lock.json;")


def test_a_file_named_twice_is_read_once_and_one_that_is_not_there_stops_all(check, monorepo, tmp_path):
    code, out, _ = check(*monorepo[:2], "--config", "./a/archprof.toml")
    assert code == 1 and out.endswith("1 budget: 1 over.\n")
    code, out, err = check(*monorepo, "--config", "c.toml", "--update", "--junit", "out.xml")
    assert (code, out, err) == (2, "", "archprof: c.toml does not exist; name another file with --config.\n")
    assert {file.name for file in tmp_path.iterdir()} == {"a", "b"}


def test_names_choose_from_all_files(check, monorepo):
    code, out, _ = check(*monorepo, "net")
    assert code == 1 and "2 budgets" in out
    code, _, err = check(*monorepo, "nett")
    assert code == 2
    assert err == ("archprof: a/archprof.toml, b/archprof.toml: no budget 'nett'. Did you mean 'net'? Known: net.\n")


# --- baselines ----------------------------------------------------------------------------------------------


def test_update_then_growth_then_the_layer(check, tmp_path):
    text = budget(parameters="5 M", growth="2 %")
    code, out, _ = check(text=text)
    assert code == 2 and "no baseline yet; 'archprof check --update' writes one" in out
    code, _, err = check("--update")
    assert code == 0 and err == "archprof: archprof.lock.json holds the new baseline; commit it.\n"
    first = (tmp_path / "archprof.lock.json").read_text()
    assert check()[0] == 0
    assert check("--update")[0] == 0 and (tmp_path / "archprof.lock.json").read_text() == first

    code, out, _ = check("--why", net=network(24))
    assert code == 1
    assert (
        "net has 922 parameters, +49.19 % against the baseline's 618, where 2 % of growth is allowed. "
        "conv (conv 3x3) went from 448 to 672 (+50.00 %)."
    ) in out
    assert "    changed    conv (conv 3x3) went from 448 to 672 (+50.00 %)" in out
    assert check("--update", net=network(24))[0] == 0
    assert check(net=network(24))[0] == 0


def test_update_keeps_what_it_did_not_count_and_drops_what_is_gone(check, tmp_path):
    def locked():
        return set(json.loads((tmp_path / "archprof.lock.json").read_text())["budgets"])

    check("--update", text=TWO)
    assert locked() == {"small", "wide"}
    code, _, _ = check("--update", text=TWO.replace('"wider"', '"lost"'))
    assert code == 2 and locked() == {"small", "wide"}
    check("--update", "small")
    assert locked() == {"small", "wide"}
    check("--update", text=budget(name="small", macs="1 M"))
    assert locked() == {"small"}


def test_a_pattern_has_a_baseline_for_each_network(check, tmp_path):
    code, out, _ = check("--update", text=budget(name="small", model="alexnet*", growth="2 %"), alexnet=network(16))
    assert code == 0 and "nothing to judge" in out
    assert set(json.loads((tmp_path / "archprof.lock.json").read_text())["budgets"]) == {"small[alexnet]"}
    assert check("small", alexnet=network(16))[0] == 0
    code, out, _ = check(alexnet=network(32))
    assert code == 1 and "small[alexnet] has 1,226 parameters, +98.38 % against the baseline's 618" in out


def test_a_pattern_of_a_library_that_is_not_there_is_an_error_of_that_budget(check, tmp_path, monkeypatch):
    def locked():
        return set(json.loads((tmp_path / "archprof.lock.json").read_text())["budgets"])

    text = budget(name="small", model="alexnet*", growth="2 %") + budget(macs="1 M")
    check("--update", text=text, alexnet=network(16))
    assert locked() == {"small[alexnet]", "net"}

    def missing(patterns):
        raise MissingPackage("timm is not installed.", "pip install timm")

    monkeypatch.setattr("archprof.models.expand", missing)
    code, out, err = check()
    assert (code, err) == (2, "")
    assert "small: unknown model 'alexnet*'" in out and out.endswith("2 budgets: 1 within, 1 error.\n")
    check("--update")
    assert locked() == {"small[alexnet]", "net"}
    check("--update", "net")
    assert locked() == {"small[alexnet]", "net"}


@pytest.mark.parametrize(
    "text, said",
    [
        ("<<<<<<< HEAD", "archprof.lock.json is not JSON"),
        ('{"schema_version": 9, "budgets": {}}', "schema_version is 9; this archprof reads 1."),
    ],
)
def test_a_lock_that_cannot_be_read_is_2_until_it_is_written_anew(check, tmp_path, text, said):
    (tmp_path / "archprof.lock.json").write_text(text)
    code, _, err = check(text=budget(parameters="5 M"))
    assert code == 2 and said in err and "archprof check --update" in err and err.count("\n") == 1
    assert check("--update")[0] == 0
    assert check()[0] == 0


def test_a_lock_that_cannot_be_written_keeps_its_old_text(check, tmp_path, monkeypatch):
    check("--update", text=TWO)
    path = tmp_path / "archprof.lock.json"
    before = path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    for step in ("fdopen", "replace"):  # the disk is full; the rename fails
        with monkeypatch.context() as broken:
            broken.setattr(os, step, full)
            code, _, err = check("--update", net=network(17))
        assert code == 2 and "cannot be written: No space left on device" in err
        assert path.read_text() == before
        assert {file.name for file in tmp_path.iterdir()} == {"archprof.toml", "archprof.lock.json"}


def test_a_reader_sees_the_old_lock_until_the_new_one_is_whole(check, tmp_path, monkeypatch):
    check("--update", text=TWO)
    path, rename, seen = tmp_path / "archprof.lock.json", os.replace, []

    def watched(source, target):
        seen.append([json.loads(Path(file).read_text())["budgets"]["small"]["parameters"] for file in (target, source)])
        rename(source, target)

    monkeypatch.setattr(os, "replace", watched)
    check("--update", net=network(17))
    assert seen == [[618, 656]]
    assert json.loads(path.read_text())["budgets"]["small"]["parameters"] == 656


@pytest.fixture
def two_files(tmp_path):
    """Two files of budgets in one folder, which share its lock."""
    written(tmp_path, budget(name="first", growth="1 %"))
    written(tmp_path, budget(name="second", model="wider", growth="1 %"), "other.toml")
    return tmp_path


def test_files_that_are_updated_one_by_one_keep_each_others_baselines(check, two_files):
    assert check("--update")[0] == 0
    assert check("--update", "--config", "other.toml")[0] == 0
    assert set(lock.read(two_files / lock.FILE_NAME)) == {"first", "second"}
    assert check("--update")[0] == 0
    assert check()[0] == check("--config", "other.toml")[0] == 0
    written(two_files, budget(name="third", growth="1 %"))
    assert check("--update")[0] == 0
    assert set(lock.read(two_files / lock.FILE_NAME)) == {"second", "third"}
    (two_files / "other.toml").unlink()
    assert check("--update")[0] == 0
    assert set(lock.read(two_files / lock.FILE_NAME)) == {"third"}


def test_files_that_are_updated_one_by_one_cannot_share_a_name(check, two_files):
    written(two_files, budget(name="first", model="wider", growth="1 %"), "other.toml")
    assert check("--update")[0] == 0
    before = (two_files / lock.FILE_NAME).read_text()
    code, _, err = check("--update", "--config", "other.toml")
    assert code == 2 and "archprof.toml and other.toml both have a budget 'first', and share archprof.lock.json" in err
    assert (two_files / lock.FILE_NAME).read_text() == before
    written(two_files, budget(name="moved", growth="1 %"))  # a budget may move from one file to another
    assert check("--update", "--config", "other.toml")[0] == 0
    assert lock.read(two_files / lock.FILE_NAME)["first"].config == "other.toml"
