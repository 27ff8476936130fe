"""Hostile names and errors in every output: each reader sees the text, none acts upon it."""

from __future__ import annotations

import csv as csv_module
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hostile.texts import TEXTS
from markdown_it import MarkdownIt
from rich.console import Console

from archprof.budgets.base_commit import BaseCommit, Restated
from archprof.budgets.budget import Budget
from archprof.budgets.lock import Before
from archprof.budgets.verdict import Checked, Verdict
from archprof.render import badge, csv, escapes, github, html, latex, markdown, report, terminal
from archprof.render.tables import base, verdicts
from archprof.render.tables.table import Cell, Column, Table
from archprof.results.comparison import ArchitectureResult, Comparison


def table(text: str) -> Table:
    """The text wherever a table has text."""
    columns = (Column("name", text), Column("macs", "Mult-Adds", "count"))
    return Table(text, columns, ((Cell(text), Cell(12)), (Cell("after"), Cell(5))), (text, "a note"))


def comparison(text: str) -> Comparison:
    rows = (
        ArchitectureResult(text, text, text, error=f"{text}: {text}"),
        ArchitectureResult("after", "zoo", error="x"),
    )
    return Comparison({"device": "cpu", "variables": {text: text}}, rows, None, (text,), text)


def checked(text: str) -> list[Checked]:
    budget = replace(Budget.of("resnet18", parameters="5 M"), name=text)
    shared = {"budget": text, "model": text, "detail": text, "limit": "at most 5"}
    error, over = {"measure": "", "status": "error"}, {"measure": "uncounted", "status": "over", "value": 3.0}
    return [Checked(budget, None, (Verdict(**shared, **error), Verdict(**shared, **over)))]


def is_line(text: str) -> bool:
    return text.isprintable()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
