"""Ceilings on the command line: measured once, kept, set beside layers; what is missing says where it comes from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.ceilings import arithmetic, ceilings

from archprof.cli import main
from archprof.measure import ceilings as measuring
from archprof.measure import device, disturbance
from archprof.results import ceilings as keeping
from archprof.results.comparison import Comparison
from archprof.results.conditions import Conditions
from archprof.results.per_layer import BETWEEN

QUICK = ("--time-budget", "0.3", "--precision", "0.9")
HERE = ("--threads", "1")


def here(**more):
    """The round ceilings, as if this machine had them with one thread."""
    return ceilings(environment=device.environment(Conditions(threads=1)), **more)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(disturbance, "watch", lambda witness, seconds: (None, {"others": 0.0}))
    return tmp_path / "state"


@pytest.fixture
def measured(monkeypatch):
    """What measuring finds is handed over, one after another; gives the list of them."""
    found = []
    monkeypatch.setattr(measuring, "ceilings", lambda *_, **__: found.pop(0))
    return found


@pytest.fixture
def kept():
    """The ceilings of this machine, kept as the command keeps them."""
    from archprof.base import cache

    cache.may_keep = True
    try:
        assert keeping.keep(here()) is None
    finally:
        cache.may_keep = False


def run(capsys, *argv: str, code: int = 0):
    assert main([*argv]) == code
    return capsys.readouterr()


def test_ceilings_are_measured_once_and_kept(measured, capsys):
    measured += [here()]
    first = run(capsys, "env", "--roofline", *HERE).out
    assert run(capsys, "env", "--roofline", *HERE).out.partition("Environment")[0] == first.partition("Environment")[0]
    assert "Ceilings of arithmetic, measured 20" in first
    assert "float32 100 convolution 512x512x512 90.0 100" in " ".join(first.split())
    assert first.index("Ceilings of arithmetic") < first.index("Environment")


def test_again_measures_anew(measured, capsys):
    faster = here(probes=(*ceilings().probes, arithmetic("product", "float32", 200e9)))
    measured += [here(), faster]
    run(capsys, "env", "--roofline", *HERE)
    assert "200" in run(capsys, "env", "--roofline", "--again", *HERE).out
    found = json.loads(run(capsys, "env", "--roofline", *HERE, "--json").out)
    assert keeping.read(found["ceilings"]) == faster and found["watched"]["quiet"]


def test_disturbed_ceilings_do_not_replace_others(measured, capsys):
    doubtful = here(probes=(*ceilings().probes, arithmetic("product", "float64", 9e9, seconds=(1.0,))))
    measured += [here(), doubtful]
    run(capsys, "env", "--roofline", *HERE)
    seen = run(capsys, "env", "--roofline", "--again", *HERE)
    assert "1 of the new ceilings are not reliable, such as float64: there was time for 1 block, 3 are" in seen.err
    assert "float64" not in seen.out


def test_disturbed_ceilings_join_others_that_were_disturbed(measured, capsys):
    once = arithmetic("product", "float64", 9e9)
    measured += [here(probes=(*ceilings().probes, replace(once, seconds=once.seconds[:count]))) for count in (1, 2)]
    assert "float64" in run(capsys, "env", "--roofline", *HERE).out
    seen = run(capsys, "env", "--roofline", "--again", *HERE)
    assert "such as float64: there was time for 2 blocks, 3 are needed; the blocks of 20" in seen.err
    assert "8.99 product" in " ".join(seen.out.split()) or "9.00 product" in " ".join(seen.out.split())
    assert "not reliable" not in seen.out  # three blocks together


def test_disturbed_ceilings_are_better_than_none_and_marked(measured, capsys):
    disturbed = tuple(
        replace(p, seconds=(), disturbed_seconds=p.seconds, cause="steal, 9 % of the CPUs") for p in here().probes
    )
    measured += [here(probes=disturbed)]
    seen = run(capsys, "env", "--roofline", *HERE)
    assert "100~" in seen.out and "~ 10 of the ceilings are not reliable" in seen.out
    assert "(steal, 9 % of the CPUs)" in seen.out and "archprof env --roofline --again" in seen.out


def test_too_little_time_keeps_nothing(measured, capsys, folder):
    measured += [here(without="product", probes=())]
    seen = run(capsys, "env", "--roofline", "--time-budget", "0.01", *HERE, code=2)
    assert (
        "in 0.01 s no ceiling of float32, or none of memory, could be measured. Leave out '--time-budget'" in seen.err
    )
    assert not [*folder.rglob("ceilings.jsonl")] and seen.out == ""


def test_a_busy_machine_is_told_before_it_is_measured(measured, capsys, monkeypatch):
    monkeypatch.setattr(
        disturbance, "watch", lambda witness, seconds: ("other work (60 % of the CPUs)", {"others": 0.6})
    )
    measured += [here()]
    said = "archprof: other work (60 % of the CPUs): ceilings measured now may be too low, and are marked then"
    assert said in run(capsys, "env", "--roofline", *HERE).err
    assert said not in run(capsys, "env", "--roofline", *HERE).err  # kept: nothing is measured


def test_a_type_that_is_not_to_be_had_is_named(measured, capsys):
    measured += [here()]
    assert "float16 is not to be had: no kernel for 'Half'." in run(capsys, "env", "--roofline", *HERE).out


def test_a_file_that_cannot_be_read_is_measured_anew(measured, capsys, folder):
    measured += [here(), here()]
    run(capsys, "env", "--roofline", *HERE)
    (file,) = folder.rglob("ceilings.jsonl")
    file.write_text(file.read_text().replace('"flops"', '"flips"'))
    run(capsys, "env", "--roofline", *HERE)
    assert measured == []


def test_a_folder_that_cannot_be_written_is_said(measured, capsys, folder):
    folder.write_text("in the way")
    measured += [here()]
    seen = run(capsys, "env", "--roofline", *HERE)
    assert "not kept for another time" in seen.err and "Ceilings of arithmetic" in seen.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("env --again", "--again has no effect without --roofline."),
        ("env --time-budget 3", "--time-budget has no effect without --roofline."),
        ("env --roofline --dtype bfloat16", "--dtype has no effect with --roofline, which measures every type"),
        ("env --roofline --no-keep-memory", "--no-keep-memory has no effect with --roofline"),
        ("env --roofline --mode train", "--mode has no effect with --roofline"),
        ("env --roofline --device gpu", "unknown device 'gpu'"),
        ("env --roofline --device cuda:7", "device 'cuda:7'"),
        ("show resnet_tiny --sort ceiling_share", "no column 'ceiling_share'"),
        ("show resnet_tiny --measure --sort ceiling_share", "'ceiling_share' needs the ceilings of this machine"),
        ("show resnet_tiny --measure --sort ceiling", "Did you mean 'ceiling_share'"),
        ("plot roofline resnet_tiny -o a.svg --threads 3", "measure them once: archprof env --roofline --threads 3"),
        ("plot roofline resnet_tiny -o a.svg --measure", "--measure has no effect on 'roofline', which times layers"),
        ("plot roofline resnet_tiny -o a.svg --no-latency", "--no-latency is given too. Leave out --no-latency."),
        ("plot roofline resnet_tiny -o a.svg --batch-sizes 8", "--batch-sizes is given too."),
        (
            "plot roofline resnet_tiny -o a.svg --dtype bfloat16",
            "counted in float32, and the layers were timed in bfloat16",
        ),
        ("plot roofline resnet_tiny -o a.svg --mode train", "time per layer is measured for eager forward passes"),
        ("plot roofline resnet_tiny -o a.svg --highlight x", "--highlight has no effect on 'roofline'"),
        ("plot roofline resnet_tiny -o a.html", "'roofline' cannot be a page"),
        ("plot roofline resnet_tiny -o a.svg --log", "--log has no effect on 'roofline'"),
    ],
)
def test_mistakes_are_one_line(line, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = run(capsys, *line.split(), code=2).err
    assert said in error and error.count("\n") == 1 and not list(tmp_path.glob("a.*"))


# -- layers against them -----------------------------------------------------------------------------------------------


def test_without_ceilings_one_line_says_how_to_get_them(capsys):
    seen = run(capsys, "show", "resnet_tiny", "--by", "type", "--measure", *HERE, *QUICK)
    assert "once 'archprof env --roofline --threads 1' has measured that" in seen.out
    assert "Bound by" not in seen.out


def test_layers_stand_against_the_kept_ceilings(kept, capsys, tmp_path):
    file = tmp_path / "a.json"
    seen = run(capsys, "show", "resnet_tiny", "--by", "type", "--measure", *HERE, *QUICK, "--json", str(file))
    assert "Bound by" in seen.out and "% of ceiling" in seen.out
    assert "At the ceilings of this machine (measured " in seen.out
    saved = json.loads(file.read_text())
    assert keeping.read(saved["ceilings"]).probes == ceilings().probes
    *rows, total = [*saved["rows"], saved["total"]]
    assert sum(row["best_seconds"] or 0 for row in rows) == pytest.approx(total["best_seconds"])
    assert total["ceiling_share"] == pytest.approx(total["best_seconds"] / total["seconds"])
    assert {row["bound_by"] for row in rows if row["type"] != BETWEEN} <= {"compute", "memory", "calls"}
    assert [row["bound_by"] for row in rows if row["type"] == BETWEEN] == [None]
    relu = next(row for row in rows if row["type"] == "activation")
    # four calls of 1 us each, and what they move at the bandwidth of 1 MiB and below
    assert relu["best_seconds"] == pytest.approx(4e-6 + relu["bytes_moved"] / 50e9)


@pytest.mark.parametrize("by", ["layer", "op", "module"])
def test_every_cut_stands_against_them(by, kept, capsys):
    argv = ("show", "resnet_tiny", "--by", by, "--measure", *HERE, *QUICK, "--json", "-")
    saved = json.loads(run(capsys, *argv).out)
    assert saved["total"]["best_seconds"] > 0 and any(row["bound_by"] for row in saved["rows"])


def test_sorted_by_how_near_they_come(kept, capsys):
    argv = ("show", "resnet_tiny", "--measure", "--sort", "ceiling_share", *HERE, *QUICK, "--json", "-")
    shares = [row["ceiling_share"] for row in json.loads(run(capsys, *argv).out)["rows"]]
    known = [share for share in shares if share is not None]
    assert len(known) > 3 and known == sorted(known, reverse=True)


def test_other_threads_are_another_machine(kept, capsys):
    assert "has measured that" in run(capsys, "show", "resnet_tiny", "--measure", "--threads", "2", *QUICK).out


# -- the figure --------------------------------------------------------------------------------------------------------


def test_plot_draws_measures_and_keeps_what_it_needs(kept, capsys, tmp_path, monkeypatch):
    file, picture = tmp_path / "a.json", tmp_path / "a.svg"
    run(capsys, "plot", "roofline", "resnet_tiny", "-o", str(picture), "--json", str(file), *HERE, *QUICK)
    assert picture.stat().st_size > 0
    saved = Comparison.from_json(file.read_text())
    assert saved.ceilings.probes == ceilings().probes
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))  # a machine that has none
    run(capsys, "plot", "roofline", "--from", str(file), "-o", str(tmp_path / "b.svg"))
    assert (tmp_path / "b.svg").read_bytes() == picture.read_bytes()


def test_a_file_without_ceilings_takes_those_of_its_machine(kept, capsys, tmp_path, monkeypatch):
    file, to = tmp_path / "a.json", ("-o", str(tmp_path / "a.svg"))
    run(capsys, "plot", "breakdown", "resnet_tiny", "--measure", *to, "--json", str(file), *HERE, *QUICK)
    saved = json.loads(file.read_text())
    assert saved["ceilings"]["probes"]
    file.write_text(json.dumps(saved | {"ceilings": None}))
    run(capsys, "plot", "roofline", "--from", str(file), *to)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    error = run(capsys, "plot", "roofline", "--from", str(file), *to, code=2).err
    assert "holds no ceilings of its machine" in error and "archprof env --roofline" in error


def test_ceilings_in_a_file_are_checked_like_any_other_key(tmp_path, capsys):
    saved = json.loads(Comparison({}, ()).to_json())
    assert saved["ceilings"] is None
    saved["ceilings"] = json.loads(json.dumps(ceilings().to_json()))
    saved["ceilings"]["probes"][3]["seconds"] = ["fast"]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(saved))
    error = run(capsys, "plot", "roofline", "--from", str(file), "-o", str(tmp_path / "a.svg"), code=2).err
    assert "ceilings.probes[3].seconds[0] is the text 'fast'; expected a number" in error


def test_the_real_thing(monkeypatch, capsys, tmp_path):
    """Nothing is scripted but the size of the probes: measured, kept, shown, set beside layers, drawn."""
    monkeypatch.setattr(measuring, "SIDES", {"cpu": (64,)})
    monkeypatch.setattr(measuring, "CONVOLUTIONS", ((1, 16, 3, 8),))
    monkeypatch.setattr(measuring, "LARGEST", {"cpu": 2**20})
    monkeypatch.setattr(measuring, "FAR_BEYOND", 0)
    seen = run(capsys, "env", "--roofline", *HERE, "--time-budget", "1")
    assert "Ceilings of memory" in seen.out and "measuring, at most 1.0 s" in seen.err
    known = json.loads(run(capsys, "env", "--roofline", *HERE, "--json").out)["ceilings"]
    assert all(probe["seconds"] or probe["disturbed_seconds"] for probe in known["probes"])
    shown = run(capsys, "show", "resnet_tiny", "--by", "type", "--measure", *HERE, *QUICK).out
    assert "the network would take" in shown
    picture = tmp_path / "a.png"
    run(capsys, "plot", "roofline", "resnet_tiny", "mobilenetv1@64", "-o", str(picture), *HERE, *QUICK)
    assert picture.read_bytes().startswith(b"\x89PNG")
