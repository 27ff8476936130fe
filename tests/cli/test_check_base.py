"""archprof check --base: what people and machines read of two commits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.budget_records import budget, network, written
from helpers.repositories import committed, repository

from archprof.budgets import base_commit


def stripped(text):
    """The lines without the blanks that fill a table's cells."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


#: A budget whose model can be exchanged, and one that stays.
TEXT = budget(name="small", parameters={"growth": "2 %"}, macs="1 M").replace(
    '{"growth": "2 %"}', '{ at_most = "1 k", growth = "2 %" }'
) + budget(name="steady", macs="1 M")


@pytest.fixture
def repo(check, tmp_path):
    """`small` is net on main, and wider in the working tree."""
    repository(tmp_path)
    committed(tmp_path, archprof__toml=TEXT)
    written(tmp_path, TEXT.replace('"net"', '"wider"', 1))
    return tmp_path


def test_a_table_of_before_and_after_and_the_layers(check, repo):
    code, out, err = check("--base", "main")
    commit = committed(repo)  # the text of the table names the commit before this one
    assert code == 1 and err == "archprof: the working tree is compared, 1 changed file included.\n"
    below = stripped(out)[stripped(out).index("Compared with") :]
    head, _, rest = below.partition("\n")
    assert head.startswith("Compared with main (") and not head.endswith(f"{commit[:9]})")
    assert (
        rest
        == """\

 Budget   Measure                   Before      After      Change   Change in %
 ──────────────────────────────────────────────────────────────────────────────
 small    parameters                   618     1.23 k        +608      +98.38 %
 small    macs                      27.8 k     55.6 k     +27.8 k     +100.00 %
 small    peak_activation_bytes   8.00 KiB   16.0 KiB   +8.00 KiB     +100.00 %

As at main: steady.
small: model is 'wider' in archprof.toml, and 'net' at main.
small, parameters: conv (conv 3x3) went from 448 to 896 (+100.00 %); fc (linear) went from 170 to 330 (+94.12 %).
small, macs: conv (conv 3x3) went from 27,648 to 55,296 (+100.00 %); fc (linear) went from 160 to 320 (+100.00 %).
small, peak_activation_bytes: conv (conv 3x3) went from 1,024 to 2,048 (+100.00 %).
"""
    )
    assert "growth ≤ 2 % -94.49 % +98.38 % OVER" in " ".join(out.split())


def test_markdown_has_the_verdicts_and_the_change(check, repo):
    code, out, _ = check("--base", "main", "--markdown", "-")
    assert code == 1 and out.startswith("### archprof: budgets\n")
    row = next(line for line in out.splitlines() if line.startswith("| small | parameters | 618 |"))
    assert row == (
        "| small | parameters | 618 | 1.23 k | +608 | +98.38 % | conv (conv 3x3) went from 448 to 896 (+100.00 %); "
        "fc (linear) went from 170 to 330 (+94.12 %) |"
    )
    assert "\n### What is not within its limit\n" in out
    code, out, _ = check("--markdown", "out.md")  # without a base: the verdicts alone
    assert (repo / "out.md").read_text().startswith("### archprof: budgets\n") and "Budgets\n" in out


def test_a_summary_of_actions_has_it_too(check, repo, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repo / "summary.md"))
    assert check("--base", "main", "--github")[0] == 1
    assert "| small | parameters | 618 | 1.23 k |" in (repo / "summary.md").read_text()


def test_json_names_every_measure_and_every_layer(check, repo):
    code, out, _ = check("--base", "main", "--json")
    whole = json.loads(out)
    base = whole["base"]
    assert code == 1 and base["ref"] == "main" and len(base["commit"]) == 40
    assert base["budgets"][0] == {"file": "archprof.toml", "budget": "small", "source": "counted", "why": ""}
    found = {(one["budget"], one["measure"]): one for one in base["differences"]}
    assert found["small", "macs"]["before"] == 27808 and found["small", "macs"]["after"] == 55616
    assert found["small", "macs"]["change"] == 1.0 and found["small", "macs"]["limited"]
    assert found["small", "file_size"]["layers"][0] == {
        "layer": "conv",
        "type": "conv 3x3",
        "before": 448,
        "after": 896,
    }
    assert {one["measure"] for one in base["differences"]} > {"activations", "peak_activation_bytes"}
    assert base["restated"][0] == {
        "file": "archprof.toml",
        "budget": "small",
        "key": "model",
        "before": "net",
        "after": "wider",
    }
    assert [verdict["before"] for verdict in whole["verdicts"]] == ["within", None, "within", "within"]
    assert json.loads(check("--json")[1])["base"] is None


