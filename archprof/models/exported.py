"""`exported.pt2`: an archive of torch.export. `.pt` and `.pth` are pickles, which run code when opened: refused.

torch.export.load would unpickle, too: tensors that it did not store plainly, example inputs, objects. It also looks up
operators by dotted name and evaluates the formulas of symbolic shapes. So an archive is looked through first
(`_check`), tensors are read with weights only, and whatever needs more than that is refused.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import BadFile, BadOption, UnknownModel
from .found import Arguments, Found
from .spec import ModelSpec

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_WAY_OUT = "Save it with torch.export.save(torch.export.export(model, (example,)), 'model.pt2')."

#: Parts of an archive that are more than a graph and tensors: what they are, by a piece of their path.
_REFUSED = {"data/aotinductor/": "compiled code", "custom_obj": "a pickled object", "opaque_obj": "a pickled object"}

#: What the graph may call: operators, Python's arithmetic, sizes.
_TARGET = re.compile(
    r"torch\.ops(\.\w+)+|_operator\.\w+|math\.\w+|torch\.sym_\w+|torch\._sym_\w+|"
    r"torch\._C\._set_grad_enabled|torch\.(ops\.)?higher_order(\.\w+)*|"
    r"torch\._higher_order_ops(\.\w+)+|\w+"
)

#: A symbol as torch writes it: Symbol('s31', positive=True, integer=True).
_SYMBOL = re.compile(r"Symbol\('\w+'(, \w+=(True|False))*\)")

#: Names that stand in formulas of symbolic shapes, beside symbols such as s0 and u1.
_FUNCTIONS = frozenset(
    "Max Min Mod PythonMod FloorDiv CleanDiv CeilDiv IntTrueDiv FloatTrueDiv TrueDiv "
    "ModularIndexing Where Eq Ne Lt Le Gt Ge And Or Not Pow PowByNatural floor ceiling "
    "oo int_oo True False Integer Rational Add Mul".split()
)


def find(spec: ModelSpec) -> Found:
    """The network in an archive of torch.export, with its own example inputs; weights are read, code is not run."""
    path = Path(spec.target).expanduser()
    if path.suffix != ".pt2":
        raise BadOption(
            f"'{spec.target}' is a pickle, and opening one runs whatever code it holds;",
            f"name the code instead (file.py:callable), or export it: {_WAY_OUT}",
        )
    if spec.options or spec.resolution is not None:
        raise BadOption(
            f"{spec.text}: an exported network takes no options and no resolution.", "Export it again with them."
        )
    if not path.is_file():
        raise UnknownModel(f"there is no file '{spec.target}'.", "Paths are relative to the working directory.")
    _check(path)
    program = _load(path)
    checks = {"check_guards": False} if "check_guards" in inspect.signature(program.module).parameters else {}
    module = program.module(**checks)
    args, kwargs = program.example_inputs or ((), {})
    shape = next((tuple(value.shape[1:]) for value in [*args, *kwargs.values()] if hasattr(value, "shape")), ())
    return Found(
        spec,
        lambda: module,
        shape,
        instance=module,
        inputs=lambda batch_size: _inputs(spec, program, args, kwargs, batch_size),
    )


def _inputs(
    spec: ModelSpec, program: ExportedProgram, args: tuple, kwargs: dict[str, Any], batch_size: int
) -> Arguments:
    """The example inputs at another batch size. Raises BadOption where the batch was exported as a fixed number."""
    import torch
    from torch.utils import _pytree as pytree

    first = next((value for value in pytree.tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)), None)
    if first is None or first.dim() == 0 or first.shape[0] == batch_size:
        return args, kwargs
    batch = first.shape[0]
    if not _batch_is_free(program):
        raise BadOption(
            f"{spec.text} was exported for a batch of {batch}; {batch_size} is asked for.",
            "Export it with dynamic_shapes for the first dimension.",
        )

    def resized(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or tensor.shape[0] != batch:
            return tensor
        return torch.cat([tensor[:1]] * batch_size)

    return pytree.tree_map_only(torch.Tensor, resized, (args, kwargs))


def _batch_is_free(program: ExportedProgram) -> bool:
    inputs = set(program.graph_signature.user_inputs)
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
    shapes = [value.shape for value in values if hasattr(value, "shape") and len(value.shape)]
    return bool(shapes) and not isinstance(shapes[0][0], int)


# --- reading --------------------------------------------------------------------------------------------------------


def _load(path: Path) -> ExportedProgram:
    import torch

    try:
        with _weights_only():
            return torch.export.load(path)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise BadFile(
            f"'{path}' cannot be loaded: {type(error).__name__}: {said}.", "Was it exported with this version of torch?"
        ) from error


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """torch.load reads tensors and nothing else, whatever it is asked for."""
    import torch

    load = torch.load

    def only_weights(*args: Any, **kwargs: Any) -> Any:
        return load(*args, **{**kwargs, "weights_only": True})

    torch.load = only_weights
    try:
        yield
    finally:
        torch.load = load


def _check(path: Path) -> None:
    """Raise BadFile unless the archive holds a graph and tensors alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            graphs = [
                json.loads(archive.read(name))
                for name in names
                if name.endswith(".json") and ("/models/" in name or name == "serialized_exported_program.json")
            ]
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BadFile(f"'{path}' is no archive of torch.export: {error}.", _WAY_OUT) from None
    for name in names:
        for piece, what in _REFUSED.items():
            if piece in name.partition("/")[2]:  # the first part is the archive's own name
                raise BadFile(f"'{path}' holds {what} ('{name}'), which is not opened here.", _WAY_OUT)
    if not graphs:
        raise BadFile(f"'{path}' holds no exported graph.", _WAY_OUT)
    for graph in graphs:
        _check_graph(path, graph)


def _check_graph(path: Path, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _check_graph(path, item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "target" and isinstance(item, str) and not _TARGET.fullmatch(item):
            raise BadFile(f"'{path}' calls '{item}', which is no operator.", _WAY_OUT)
        if key == "expr_str" and isinstance(item, str) and not _is_formula(item):
            raise BadFile(f"'{path}' has a symbolic shape '{item}', which is no formula.", _WAY_OUT)
        if key not in ("metadata", "string_to_str"):
            _check_graph(path, item)


def _is_formula(text: str) -> bool:
    """Whether sympy, which evaluates what it is given as Python, would find nothing but arithmetic in it."""
    text = _SYMBOL.sub("s0", text)
    words = re.findall(r"[A-Za-z_]\w*", text)
    known = all(word in _FUNCTIONS or re.fullmatch(r"[a-z]{1,2}\d+", word) for word in words)
    plain = re.fullmatch(r"[\w\s+\-*/%(),.<>=&|~]*", text) and not re.search(r"\.\s*[A-Za-z_]", text)
    return known and bool(plain)
