"""`exported.pt2`: an archive of torch.export, read as data; and what to do with files of other kinds.

torch.export.load would run what an archive tells it to: it unpickles tensors and objects, imports modules that the
structure of arguments names, looks up operators anywhere in torch, evaluates formulas of sizes, and turns names in
the graph into Python source. It is not used: `archive` reads the file, `graph` calls listed operators, `network` holds
the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.errors import BadFile, BadOption, UnknownModel, one_line, printable
from ..found import Arguments, Found
from ..spec import ModelSpec
from . import archive, sizes

if TYPE_CHECKING:
    from .network import Network, Program

#: What files of other kinds are, by suffix.
_OTHERS = {
    ".pt": "is a pickle or a program of TorchScript, and opening one runs whatever code it holds",
    ".onnx": "is an ONNX graph, which is not read here",
    ".safetensors": "holds weights without the network that they belong to",
    ".h5": "is a file of Keras, which is not read here",
    ".tflite": "is a file of TensorFlow Lite, which is not read here",
}
_OTHERS |= dict.fromkeys((".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib"), _OTHERS[".pt"])
_OTHERS |= dict.fromkeys((".keras", ".hdf5"), _OTHERS[".h5"])


def find(spec: ModelSpec) -> Found:
    """The network in an archive of torch.export, with inputs like those it was exported with; no code is run."""
    path, shown = Path(spec.target), printable(spec.target, 120)
    suffix = path.suffix.casefold()
    if suffix in _OTHERS:
        raise BadOption(
            f"'{shown}' {_OTHERS[suffix]};",
            f"name the code that builds the network instead (file.py:callable), or an archive of it: {archive.SAVING}",
        )
    if spec.options or spec.resolution is not None:
        raise BadOption(
            f"{printable(spec.text, 120)}: an exported network takes no options and no resolution.",
            "Export it again with them.",
        )
    path = _file(path, shown)
    program, module, shape = _load(path, shown)

    def inputs(batch_size: int) -> Arguments:
        return _inputs(shown, program, batch_size), {}

    return Found(spec, lambda: module, shape, instance=module, inputs=inputs, batch_size=_fixed_batch(program))


def _file(path: Path, shown: str) -> Path:
    try:
        path = path.expanduser()
        if path.is_file():
            return path
        kind = "a folder" if path.is_dir() else "not a regular file" if path.exists() else ""
    except (OSError, ValueError, RuntimeError) as error:  # too long a name, a NUL in it, ~nobody
        raise BadOption(f"'{shown}' cannot be a file: {one_line(error, kind=False)}.") from None
    if kind:
        raise BadFile(f"'{shown}' is {kind}.", archive.WAY_OUT)
    if path.is_symlink():
        raise BadFile(f"'{shown}' is a link to something that is not there.", "Name the file itself.")
    raise UnknownModel(f"there is no file '{shown}'.", "Paths are relative to the working directory.")


def _load(path: Path, shown: str) -> tuple[Program, Network, tuple[int, ...]]:
    found = archive.read(path)
    from .network import Network, program_of, tensors

    try:
        program = program_of(found.program)
        module = Network(program, tensors(*found.constants) | tensors(*found.weights))
        shapes = [_sizes(entry.meta, {}) for entry in program.inputs if entry.meta is not None]
        return program, module, (shapes[0][1:] if shapes else ())
    except BadFile as error:
        raise BadFile(f"'{shown}': {error.message}", error.remedy) from None
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError, RecursionError) as error:
        raise BadFile(
            f"'{shown}' is not laid out as torch.export.save does: {one_line(error)}.",
            "Export it again with the version of torch that is installed.",
        ) from error


# --- inputs ---------------------------------------------------------------------------------------------------------


def _sizes(meta: Mapping[str, Any], symbols: Mapping[str, int]) -> tuple[int, ...]:
    """The sizes of an input where `symbols` have these values; of those not among them, as in the exported example."""
    from .network import shape_of

    def size(formula: Mapping[str, Any]) -> int:
        text, example = str(formula["expr_str"]), (formula.get("hint") or {}).get("as_int")
        try:
            return sizes.value(text, symbols)
        except (KeyError, ValueError):
            if type(example) is not int or example < 0:
                raise ValueError(f"an input of the size '{printable(text, 80)}'") from None
            return example

    return shape_of(meta, size)


def _described(program: Program) -> list[Mapping[str, Any]]:
    return [entry.meta for entry in program.inputs if entry.meta is not None]


def _fixed_batch(program: Program) -> int | None:
    """The batch that it was exported for; None where that is free, or no input has one."""
    batched = next((meta for meta in _described(program) if meta["sizes"]), None)
    if batched is None:
        return None
    formula, (now, *_) = batched["sizes"][0].get("as_expr"), _sizes(batched, {})
    return None if formula and sizes.solved(formula["expr_str"], now) else now


def _at_batch(shown: str, described: list[Mapping[str, Any]], batch_size: int) -> dict[str, int]:
    """The symbols' values at a batch size. Raises BadOption where the batch was exported as a fixed number."""
    dimensions = [entry["as_expr"] for meta in described for entry in meta["sizes"] if "as_expr" in entry]
    symbols: dict[str, int] = {}
    for formula in dimensions:
        example = (formula.get("hint") or {}).get("as_int")
        if type(example) is int and (found := sizes.solved(formula["expr_str"], example)):
            symbols.setdefault(*found)
    batched = next((meta for meta in described if meta["sizes"]), None)
    if batched is None or (now := _sizes(batched, symbols)[0]) == batch_size:
        return symbols
    first = batched["sizes"][0].get("as_expr")
    found = sizes.solved(first["expr_str"], batch_size) if first else None
    if found is None:
        raise BadOption(
            f"{shown} was exported for a batch of {now}; {batch_size} is asked for.",
            "Export it with dynamic_shapes for the first dimension.",
        )
    return symbols | dict([found])


def _inputs(shown: str, program: Program, batch_size: int) -> tuple[Any, ...]:
    """Inputs like those that it was exported with, at another batch size: floating-point tensors on meta, whole numbers
    0, truth values true."""
    symbols = _at_batch(shown, _described(program), batch_size)
    return tuple(entry.value if entry.meta is None else _tensor(entry.meta, symbols) for entry in program.inputs)


def _tensor(meta: Mapping[str, Any], symbols: Mapping[str, int]) -> Any:
    import torch

    from .network import dtype_of

    dtype, shape = dtype_of(meta), _sizes(meta, symbols)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.empty(shape, dtype=dtype, device="meta")
    return torch.ones(shape, dtype=dtype) if dtype is torch.bool else torch.zeros(shape, dtype=dtype)


__all__ = ["find"]
