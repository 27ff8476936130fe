"""The page as text: what it holds, that nothing in it can act, that it needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from helpers.figure_data import NETWORKS, comparison, result
from hostile.texts import TEXTS

from archprof.base.errors import BadOption, MissingPackage
from archprof.cli import main
from archprof.render import escapes, page, report
from archprof.render.figures import FigureOptions
from archprof.render.page import content, document, library
from archprof.render.page.content import Start
from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison

WHOLE = comparison(sizes=(1, 16))
LIBRARY = "window.vegaEmbed = () => {};"


class Reader(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        assert not {"src", "href", "srcset", "onload", "onerror"} & given.keys(), f"<{tag}> of {given}"
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)

    handle_endtag = None


Reader.handle_endtag = lambda self, tag: self.tags.append(f"/{tag}")


def made(found: Comparison, **start) -> Reader:
    return Reader(document.assembled(content.contents(found, Start(**start)), LIBRARY))


def held(found: Comparison, **start) -> dict:
    return json.loads(made(found, **start).scripts[0])


def test_every_number_of_the_page_is_of_the_record():
    page_data = held(WHOLE)
    measures = {measure["key"]: measure["values"] for measure in page_data["measures"]}
    assert [network["name"] for network in page_data["networks"]] == list(NETWORKS)
    assert measures["parameters"] == [row[1] for row in NETWORKS.values()]
    assert measures["macs"] == [round(row[2] * 1e9) for row in NETWORKS.values()]
    assert measures["top1"] == [row[3] for row in NETWORKS.values()]
    assert measures["p50_s@16"] == [result(name).latency_at(16).p50_s for name in NETWORKS]
    assert "power_w@16" not in measures  # nobody has one


def test_counts_are_those_of_one_image():
    row = WHOLE.architectures[0]
    four = replace(row, profile=replace(row.profile, batch_size=4, macs=4_000, activations=10))
    measures = {measure["key"]: measure["values"] for measure in held(Comparison({}, (four,)))["measures"]}
    assert (measures["macs"], measures["flops"], measures["activations"]) == ([1000], [2000], [2.5])


def test_accuracies_of_every_data_set_can_be_chosen():
    row = WHOLE.architectures[0]
    other = Accuracy(row.name, "imagenet-v2", "top1", 50.5, "somebody", "", weights="paper")
    measures = {m["key"]: m for m in held(Comparison({}, (replace(row, accuracy=(*row.accuracy, other)),)))["measures"]}
    assert measures["top1"]["values"] == [56.522] and measures["top1@imagenet-v2"]["values"] == [50.5]


def test_doubtful_and_failed_networks_are_told():
    broken = ArchitectureResult("broken", "zoo", error="its forward raised ValueError")
    rows = (replace(result("densenet121"), latency=(result("densenet121").latency_at(8),)), broken)
    page_data = held(Comparison({}, rows))
    assert page_data["networks"][0]["doubts"] == {"8": "other work held 31 % of the CPU"}
    assert page_data["networks"][1]["error"] == "its forward raised ValueError"
    assert all(measure["values"][1] is None for measure in page_data["measures"])


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_names_and_errors_of_others_stay_text(text):
    claim = Accuracy("x", text, "top1", 50.0, text, "javascript:alert(1)", text, None, text)
    rows = (
        ArchitectureResult(text, text, text, error=text),
        replace(result("alexnet"), accuracy=(claim, *result("alexnet").accuracy), family=text),
    )
    plain = made(Comparison({"device": text}, rows, None, (text,), text), title=text, dataset="imagenet-1k")
    assert plain.tags == made(WHOLE).tags
    data = json.loads(plain.scripts[0])
    assert data["networks"][0]["name"] == escapes.line(text) and data["warnings"] == [escapes.line(text)]
    assert "<" not in plain.scripts[0] and plain.scripts[1:] == made(WHOLE).scripts[1:]


def test_a_program_that_holds_an_end_of_its_element_stays_whole():
    hostile = 'const a = "</script><script>alert(1)//";\r\nconst b = "<!-- <SCRIPT", c = "\0";'
    read = Reader(document.assembled(content.contents(WHOLE, Start()), hostile))
    assert read.tags == made(WHOLE).tags
    assert read.scripts[1] == 'const a = "\\x3c/script><script>alert(1)//";\nconst b = "\\x3c!-- <SCRIPT", c = "\\x00";'


def test_the_policy_lets_run_the_two_programs_and_nothing_else():
    read = made(WHOLE)
    assert len(read.scripts) == 3
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in read.scripts[1:]]
    assert f"default-src 'none'; script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}'; " in read.policy
    assert "unsafe-eval" not in read.policy and not re.search(r"https?:|script-src[^;]*unsafe", read.policy)


def test_the_page_begins_as_its_figure():
    def first(kind: str, found: Comparison = WHOLE, **more) -> list:
        start = content.contents(found, page.start_of(kind, FigureOptions(**more)))["start"]
        return [start["x"], start["y"], start["size"], start["log"]]

    assert first("ball") == ["macs", "top1", "parameters", None]
    assert first("ball", ops="flops", log=True) == ["flops", "top1", "parameters", True]
    assert first("throughput") == ["throughput@16", "top1", "macs", None]
    assert first("ops-latency", batch_size=1) == ["macs", "p50_s@1", "", None]
    assert first("pareto", x="parameters", y="latency") == ["parameters", "p50_s@16", "", None]


def test_only_label_and_highlight_mean_what_they_mean_for_a_figure():
    page_data = held(WHOLE, only=("resnet*", "vgg16"), labels={"resnet50": "ours"}, highlight=("RESNET50",))
    assert [network["label"] for network in page_data["networks"]] == ["vgg16", "resnet18", "ours", "resnet152"]
    assert page_data["start"]["highlight"] == [False, False, True, False]
    assert page_data["title"] == "4 networks side by side"


@pytest.mark.parametrize(
    "start, says",
    [
        ({"x": "mac"}, "no network has 'mac' (x). Did you mean 'macs'"),
        ({"y": "power"}, "no network has 'power_w@16' (y)."),
        ({"highlight": ("resnet5O",)}, "--highlight 'resnet5O' matches none of the networks. Did you mean 'resnet50'"),
        ({"only": ("zzz",)}, "--only 'zzz' matches none"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(start, says):
    with pytest.raises(BadOption) as caught:
        content.contents(WHOLE, Start(**start))
    assert says in str(caught.value)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text(WHOLE.to_json())
    return ["--from", "c.json"]


@pytest.mark.parametrize(
    "words, says",
    [
        (["plot", "latency", "-o", "x.html"], "'latency' cannot be a page, which shows each network as a point;"),
        (["plot", "ball", "-o", "x.html", "--width", "3"], "--width has no effect on a page."),
        (["plot", "ball", "-o", "x.html", "--dpi", "90"], "--dpi has no effect on a page."),
        (["plot", "ball", "-o", "x.html", "--dark"], "--dark has no effect on a page."),
        (["plot", "ball", "-o", "x.html", "--no-notes"], "--no-notes has no effect on a page."),
        (["plot", "pareto", "-o", "x.html", "--x", "power"], "no network has 'power_w@16' (x)."),
        (["plot", "ball", "-o", "no/x.html"], "the folder 'no' does not exist"),
    ],
)
def test_misuse_is_one_line_and_writes_nothing(saved, tmp_path, capsys, words, says):
    assert main([*words, *saved]) == 2
    error = capsys.readouterr().err
    assert error.startswith("archprof: ") and says in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_without_the_library_one_line_says_how_to_get_it(saved, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(library, "PACKAGE", "no_such_package")
    assert main(["plot", "ball", *saved, "-o", "x.html"]) == 2
    how = "a page needs the package vl-convert-python, which is not installed. Install it: pip install 'archprof[page]'"
    assert capsys.readouterr().err == f"archprof: {how}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
    assert main(["report", *saved, "-o", "r"]) == 0
    assert capsys.readouterr().err == f"archprof: page.html is left out: {how}\n"
    assert not (tmp_path / "r" / "page.html").exists() and (tmp_path / "r" / "comparison.csv").exists()
    assert "page.html" not in (tmp_path / "r" / "README.md").read_text()


def test_a_report_of_an_earlier_time_loses_a_page_that_cannot_be_made_again(tmp_path, monkeypatch):
    few = comparison("resnet18", sizes=())
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "README.md").write_text(report.MARK)
    (tmp_path / "r" / "page.html").write_text("old")
    monkeypatch.setattr(library, "PACKAGE", "no_such_package")
    report.write(few, tmp_path / "r")
    assert not (tmp_path / "r" / "page.html").exists()


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    pytest.importorskip("vl_convert")
    kept = tmp_path / "cache" / "vega.js"
    monkeypatch.setattr(library, "cache_file", lambda: kept)
    calls = []
    monkeypatch.setattr(library, "_bundled", lambda: calls.append(1) or "window.made = 1;")
    return kept, calls


def test_the_library_is_bundled_once_and_again_where_its_file_is_damaged(own_cache):
    kept, calls = own_cache
    assert [library.javascript(), library.javascript(), len(calls)] == ["window.made = 1;", "window.made = 1;", 1]
    for damaged in (b"", kept.read_bytes()[:-3], b"\xff\xfe", kept.read_bytes().replace(b"= 1", b"= 2")):
        kept.write_bytes(damaged)
        calls.clear()
        assert library.javascript() == "window.made = 1;" and len(calls) == 1


def test_a_cache_that_cannot_be_written_costs_time_only(own_cache):
    kept, calls = own_cache
    kept.parent.write_text("a file where the folder should be")
    assert library.javascript() == library.javascript() == "window.made = 1;" and len(calls) == 2


def test_a_library_that_does_not_load_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "cache_file", lambda: tmp_path / "none.js")
    monkeypatch.setattr(library, "missing", lambda: None)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingPackage, match="is installed, but gives no chart library"):
        library.javascript()


def test_a_page_from_a_file_imports_neither_torch_nor_matplotlib(saved, tmp_path):
    pytest.importorskip("vl_convert")
    code = (
        "import sys; from archprof.cli import main\n"
        "code = main(['plot', 'ball', '--from', 'c.json', '-o', 'b.html'])\n"
        "assert not {'torch', 'matplotlib', 'pandas'} & set(sys.modules), sys.modules\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "b.html").read_text()
    assert text.startswith("<!DOCTYPE html>") and "vegaEmbed" in text
    assert main(["plot", "ball", *saved, "-o", "again.html"]) == 0
    assert (tmp_path / "again.html").read_text() == text
