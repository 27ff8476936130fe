"""Your own networks: `package.module:callable` and `path/to/file.py:callable`.

Importing them runs them, as it does anywhere else: what they print goes to stderr, and whatever they raise becomes one
line with the file and line of theirs where it was raised.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..base import streams
from ..base.errors import ArchprofError, BadOption, BuildFailed, UnknownModel, did_you_mean, one_line, printable
from .found import Found, check_options
from .spec import SHOWN, ModelSpec

if TYPE_CHECKING:
    from torch import nn

#: Whether code of others ran in this process because it was named: it may have changed anything that counting uses.
ran = False

#: Modules imported from a file's folder, by folder: two checkouts of one project must not see each other's.
_seen_from: dict[str, dict[str, ModuleType]] = {}


def find_in_module(spec: ModelSpec, sources: list[str]) -> Found:
    """What `package.module:callable` names, with the working directory first on the path."""
    folder = os.getcwd()
    with _on_path(folder), _running(spec.source):
        try:
            module = importlib.import_module(spec.source)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{spec.source}.".startswith(f"{error.name}."):
                raise
            raise UnknownModel(
                f"no source or module is called '{printable(error.name, SHOWN)}' in '{printable(spec.text, SHOWN)}'."
                f"{did_you_mean(error.name, [*sources, *_modules_in(folder)])}",
                f"Modules are looked for in {folder} and among the installed packages.",
            ) from None
    return _found(spec, module, spec.target, lambda: _on_path(folder))


def _modules_in(folder: str) -> list[str]:
    here = Path(folder)
    return [path.stem for path in here.glob("*.py")] + [path.parent.name for path in here.glob("*/__init__.py")]


def find_in_file(spec: ModelSpec) -> Found:
    """What `path/to/file.py:callable` names. A file inside a package is imported as part of it."""
    path_text, _, name = spec.target.rpartition(":")
    try:
        path = Path(path_text).expanduser()
        if not path.is_file():
            near = did_you_mean(path.name, [entry.name for entry in path.parent.glob("*.py")])
            raise UnknownModel(
                f"there is no file '{printable(path_text, SHOWN)}'.{near}",
                "Paths are relative to the working directory.",
            )
        path = path.resolve()
    except (OSError, RuntimeError) as error:  # too long a name, a folder that may not be read, ~nobody
        raise BadOption(
            f"'{printable(path_text, SHOWN)}' cannot be read: {one_line(error, kind=False)};",
            "expected path/to/file.py:callable.",
        ) from None
    dotted, root = [path.stem], path.parent
    while (root / "__init__.py").is_file():
        dotted.insert(0, root.name)
        root = root.parent
    if dotted[-1] == "__init__":
        dotted.pop()
    folder = str(root)
    with _own_modules(folder), _running(path_text):
        importlib.invalidate_caches()
        if len(dotted) > 1 or path.stem == "__init__":
            module = importlib.import_module(".".join(dotted))
        else:
            module = _from_file(path)
    return _found(spec, module, name, lambda: _own_modules(folder))


def _from_file(path: Path) -> ModuleType:
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    loader = importlib.util.spec_from_file_location(path.stem, path)
    assert loader is not None and loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    outer = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        loader.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    finally:
        if outer is not None:  # an installed package of that name stays what it was
            sys.modules[path.stem] = outer
    return module


# --- surroundings ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """`folder` first on the import path; what is printed goes to stderr."""
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(streams.Printable(sys.stderr)):
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


@contextlib.contextmanager
def _own_modules(folder: str) -> Iterator[None]:
    """As `_on_path`; modules that lie in `folder` are known inside only, so that other folders may have their own."""
    if folder == os.getcwd():  # these are the user's modules everywhere
        with _on_path(folder):
            yield
        return
    mine = _seen_from.setdefault(folder, {})
    hidden = {name: sys.modules.pop(name) for name in _from_folder(os.getcwd()) if _offers(folder, name)}
    before = set(sys.modules)
    sys.modules.update(mine)
    try:
        with _on_path(folder):
            yield
    finally:
        mine.update({name: sys.modules.pop(name) for name in _from_folder(folder) if name not in before})
        sys.modules.update(hidden)


def _offers(folder: str, module: str) -> bool:
    top = os.path.join(folder, module.partition(".")[0])
    return os.path.isfile(f"{top}.py") or os.path.isfile(os.path.join(top, "__init__.py"))


def _from_folder(folder: str) -> list[str]:
    """Names of the loaded modules whose topmost package or module lies directly in `folder`."""
    tops = set()
    for name, module in list(sys.modules.items()):
        if "." not in name and (file := getattr(module, "__file__", None)):
            place = os.path.dirname(os.path.realpath(file))
            if folder == (os.path.dirname(place) if os.path.basename(file) == "__init__.py" else place):
                tops.add(name)
    return [name for name in sys.modules if name.partition(".")[0] in tops]


@contextlib.contextmanager
def _running(what: str) -> Iterator[None]:
    """Whatever the code inside raises, SystemExit included, becomes BuildFailed with its place."""
    global ran
    ran = True
    try:
        yield
    except ArchprofError:
        raise
    except SystemExit as error:
        raise BuildFailed(
            f"{what}: calls sys.exit({_code(error)}) while it is imported or built{_place(error)}.",
            "Put what a script does under: if __name__ == '__main__'",
        ) from None
    except Exception as error:
        raise BuildFailed(f"{what}: {one_line(error)}{_place(error)}") from error


def _code(error: SystemExit) -> str:
    return printable(repr(error.code), 80) if isinstance(error.code, int | str | None) else "..."


def _place(error: BaseException) -> str:
    """' (file.py, line 7)': the innermost line of the user's own code, or of anything but our own and Python's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_short(error.filename)}, line {error.lineno})"
    own = os.path.dirname(os.path.dirname(__file__))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", own)) and os.path.dirname(frame.filename) != _IMPORTLIB
    ]
    mine = [frame for frame in frames if not _INSTALLED & set(Path(frame.filename).parts)]
    if not frames:
        return ""
    last = (mine or frames)[-1]
    return f" ({_short(last.filename)}, line {last.lineno})"


