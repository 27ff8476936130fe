"""Trials under attack: networks that change what is around them, processes that are killed, and strange data."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import torch
from helpers.stripes import stripes
from hostile import images
from hostile.networks_trained import ROWS, Plain, Row

import archprof
from archprof.render import trial_page

HOW = {"lr": 0.01, "batch_size": 30, "epochs": 2, "seeds": 1, "input_shape": (1, 8, 8)}


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
    assert len(list((tmp_path / "t" / "runs").glob("plain*.pt"))) == 1 and os.listdir(tmp_path) == ["t"]
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32


def test_networks_that_cannot_be_evaluated_or_described():
    class Stubborn(Plain):
        def eval(self):
            raise RuntimeError("no evaluation")

    class Shy(Plain):
        def extra_repr(self):
            raise RuntimeError("no description")

    assert archprof.trial(Shy, stripes(), **HOW).entries[0].error is None
    found = archprof.trial({"strange": Stubborn, "plain": Plain}, stripes(), **HOW)
    assert "RuntimeError: no evaluation" in found.entries[0].error and found.entries[1].error is None


def test_trials_in_several_threads_are_what_they_are_alone(alone):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(archprof.trial({"plain": Plain}, stripes(), **HOW)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [observed(each, "plain") for each in found] == [alone] * 3


def test_what_the_caller_s_own_function_raises_is_the_caller_s():
    def progress(told):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        archprof.trial({"plain": Plain}, stripes(), **HOW, progress=progress)


# --- images -----------------------------------------------------------------------------------------------------------


def taken(data: object) -> archprof.Trial:
    return archprof.trial(Plain, data, epochs=1, seeds=1, input_shape=(1, 8, 8))


def assert_said(data: object, said: str | None) -> None:
    if said is None:
        assert taken(data).entries[0].error is None
        return
    with pytest.raises(archprof.ArchprofError) as seen:
        taken(data)
    assert said in str(seen.value) and "\n" not in str(seen.value)


@pytest.mark.parametrize("name", images.ARRAYS)
def test_arrays(name, tmp_path, monkeypatch):
    array, said = images.ARRAYS[name]
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", **{**images.GOOD, "x_train": array})
    assert_said("a.npz", said)
    if name != "objects":  # the same as arrays, which are Python's own
        assert_said({**images.GOOD, "x_train": array}, said)


@pytest.mark.parametrize("name", images.MEMBERS)
def test_members_of_a_file(name, tmp_path, monkeypatch):
    data, said = images.MEMBERS[name]
    monkeypatch.chdir(tmp_path)
    images.npz(tmp_path / "a.npz", x_train=data)
    assert_said("a.npz", said)
    assert os.listdir() == ["a.npz"]


@pytest.mark.parametrize("name", images.FILES)
def test_files(name, tmp_path, monkeypatch):
    make, said = images.FILES[name]
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a.npz")
    assert_said("a.npz", said)
    assert os.listdir() == ["a.npz"]


def test_arrays_that_nobody_asked_for_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", **images.GOOD, other=np.array([{}], object))
    assert_said(tmp_path / "a.npz", None)


@pytest.mark.parametrize("name", images.FOLDERS)
def test_folders(name, tmp_path):
    change, said = images.FOLDERS[name]
    images.pets(tmp_path / "pets")
    change(tmp_path / "pets")
    assert_said(tmp_path / "pets", said)


def test_an_image_that_is_held_out_and_trained_on(tmp_path):
    for part in ("train", "test"):
        images.pets(tmp_path / "pets" / part)
    os.link(tmp_path / "pets" / "train" / "cat" / "0.png", tmp_path / "pets" / "test" / "cat" / "9.png")
    assert_said(tmp_path / "pets", "an image of 'cat' for training and of 'cat' for evaluation. Remove the link")


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0nul", "a/../b", "ring"])
def test_names_of_data(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring").symlink_to("ring")
    assert_said(name, "there are no data")


def test_names_of_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("archprof.render.figures.trials.kinds", lambda trial: ())  # figures name no classes
    images.pets(tmp_path / "pets", images.CLASSES, 2)
    found = taken("pets")
    assert set(found.data.classes) == {*images.CLASSES} - {os.fsdecode(b"\xff\xfe")} | {r"\xff\xfe"}
    assert archprof.Trial.from_json(found.to_json()) == found
    trial_page.write(found, "t", per_class=True)
    assert archprof.Trial.read("t").data.train_images == 10
    page = (tmp_path / "t" / "README.md").read_text(encoding="utf-8")
    for text in (page, repr(found), found._repr_html_(), found.to_markdown()):
        assert "\x1b" not in text and "\u202e" not in text and "<b>" not in text
    rows = page.partition("## Right answers by class")[2].partition("##")[0]
    assert len([line for line in rows.splitlines() if line.startswith("|")]) == 2 + len(images.CLASSES)
