"""The index of networks: counted once, kept by versions, rebuilt when damaged, and equal to fresh counts."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helpers import indexed
from helpers.indexed import COSTS, Counter

from archprof.base.errors import MissingPackage, UnknownModel
from archprof.runs import index as rooms
from archprof.runs import options as offers
from archprof.runs import survey
from archprof.runs.engines.processes import Outcome
from archprof.runs.index import Index, complete, offered

#: Networks drawn at random whose kept counts are compared with fresh ones.
SAMPLE = int(os.environ.get("ARCHPROF_INDEX_SAMPLE", "4"))


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counter:
    return indexed.installed(monkeypatch, tmp_path)


def read(sources: Sequence[str] = tuple(rooms.SOURCES)) -> tuple[dict[str, int | None], list[str]]:
    """Mult-adds of every network of these sources, counted where they were not, and what was said."""
    said: list[str] = []
    with Index() as index:
        known = complete(index, offered(index, sources, said.append))
        return {one.spec: one.figures and one.figures["macs"] for one in known}, [*index.said, *said]


def test_everything_is_counted_once(counter: Counter) -> None:
    first, said = read()
    assert first == {spec: None if "broken" in spec else COSTS[spec][3] for spec in COSTS}
    assert said == [] and sorted(counter.asked) == sorted(COSTS)
    counter.asked.clear()
    assert read() == (first, [])
    assert counter.asked == []


def test_only_what_is_asked_for_is_counted(counter: Counter) -> None:
    with Index() as index:
        offers.options(["timm:efficientnet_b0"], index)
    assert counter.asked == ["timm:efficientnet_b0", "timm:efficientnet_b0@256"]


def test_a_run_that_is_stopped_goes_on_where_it_was(counter: Counter) -> None:
    class Stopped(Counter):
        def run(self, tasks: Sequence[str]) -> Iterator[Outcome]:
            for place, outcome in enumerate(super().run(tasks)):
                if place == 3:
                    raise KeyboardInterrupt
                yield outcome

    stopped = Stopped()
    with Index() as index, pytest.raises(KeyboardInterrupt):
        complete(index, offered(index, rooms.SOURCES, print), executor=stopped)
    read()
    assert counter.asked == list(COSTS)[3:]


def test_another_version_of_a_library_is_counted_again_and_said(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    read()
    counter.asked.clear()
    before = rooms.versions
    monkeypatch.setattr(rooms, "versions", lambda name: (before(name) or "").replace("timm 1.0", "timm 1.1"))
    monkeypatch.setitem(COSTS, "timm:resnet50", ("resnet", 224, 1, 7))
    found, said = read()
    assert found["timm:resnet50"] == 7
    assert said == ["timm 1.0 is now 1.1: its networks are counted again"]
    assert counter.asked == [spec for spec in COSTS if spec.startswith("timm:")]


def test_versions_are_those_of_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    now = rooms.versions("timm")
    if now is None:
        pytest.skip("timm is not installed")
    monkeypatch.setattr(rooms.importlib.metadata, "version", lambda package: f"9 of {package}")
    assert rooms.versions("timm") != now and "timm 9 of timm" in str(rooms.versions("timm"))

    def absent(package: str) -> str:
        raise rooms.importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(rooms.importlib.metadata, "version", absent)
    assert rooms.versions("timm") is None


@pytest.mark.parametrize("damage", ["not a database", "", "page"])
def test_a_damaged_file_is_made_anew_and_said(counter: Counter, damage: str) -> None:
    first, _ = read()
    path = rooms.index_file()
    if damage == "page":
        whole = bytearray(path.read_bytes())
        whole[4096:] = b"\xff" * (len(whole) - 4096)
        path.write_bytes(whole)
    else:
        path.write_text(damage)
    counter.asked.clear()
    found, said = read()
    assert found == first and sorted(counter.asked) == sorted(COSTS)
    # an empty file is an empty database, not a damaged one
    assert said == ([] if damage == "" else [f"the index {path} was damaged; its networks are counted again"])


def test_tables_of_another_form_are_made_anew(counter: Counter) -> None:
    path = rooms.index_file()
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as file:
        file.execute("create table network (spec text)")
    assert read()[0]["secret"] == 1_000


def test_a_folder_that_cannot_be_written_is_said(counter: Counter, tmp_path: Path) -> None:
    (tmp_path / "archprof").write_text("in the way")
    found, said = read(["zoo"])
    assert found["secret"] == 1_000
    assert len(said) == 1 and said[0].startswith(f"counts cannot be kept in {rooms.index_file()}")


def test_two_processes_at_once(counter: Counter) -> None:
    with Index() as one, Index() as two:
        with one.alone(lambda: None):
            waited: list[str] = []

            class Told(Exception):
                pass

            def waiting() -> None:
                waited.append("waited")
                raise Told

            with pytest.raises(Told), two.alone(waiting):
                raise AssertionError("both count")
        complete(one, offered(one, ["zoo"], print))
        counter.asked.clear()
        complete(two, offered(two, ["zoo"], print))
    assert waited == ["waited"] and counter.asked == []


def test_a_library_that_is_not_there_is_said(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rooms.versions
    monkeypatch.setattr(rooms, "versions", lambda name: None if name == "timm" else before(name))

    def broken(source: str) -> list[survey.Listed]:
        if source == "torchvision":
            raise MissingPackage("torchvision is installed, but importing it fails.", "Update it.")
        return indexed.offered(source)

    monkeypatch.setattr(survey, "networks", broken)
    found, said = read()
    assert not any(":" in spec for spec in found) and len(said) == 2
    assert said[0].startswith("torchvision is installed, but importing it fails.")
    assert said[1] == "timm is not installed: its networks are not among these"


def test_reading_imports_no_torch(counter: Counter) -> None:
    read()
    code = (
        "import sys; from archprof.runs import index, options\n"
        "index.versions = lambda source: f'format 1; archprof 0.1.0 2.13.0 digest; {source} 1.0'\n"
        "with index.Index() as one: found = options.options(['timm:*'], one)\n"
        "assert len(found) == 5, found\n"
        "sys.exit(bool({'torch', 'timm', 'pandas', 'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_pattern_that_means_nothing(counter: Counter) -> None:
    with Index() as index, pytest.raises(UnknownModel, match=r"timm matches 'resnet5o'. Did you mean 'resnet50'"):
        offers.options(["timm:resnet5o"], index)


# What is offered, and counted, for real


def test_the_zoo_is_offered_at_the_sizes_that_were_tested() -> None:
    specs = [one.spec for one in survey.networks("zoo")]
    assert {"mobilenetv1", "mobilenetv1@192", "mobilenetv1_050", "mobilenetv2(width=1.4)"} <= {*specs}
    assert len(specs) == len(set(specs))
    # 0.5 has a name of its own, so that it does not stand twice
    assert "mobilenetv1(width=0.5)" not in specs


def test_kept_counts_equal_fresh_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Networks drawn at random: of the zoo, and of the libraries where ARCHPROF_INDEX_SAMPLE asks for many."""
    from archprof.counting import counts

    if SAMPLE < 50:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sources = list(rooms.SOURCES) if SAMPLE >= 50 else ["zoo"]
    with Index() as index:
        known = offered(index, sources, print)
        drawn = random.Random(SAMPLE).sample([one for one in known if "quantized" not in one.spec], SAMPLE)
        kept = [one for one in complete(index, drawn) if one.error is None]
    assert len(kept) > 0.9 * len(drawn)
    for one in kept:
        fresh = counts.profile(one.spec)
        assert one.figures is not None
        now = {name: getattr(fresh, name) for name in rooms.FIGURES}
        # some peaks of activations are a small tensor higher in a process that has counted nothing before
        assert one.figures.pop("peak_activation_bytes") == pytest.approx(now.pop("peak_activation_bytes"), rel=1e-4)
        assert one.figures == now, one.spec
        assert one.input_shape == fresh.input_shape