_IMPORTLIB = os.path.dirname(importlib.__file__)
_INSTALLED = {"site-packages", "dist-packages"}


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


# --- the callable ---------------------------------------------------------------------------------------------------


def _found(
    spec: ModelSpec, module: ModuleType, name: str, surroundings: Callable[[], contextlib.AbstractContextManager[None]]
) -> Found:
    thing: Any = module
    with surroundings(), _running(spec.text):  # a module's own __getattr__ may run, and raise
        for part in name.split("."):
            if not hasattr(thing, part):
                offered = [key for key, value in _content(thing).items() if callable(value) and key[:1] != "_"]
                raise UnknownModel(
                    f"{spec.text.rpartition(':')[0]} has no '{part}'.{did_you_mean(part, offered)}",
                    f"It offers {', '.join(offered[:12])}." if offered else "It offers nothing callable.",
                )
            thing = getattr(thing, part)
    return found_as(spec, thing, name, surroundings)


def found_as(
    spec: ModelSpec, thing: Any, name: str, surroundings: Callable[[], contextlib.AbstractContextManager[None]]
) -> Found:
    """The network that `thing` is, or builds: a network, a class or a function. `name` is what messages call it."""
    from torch import nn

    with surroundings(), _running(spec.text):
        shape = _declared_shape(spec, thing)
    if isinstance(thing, nn.Module):
        if spec.options:
            raise BadOption(
                f"{spec.text}: '{name}' is a network already; it takes no options.",
                "Name its class or a function that builds it.",
            )
        return Found(spec, lambda: thing, shape, instance=thing)
    if not callable(thing):
        raise BadOption(
            f"{spec.text}: '{name}' is a {type(thing).__name__};",
            "expected a class, a function that builds a network, or a network.",
        )
    keywords = _keywords(spec, name, thing)

    def make() -> nn.Module:
        with surroundings(), _running(spec.text):
            built = thing(**keywords)
        if not isinstance(built, nn.Module):
            raise BuildFailed(f"{spec.text}: '{name}' returns a {type(built).__name__}, not a torch.nn.Module.")
        return built

    return Found(spec, make, shape)


def _content(thing: Any) -> dict[str, Any]:
    return dict(getattr(thing, "__dict__", {}))


def _keywords(spec: ModelSpec, name: str, call: Callable[..., Any]) -> dict[str, Any]:
    """The options, checked against the signature; BadOption where a required argument has none."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return spec.keywords
    given = check_options(spec.text.partition("(")[0], call, spec.keywords)
    open_ = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.name not in given
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.POSITIONAL_ONLY)
    ]
    if open_:
        example = ", ".join(f"{wanted}=..." for wanted in open_)
        raise BadOption(
            f"{spec.text}: '{name}' needs {' and '.join(open_)}.", f"Write '{spec.text.partition('(')[0]}({example})'."
        )
    return given


def _declared_shape(spec: ModelSpec, thing: Any) -> tuple[int, ...]:
    """The input (C, H, W): the callable's own attribute `input_shape` where it has one, else 3 x 224 x 224."""
    declared = getattr(thing, "input_shape", None)
    plain = isinstance(declared, tuple | list) and all(type(length) is int and length > 0 for length in declared)
    shape = tuple(declared) if plain and declared is not None else (3, 224, 224)
    if spec.resolution is not None:
        shape = (*shape[:-2], spec.resolution, spec.resolution)
    return shape
