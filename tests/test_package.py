"""What is put onto the index: built from a copy of the repository, looked into, installed and used. No network."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import archprof

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
SETUP_TEXT = (ROOT / "setup.py").read_text()
SETUP = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
SCRIPT = ROOT / "tests" / "helpers" / "public_names.py"

WHERE, REF = "https://example.org/them/archprof", "v0.0.0"

#: What stands in a working tree and is nobody's source.
NOT_SOURCES = (
    ".git",
    "*.egg-info",
    "__pycache__",
    "build",
    "dist",
    "drawn",
    ".venv",
    ".nox",
    ".*_cache",
    ".hypothesis",
)


def links(page: str) -> list[str]:
    tokens = [child for token in MarkdownIt().parse(page) for child in token.children or ()]
    return [str(token.attrs[key]) for token in tokens for key in ("href", "src") if key in token.attrs]


class TestReadme:
    def test_every_link_leads_into_the_repository_at_the_released_tag(self):
        targets, before = links(SETUP["long_description"](README, WHERE, REF)), links(README)
        assert len(targets) == len(before) and any(not target.startswith("http") for target in before)
        for target in targets:
            inside = re.fullmatch(rf"{WHERE}/(blob|raw)/{REF}/(.+)", target)
            assert target.startswith("https://") if inside is None else (ROOT / inside[2]).exists(), target

    def test_pictures_are_files_and_pages_are_pages(self):
        page = SETUP["long_description"]("![a](p.svg) and [b](docs/b.md)", WHERE, REF)
        assert page == f"![a]({WHERE}/raw/{REF}/p.svg) and [b]({WHERE}/blob/{REF}/docs/b.md)"

    def test_without_a_repository_no_link_leads_nowhere(self):
        page = SETUP["long_description"](README, "", "main")
        assert all(target.startswith("https://") for target in links(page))
        assert SETUP["long_description"]("see [b](docs/b.md). ![a](p.svg)", "", "main") == "see b. "

    @pytest.mark.parametrize(
        "text",
        ["`[a](b)`", "```md\n[a](b)\n```", "[a](https://b.org)", "[a](#place)", "[a](mailto:b@c.d)", "x[1](y z)"],
    )
    def test_code_addresses_and_places_stay(self, text):
        assert SETUP["long_description"](text, WHERE, REF) == text

    def test_addresses_are_those_of_the_repository_or_none(self):
        assert SETUP["addresses"]("", "main") == {}
        assert all(address.startswith(WHERE) for address in SETUP["addresses"](WHERE, REF).values())


class TestStated:
    def test_the_version_stands_in_one_place(self):
        assert "version" in PROJECT["dynamic"]
        named = [path for path in (ROOT / "archprof").rglob("*.py") if f'"{archprof.__version__}"' in path.read_text()]
        assert named == [ROOT / "archprof" / "base" / "version.py"]

    def test_groups_for_users_are_all_tested_and_developers_have_the_tests(self):
        groups = PROJECT["optional-dependencies"]
        tested = re.fullmatch(r"archprof\[(.+)\]", groups["test"][0])
        assert tested and {"page", "timm", "trial"} <= set(tested[1].split(",")) <= set(groups)
        assert groups["dev"][0] == "archprof[test]"

    def test_the_script_uses_every_public_name(self):
        assert set(re.findall(r"\barchprof\.(\w+)", SCRIPT.read_text())) >= set(archprof.__all__)


class TestRelease:
    WORKFLOW = (ROOT / ".github" / "workflows" / "release.yml").read_text()

    def test_only_the_job_that_publishes_has_an_identity_and_no_secret_is_stored(self):
        jobs = pytest.importorskip("yaml").safe_load(self.WORKFLOW)["jobs"]
        assert "permissions" not in jobs["build"] and jobs["publish"]["environment"] == "pypi"
        assert jobs["publish"]["permissions"] == {"id-token": "write", "attestations": "write"}
        assert "secrets." not in self.WORKFLOW and "password" not in self.WORKFLOW
        assert not any(
            "run" in step for step in jobs["publish"]["steps"]
        )  # no code of a dependency beside the identity

    def test_actions_are_taken_by_their_commit(self):
        used = re.findall(r"uses: (\S+)", self.WORKFLOW)
        assert len(used) == 6 and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)

    def test_its_names_are_those_that_the_build_reads(self):
        assert set(re.findall(r"ARCHPROF_\w+", self.WORKFLOW)) == set(re.findall(r"\"(ARCHPROF_\w+)\"", SETUP_TEXT))


needs_build = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("build", "setuptools", "pip")),
    reason="build, setuptools or pip is not installed (the extra 'test' has them)",
)


def run(*words: object, cwd: Path, **environment: str) -> str:
    """What a command prints; its failure shows all that it said."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PIP_REQUIRE_VIRTUALENV")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources: building writes beside them."""
    copy = tmp_path_factory.mktemp("package") / "archprof"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    return copy


@pytest.fixture(scope="module")
def built(tree: Path) -> Iterator[Path]:
    """The folder with the source distribution, and the wheel that was built from it."""
    where = {"ARCHPROF_REPOSITORY": f"{WHERE}/", "ARCHPROF_REF": REF}
    run(sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check", tree, cwd=tree, **where)
    yield tree / "dist"
    shutil.rmtree(tree / "dist")


def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def metadata(built: Path) -> Message:
    with zipfile.ZipFile(wheel(built)) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(packed.read(name).decode())


def environment(folder: Path) -> Path:
    """A fresh environment's Python, which finds what archprof needs where this Python has it, but not archprof."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # a path in a .pth is not searched for .pth files, so that an editable archprof there stays out
    (site / "needs.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    return python


def install(python: Path, *words: object) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--no-deps")
    run(*pip, "--no-index", "--no-build-isolation", "--quiet", *words, cwd=python.parent)


@needs_build
class TestBuilt:
    def test_its_metadata(self, built):
        head = metadata(built)
        assert (head["Name"], head["Version"]) == ("archprof", archprof.__version__)
        assert (head["License-Expression"], head["Author"]) == ("MIT", "The archprof authors")
        assert head["Description-Content-Type"] == "text/markdown" and head["Keywords"]
        assert "Typing :: Typed" in head.get_all("Classifier", ())
        assert f"Repository, {WHERE}" in head.get_all("Project-URL", ())
        assert all(target.startswith("https://") for target in links(str(head.get_payload())))

    def test_the_wheel_is_the_package_and_nothing_else(self, tree, built):
        packed = {name for name in zipfile.ZipFile(wheel(built)).namelist() if ".dist-info/" not in name}
        assert packed == {str(path.relative_to(tree)) for path in (tree / "archprof").rglob("*") if path.is_file()}
        assert {"archprof/py.typed", "archprof/models/published/timm.csv", "archprof/render/page/page.html"} <= packed

    def test_the_source_distribution_is_the_repository(self, tree, built):
        with tarfile.open(next(built.glob("*.tar.gz"))) as packed:
            held = {name.partition("/")[2] for name in packed.getnames()}
        ours = {path.relative_to(tree) for path in tree.rglob("*") if path.is_file()}
        ours = {str(path) for path in ours if path.parts[0] not in ("dist", "archprof.egg-info")}
        assert ours - held == {".gitignore"}
        assert "tests/test_package.py" in held

    def test_the_index_would_render_it(self, built):
        pytest.importorskip("twine")
        said = run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir(), cwd=built, NO_COLOR="1")
        assert said.count("PASSED") == 2

    def test_it_installs_and_runs(self, built, tmp_path):
        python = environment(tmp_path / "fresh")
        install(python, wheel(built))
        command = python.with_name("archprof")
        assert "archprof compare" in run(command, "--help", cwd=tmp_path)
        kept = {"XDG_CACHE_HOME": str(tmp_path)}
        assert "resnet_tiny" in run(command, "list", "resnet_tiny", cwd=tmp_path, **kept)
        assert run(python, "-c", "import archprof; print(archprof.__file__)", cwd=tmp_path).startswith(str(tmp_path))


@needs_build
@pytest.mark.parametrize("how", ["editable", "wheel"])
def test_types_are_found_by_mypy_outside_of_the_repository(how, tree, built, tmp_path):
    pytest.importorskip("mypy")
    python = environment(tmp_path / "fresh")
    install(python, *(["--editable", tree] if how == "editable" else [wheel(built)]))
    shutil.copy(SCRIPT, tmp_path / "theirs.py")
    # their own mistake, found only where archprof's types are
    (tmp_path / "wrong.py").write_text("import archprof\n\narchprof.profile(3).macs.nonsense\n")
    # torch's types take half a minute, and are not the question
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-torch.*,pandas.*,matplotlib.*]\nfollow_imports = skip\n"
    )
    mypy = (sys.executable, "-m", "mypy", "--python-executable", python)
    assert "no issues found" in run(*mypy, "theirs.py", cwd=tmp_path)
    done = subprocess.run([*map(str, mypy), "wrong.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert '"int" has no attribute "nonsense"' in done.stdout
