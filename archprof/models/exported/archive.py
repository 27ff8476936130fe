"""A file of torch.export.save taken apart: its graph as JSON, its tensors as bytes. Nothing in it is run or unpickled.

torch.export.load finds members whatever their case, unpickles some, and hands text from others to `eval` and to
`import`. So torch is not asked: the members are read here, only those that are listed, and only as plain data.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base import units
from ...base.errors import BadFile, one_line, printable

SAVING = "torch.export.save(torch.export.export(model, (example,)), 'model.pt2')."
WAY_OUT = f"Save it with {SAVING}"

#: The bytes of a graph's JSON at most: large language models take a tenth of it.
LARGEST_GRAPH = 512 * 2**20

#: What torch.export.save writes, below the archive's own name. Example inputs and extra files are never opened.
_MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id|\.format_version|"
    r"\.storage_alignment|models/model\.json|data/sample_inputs/model\.pt|extra/.+|"
    r"data/weights/(model_weights_config\.json|weight_[0-9]+)|"
    r"data/constants/(model_constants_config\.json|tensor_[0-9]+)"
)

#: What is refused, by a pattern of the member's name: what it is, and what to do.
_REFUSED = (
    (
        r"(.*/)?serialized_(exported_program|state_dict|constants)\.(json|pt)",
        "a graph in an old layout",
    ),
    (r".*/data/aotinductor/.*", "compiled code"),
    (r".*/(custom_obj|opaque_obj)[^/]*", "a pickled object"),
    (r".*/data/(weights|constants)/[^/]*\.pt", "pickled tensors"),
    (r".*/(constants\.pkl|code/.*)", "a program of TorchScript"),
    (r".*\.pkl", "a pickle"),
)


#: What reading a file that is something else, or damaged, raises.
_UNREADABLE = (
    zipfile.BadZipFile,
    ValueError,
    OSError,
    EOFError,
    NotImplementedError,
    RecursionError,
    MemoryError,
)


@dataclass(frozen=True)
class Archive:
    """What an archive holds: the graph as JSON has it, and a pair (settings, bytes) for weights and constants.

    Settings are the JSON that tells for each tensor where its bytes lie; bytes are by member, without the folder.
    """

    program: dict[str, Any]
    weights: tuple[dict[str, Any], dict[str, bytearray]]
    constants: tuple[dict[str, Any], dict[str, bytearray]]


def read(path: Path) -> Archive:
    """Raises BadFile for anything but an archive that torch.export.save writes, plainly stored."""
    with _opened(path) as (archive, size):
        root = _checked(archive, path, size)
        return Archive(
            _json(archive, path, f"{root}/models/model.json"),
            _tensors(archive, path, f"{root}/data/weights/", "model_weights_config.json"),
            _tensors(archive, path, f"{root}/data/constants/", "model_constants_config.json"),
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, int]]:
    shown = printable(str(path), 120)
    try:
        with open(path, "rb") as file:
            start = file.read(2)
            if start[:1] == b"\x80":
                raise BadFile(f"'{shown}' is a pickle, and opening one runs whatever code it holds.", WAY_OUT)
            size = file.seek(0, 2)
            with zipfile.ZipFile(file) as archive:
                yield archive, size
    except BadFile:
        raise
    except _UNREADABLE as error:
        raise BadFile(
            f"'{shown}' is not an archive of torch.export: {one_line(error, kind=False).rstrip('.')}.", WAY_OUT
        ) from None


def _checked(archive: zipfile.ZipFile, path: Path, size: int) -> str:
    """The archive's own name, which stands before each member's. Raises BadFile where a member should not be there."""
    shown = printable(str(path), 120)
    entries = archive.infolist()
    root = entries[0].filename.partition("/")[0] if entries else ""
    for entry in entries:
        for pattern, what in _REFUSED:
            if re.fullmatch(pattern, entry.filename, re.IGNORECASE | re.DOTALL):
                name = printable(entry.filename, 120)
                raise BadFile(f"'{shown}' holds {what} ('{name}'), which is not opened here.", WAY_OUT)
    if sum(entry.compress_size for entry in entries) > size:
        raise BadFile(f"'{shown}' claims to hold more than its own {units.size(size)}.", WAY_OUT)
    seen: set[str] = set()
    for entry in entries:
        name = printable(entry.filename, 120)
        if entry.filename.casefold() in seen:
            raise BadFile(f"'{shown}' holds '{name}' twice (torch does not tell case apart).", WAY_OUT)
        seen.add(entry.filename.casefold())
        above, _, member = entry.filename.partition("/")
        if above != root or not _MEMBERS.fullmatch(member):
            raise BadFile(f"'{shown}' holds '{name}', which torch.export.save does not write.", WAY_OUT)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.flag_bits & 1:
            raise BadFile(f"'{shown}' holds '{name}' compressed or encrypted; it must be stored as it is.", WAY_OUT)
        archive.open(entry).close()  # raises where the name beside the data is another
    for needed in ("models/model.json", "data/weights/model_weights_config.json"):
        if f"{root}/{needed}" not in archive.NameToInfo:
            raise BadFile(f"'{shown}' holds no exported graph: '{needed}' is missing.", WAY_OUT)
    if f"{root}/byteorder" in archive.NameToInfo and archive.read(f"{root}/byteorder").decode() != sys.byteorder:
        raise BadFile(f"'{shown}' was saved on a machine with the other byte order.", "Save it on one like this.")
    return root


def _json(archive: zipfile.ZipFile, path: Path, name: str) -> dict[str, Any]:
    size = archive.getinfo(name).file_size
    if size > LARGEST_GRAPH:
        raise BadFile(
            f"'{printable(str(path), 120)}': '{name}' takes {units.size(size)}; at most {units.size(LARGEST_GRAPH)} "
            "are read.",
            "Name the code that builds the network instead: file.py:callable.",
        )
    found = json.loads(archive.read(name))
    if not isinstance(found, dict):
        raise ValueError(f"{name} is not a JSON object")
    return found


def _tensors(
    archive: zipfile.ZipFile, path: Path, folder: str, settings: str
) -> tuple[dict[str, Any], dict[str, bytearray]]:
    if folder + settings not in archive.NameToInfo:
        return {}, {}
    config = _json(archive, path, folder + settings).get("config")
    if not isinstance(config, dict):
        raise ValueError(f"{settings} has no settings")
    data = {}
    for entry in archive.infolist():
        if entry.filename.startswith(folder) and not entry.filename.endswith(".json"):
            data[entry.filename.removeprefix(folder)] = bytearray(archive.read(entry))
    return config, data
