"""Build the documentation site: python docs/site/build.py OUTPUT [--no-gallery]

Its sources are the repository's own Markdown files, in the same folders, so that every link that works in a checkout
works on the site, and pages that are generated: commands, Python, JSON Schema and gallery. A warning is an error.
Nothing here imports torch.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import commands
import gallery
import python_names
import schema
from sphinx.cmd.build import build_main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Pages, and what they show or link to.
COPIED = (
    *("*.md", "docs/*.md", "examples/*.ipynb"),
    *("reports/**/*.md", "reports/**/*.svg", "reports/**/*.csv", "reports/**/*.json.gz"),
)
HOME = "README.md"

#: The navigation: the caption of each group, and its pages by the name that is shown (None: the page's own title).
NAVIGATION: dict[str, dict[str, str | None]] = {
    "How to": {
        "docs/choosing": "Choose a network",
        "docs/budgets": "Guard a budget",
        "docs/prediction": "Predict on other hardware",
        "docs/whatif": "Ask what an edit would cost",
        "docs/fleet": "Use a cluster",
        "docs/trials": "Measure accuracy",
        "docs/models": "Name a network",
        "docs/recipes": "Activations, skips, optimizers",
        "docs/training": "Log a training run",
        "docs/editor": "Shell, editor, notebook",
    },
    "What the numbers mean": {
        "docs/counting": "Counting",
        "docs/memory": "Memory",
        "docs/latency": "Latency",
        "docs/roofline": "Roofline",
        "docs/differences": "Other tools",
        "gallery": None,
        "reports/README": None,
    },
    "Reference": {"commands/index": None, "python": None, "docs/json": "JSON, key by key", "schema": None},
    "Project": {
        "docs/architecture": None,
        "CONTRIBUTING": None,
        "SECURITY": None,
        "CHANGELOG": "Changelog",
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--no-gallery", action="store_true", help="draw no figure: the page has the commands alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        stage(source, draw=not args.no_gallery)
        options = ["-W", "--keep-going", "-q", "-E", "-d", str(source / ".doctrees"), "-c", str(HERE)]
        return build_main([*options, str(source), str(args.output)])


def stage(source: Path, draw: bool) -> None:
    """Put every page of the site, and what it shows, into the folder `source`."""
    for path in sorted({path for pattern in COPIED for path in ROOT.glob(pattern)}):
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name, content in {
        **commands.pages(),
        **python_names.pages(),
        **schema.files(),
        **gallery.files(ROOT, draw),
    }.items():
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content if isinstance(content, bytes) else content.encode())
    studies = sorted(path.relative_to(source / "reports") for path in source.glob("reports/*/**/README.md"))
    _append(
        source / "reports/README.md",
        toctree({path.with_suffix("").as_posix(): path.parent.as_posix() for path in studies}),
    )
    (source / HOME).rename(source / "index.md")
    _append(source / "index.md", *(toctree(entries, caption) for caption, entries in NAVIGATION.items()))


def toctree(entries: dict[str, str | None], caption: str = "") -> str:
    """The directive that puts pages into the navigation, and nothing onto the page."""
    lines = [f"{title} <{page}>" if title else page for page, title in entries.items()]
    return "\n".join(["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *lines, "```"])


def _append(page: Path, *blocks: str) -> None:
    page.write_text("\n\n".join([page.read_text(encoding="utf-8"), *blocks, ""]), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