def test_what_was_over_before_is_told(check, tmp_path):
    repository(tmp_path)
    committed(tmp_path, archprof__toml=budget(parameters="600"))
    code, out, _ = check("--base", "HEAD")
    assert code == 1 and "net has 618 parameters, 18 more than the 600 allowed, as before." in out
    assert out.endswith("no count differs\nAs at HEAD: net.\n")
    out = check("--base", "HEAD", "--markdown", "-")[1]
    assert ": no count differs\n\n- As at HEAD: net.\n" in out and "|  |" not in out


def test_growth_without_a_base_count_cannot_be_told(check, repo):
    """The model of the base is not known any more, and no lock has it."""
    committed(repo, archprof__toml=budget(name="small", model="lost", growth="2 %", macs="1 M"))
    written(repo, budget(name="small", growth="2 %", macs="1 M") + budget(name="new", model="wider", growth="2 %"))
    code, out, _ = check("--base", "main", "small")
    assert code == 0 and out.count("can't tell the growth of ") == 1
    assert "small: can't tell the growth of parameters, trainable_parameters, macs, " in out
    assert "small: could not be counted at main: unknown model 'lost'; it is judged alone." in out
    assert "): nothing could be compared\n" in out
    assert check("--base", "main", "small", "--strict")[0] == 1
    code, out, _ = check("--base", "main", "new")  # compared with what its model has there
    assert code == 0 and "As at main: new." in out and "OVER" not in out


def test_the_lock_of_the_base_stands_in(check, repo):
    check("--update", text=TEXT)
    committed(repo)
    written(repo, TEXT.replace('"net"', '"lost"', 1))
    committed(repo)
    written(repo, TEXT.replace('"net"', '"wider"', 1))
    code, out, _ = check("--base", "main")
    assert code == 1 and "+98.38 % OVER" in " ".join(out.split())
    assert "unknown model 'lost'; the lock of main says what there was." in out
    # a lock that cannot be read says nothing
    committed(repo, archprof__lock__json="<<<<<<<", archprof__toml=TEXT.replace('"net"', '"lost"', 1))
    check("--update", text=TEXT)
    assert "unknown model 'lost'; it is judged alone." in check("--base", "main")[1]


def test_several_files_each_say_which(check, monorepo, tmp_path):
    repository(tmp_path)
    committed(tmp_path)
    written(tmp_path / "a", budget(model="wider", name="net", parameters="617"))
    code, out, _ = check(*monorepo, "--base", "main")
    text = " ".join(out.split())
    assert code == 1 and "a/archprof.toml net parameters 618 1.23 k +608" in text
    assert "a/archprof.toml: net, parameters: conv (conv 3x3) went" in text


def test_options_that_exclude_each_other(check, repo):
    assert check("--base", "main", "--update")[2] == (
        "archprof: --update accepts growth, and --base judges it; give one of them.\n"
    )
    code, out, err = check("--json", "--markdown", "-")
    assert (code, out) == (2, "") and "named for two outputs" in err
    code, out, err = check("--base", "mian", "--markdown", "out.md")
    assert (code, out) == (2, "") and err.endswith("Did you mean 'main'?\n") and not (repo / "out.md").exists()


def test_names_of_others_act_nowhere(check, tmp_path):
    """A layer, a budget and a branch may be named anything."""
    odd = "x|<b>`[l](u)`"
    net = network(32)
    layers = tuple(one._replace(module=odd) if one.module == "conv" else one for one in net.layers)
    modules = tuple(one._replace(path=odd) if one.path == "conv" else one for one in net.modules)
    changed = replace(net, layers=layers, modules=modules)
    repository(tmp_path)
    committed(tmp_path, archprof__toml=budget(name=odd, macs="1 M"))
    written(tmp_path, budget(name=odd, model="wider", macs="1 M"))
    code, out, _ = check("--base", "main", "--markdown", "-", wider=changed)
    assert code == 0 and "<b>" not in out.replace("\\<b\\>", "") and "\\[l\\](u)" in out


def test_a_network_is_counted_once(check, repo, monkeypatch):
    asked = []
    counting = base_commit.base_process.count
    monkeypatch.setattr(base_commit.base_process, "count", lambda *a: asked.append(a) or counting(*a))
    assert check("--base", "main")[0] == 1 and len(asked) == 2
