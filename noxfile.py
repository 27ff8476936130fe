"""What one does in this repository, one session each: `nox -l` lists them, `nox -s lint` runs one.

Each session installs what constraints.txt pins into an environment of its own. `nox --no-venv` uses the environment
that is active instead, and installs nothing.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

REPORTS = Path("reports")


def install(session: nox.Session, extra: str) -> None:
    """The package with that extra, editable; nothing in an environment that is not nox's."""
    if session.virtualenv.is_sandboxed:
        session.install("-c", "constraints.txt", "-e", f".[{extra}]")


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy and the contracts of layers."""
    install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; arguments go to pytest: nox -s tests -- tests/costs -x."""
    install(session, "test")
    session.run("pytest", *session.posargs, env={"MPLBACKEND": "Agg"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """The property-based tests with thousands of new examples; takes long."""
    install(session, "test")
    paths = session.posargs or ["tests"]
    session.run("pytest", "-m", "hypothesis", "--hypothesis-show-statistics", *paths, env={"ARCHPROF_FUZZ": "1"})


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Every benchmark in smoke mode: everything runs, nothing is claimed."""
    install(session, "test")
    for benchmark in sorted(Path("benchmarks").glob("[a-z]*.py")):
        session.run("python", str(benchmark), "--smoke")


@nox.session
def docs(session: nox.Session) -> None:
    """The commands and programs of README.md, docs/ and reports/, and the linter of Markdown."""
    install(session, "test")
    session.run("pytest", "tests/docs", *session.posargs, env={"MPLBACKEND": "Agg"})


@nox.session
def site(session: nox.Session) -> None:
    """The documentation site, into build/site: a warning is an error, and every link of every page leads somewhere."""
    install(session, "test,docs")
    session.run("python", "docs/site/build.py", "build/site", env={"MPLBACKEND": "Agg"})
    session.run("pytest", "tests/docs/test_site.py", *session.posargs, env={"ARCHPROF_SITE": "build/site"})


@nox.session
def package(session: nox.Session) -> None:
    """Source distribution and wheel, into dist/, and their tests."""
    install(session, "test")
    session.run("python", "-m", "build", *([] if session.virtualenv.is_sandboxed else ["--no-isolation"]))
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    session.run("pytest", "tests/test_package.py", *session.posargs)


@nox.session
def reports(session: nox.Session) -> None:
    """Every figure of reports/, drawn from the stored data into the folder drawn/; arguments name some reports."""
    import gzip

    install(session, "test")
    names = session.posargs or [str(data.parent.relative_to(REPORTS)) for data in REPORTS.rglob("comparison.json.gz")]
    for name in sorted(names):
        data = Path(session.create_tmp()) / "comparison.json"
        data.write_bytes(gzip.decompress((REPORTS / name / "comparison.json.gz").read_bytes()))
        session.run("archprof", "report", "--from", str(data), "-o", str(Path("drawn") / name))
