"""Write a figure to a file: whole or not at all, and the same bytes for the same figure."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadOption, BadOutput, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Extension -> metadata that is left out, because it names a date or a version.
FORMATS: dict[str, tuple[str, ...]] = {
    "png": ("Software",),
    "svg": ("Date", "Creator"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


def check_format(path: str | Path) -> str:
    """The format that the extension of `path` names. Raises BadOption for any other."""
    extension = Path(path).suffix.lower().lstrip(".")
    if extension not in FORMATS:
        seen = f"'.{extension}' is no format of figures" if extension else f"'{path}' has no extension"
        raise BadOption(f"{seen}.{did_you_mean(extension, FORMATS)}",
                        f"Wanted: {', '.join('.' + name for name in FORMATS)}.")
    return extension


def save(figure: Figure, path: str | Path) -> Path:
    """Write `figure` to `path` as PNG, SVG or PDF by its extension, through a temporary file beside it.

    SVG text is drawn as outlines and PDF fonts are embedded (type 42), so that the figure reads the same where
    its fonts are missing. Raises BadOutput where the file cannot be written.
    """
    from .style import pinned_settings

    path = Path(path)
    extension = check_format(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=f".{extension}", dir=path.parent)
        os.close(handle)
        with pinned_settings():
            figure.savefig(temporary, format=extension, metadata={key: None for key in FORMATS[extension]})
        _as_readable_as_others(temporary)
        os.replace(temporary, path)
    except OSError as reason:
        raise BadOutput(f"cannot write '{path}': {reason.strerror or reason}.",
                        "Choose a folder that exists and that you may write to.") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def _as_readable_as_others(path: str) -> None:
    """mkstemp makes files for their owner alone; give the permissions that open() would have given."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)