class TestEach:
    def test_every_escape_gives_one_bounded_line(self, text):
        for escape in (escapes.terminal, escapes.markdown, escapes.html, escapes.latex, escapes.xml, escapes.workflow):
            assert is_line(escape(text)) and len(escape(text)) < 40_000

    def test_terminal(self, text):
        page = io.StringIO()
        terminal.show([table(text)], Console(file=page, width=100))
        said = page.getvalue()
        assert said.replace("\n", "").isprintable()
        assert not re.search(r"^\s*::", said, re.MULTILINE) and "##[" not in said
        assert ("[red]" in said) == ("[red]" in text)

    def test_markdown(self, text):
        page = markdown.markdown([table(text)])
        tokens = MarkdownIt("commonmark").enable("table").parse(page)
        assert {token.type.partition("_")[0] for token in tokens} == {
            *"heading inline table thead tbody tr th td bullet list paragraph".split()
        }
        assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2"]
        assert sum(token.type == "tr_open" for token in tokens) == 3
        assert sum(token.type == "list_item_open" for token in tokens) == 2
        inline = {child.type for token in tokens for child in token.children or ()}
        assert inline <= {"text", "text_special", "link_open", "link_close"}
        if "http" not in text:
            assert inline <= {"text", "text_special"}

    def test_a_reports_page(self, text):
        page = report.readme(comparison(text), text, (), {"ball": text}, False)
        tokens = MarkdownIt("commonmark").enable("table").parse(page)
        inline = {child.type for token in tokens for child in token.children or ()}
        assert "html_inline" not in inline and "image" not in inline
        assert [token.content.strip() for token in tokens if token.type == "html_block"] == [report.MARK]
        assert sum(token.type == "fence" for token in tokens) == 2
        assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1
        assert "\x1b" not in page and "\0" not in page and page.encode()

    def test_badge(self, text):
        shared = {"budget": text, "model": text, "reference": text, "limit": f"≤ {text}", "value": 5, "bound": 9}
        for measure, status in (("parameters", "within"), ("latency", "over"), ("macs", "error")):
            verdict = Verdict(**shared | {"measure": measure, "status": status, "detail": text})
            root = ElementTree.fromstring(badge.svg(verdict).encode())
            tags = [one.tag.partition("}")[2] for one in root.iter()]
            assert tags == "svg title clipPath rect g rect rect g text text".split()
            assert all(is_line(value) for one in root.iter() for value in (*one.attrib.values(), one.text or ""))

    def test_html(self, text):
        class Reader(HTMLParser):
            tags, data = [], []

            def handle_starttag(self, tag, attrs):
                self.tags.append((tag, tuple(key for key, _ in attrs)))

            def handle_data(self, data):
                self.data.append(data)

        reader = Reader()
        reader.tags, reader.data = [], []
        reader.feed(html.html([table(text)]))
        assert {tag for tag, _ in reader.tags} == set("table caption thead tr th tbody td div small".split())
        assert {keys for _, keys in reader.tags} == {(), ("style",)}
        assert escapes.line(text) in reader.data

    def test_latex(self, text):
        page = latex.latex(table(text))
        comment, _, page = page.partition("\n")
        assert comment.startswith("% ")
        assert page.count(r"\begin") == page.count(r"\end{tabular}") == 1
        rows = page.split("\\toprule\n")[1].split("\\bottomrule")[0].splitlines()
        assert len(rows) == 4 and all(row.endswith(" \\\\") for row in rows if row != r"\midrule")
        assert not any(row.startswith(("[", "*")) for row in rows)
        plain = re.sub(r"\\(text\w+\{\}|[&%$#_{}])", "", page)
        assert not re.search(r"[%$#~^<>|]|(?<!\{)\[", plain.replace(r"% \usepackage", ""))

    def test_csv(self, text):
        page = csv.csv_text(comparison(text))
        heading, row, after = csv_module.reader(io.StringIO(page))
        assert len(heading) == len(row) == len(after)
        assert not any(cell[:1] in tuple("=+-@\t\r") for cell in row if cell)
        assert page.replace("\n", "").isprintable()

    def test_junit(self, text):
        root = ElementTree.fromstring(verdicts.to_junit(checked(text)))
        assert [case.tag for case in root.iter()] == "testsuites testsuite testcase error testcase failure".split()
        assert all(is_line(value) for case in root.iter() for value in case.attrib.values())

    def test_annotations(self, text):
        for line in github.workflow_commands(checked(text), lambda file: text):
            assert is_line(line) and line.count("::", 0, line.index("title=")) == 1
            command, properties, _ = re.match(r"^::(\w+) ([^:]*)::(.*)$", line).groups()
            assert command == "error"
            assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "line", "title"]

    def test_job_summary(self, text):
        tokens = MarkdownIt("commonmark").enable("table").parse(github.summary(checked(text)))
        assert [token.tag for token in tokens if token.type == "heading_open"] == ["h3"]
        assert sum(token.type == "tr_open" for token in tokens) == 3
        assert not {child.type for token in tokens for child in token.children or ()} - {"text", "text_special"}

    def test_a_base_commit(self, text):
        one, before = checked(text)[0], Before(None, "", text)
        change = Restated(text, text, text, text, None)
        found = BaseCommit(text, "0" * 40, (before,), (change, replace(change, key="")), (text,))
        page = github.comment([one], False, found)
        tokens = MarkdownIt("commonmark").enable("table").parse(page)
        assert [token.tag for token in tokens if token.type == "heading_open"] == ["h3"] * 3
        assert sum(token.type == "tr_open" for token in tokens) == 3
        kinds = {child.type for token in tokens for child in token.children or ()}
        assert kinds <= {"text", "text_special", "softbreak", *(("link_open", "link_close") if "http" in text else ())}
        screen = io.StringIO()
        terminal.show([base.table(found, [one])], Console(file=screen, width=100))
        assert screen.getvalue().replace("\n", "").isprintable()
        assert not re.search(r"^\s*::", screen.getvalue(), re.MULTILINE) and "##[" not in screen.getvalue()

    @pytest.mark.parametrize("color", [True, False])
    def test_verdicts_on_a_terminal(self, text, color):
        page = io.StringIO()
        terminal.show([verdicts.table(checked(text))], Console(file=page, force_terminal=color, width=160))
        said = page.getvalue() + verdicts.below(checked(text), why=True)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", said) if color else said
        assert plain.replace("\n", "").isprintable()
        assert not re.search(r"^\s*::", plain, re.MULTILINE) and "##[" not in plain


def test_numbers_in_csv_stay_numbers():
    assert csv.csv_of([{"a": -5, "b": 1.5, "c": None, "d": [1, 2], "e": "-5"}]) == "a,b,c,d,e\n-5,1.5,,1x2,'-5\n"


def test_what_needs_no_escape_stays():
    for text in ("resnet50", "mobilenetv1(width=0.5)@160", "café ≤ 4", "+3.1 %", "#1"):
        assert escapes.terminal(text) == text and escapes.workflow(text) == text.replace("%", "%25")
    assert escapes.markdown("+3.1 %") == "+3.1 %" and escapes.markdown("1. x", starts=True) == "1\\. x"
