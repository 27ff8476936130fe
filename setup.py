"""What pyproject.toml cannot state: the README as the package index needs it, and the project's addresses.

The index resolves no relative links. A release says where its repository is:

    ARCHPROF_REPOSITORY=https://github.com/OWNER/archprof ARCHPROF_REF=v0.1.0 python -m build

and the README's links and pictures then lead there, at that tag. Any other build leaves the links' text, and no link.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parent

#: "![text](target)" or "[text](target)", where the target is neither an address nor a place on the page.
_RELATIVE = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]\n]*)\]\((?![a-z]+:|#)(?P<target>[^)\s]+)\)")

#: Code stays as it is.
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def long_description(readme: str, repository: str, ref: str) -> str:
    """The README with absolute links; without a repository, with the text of what it links to."""

    def absolute(match: re.Match[str]) -> str:
        picture, text, target = match["picture"], match["text"], match["target"].removeprefix("./")
        if not repository:
            return "" if picture else text
        return f"{picture}[{text}]({repository}/{'raw' if picture else 'blob'}/{ref}/{target})"

    parts = _CODE.split(readme)
    return "".join(part if place % 2 else _RELATIVE.sub(absolute, part) for place, part in enumerate(parts))


def addresses(repository: str, ref: str) -> dict[str, str]:
    """What the index shows beside the README; nothing without a repository."""
    if not repository:
        return {}
    return {
        "Repository": repository,
        "Documentation": f"{repository}/tree/{ref}/docs",
        "Changelog": f"{repository}/blob/{ref}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


if __name__ == "__main__":
    from setuptools import setup

    where = os.environ.get("ARCHPROF_REPOSITORY", "").rstrip("/"), os.environ.get("ARCHPROF_REF", "main")
    setup(
        long_description=long_description((ROOT / "README.md").read_text(encoding="utf-8"), *where),
        long_description_content_type="text/markdown",
        project_urls=addresses(*where),
    )
