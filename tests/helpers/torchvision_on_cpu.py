"""Import torchvision beside a torch that cannot load its compiled operators.

Wheels of torchvision are built for CUDA. On a CPU-only torch their library does not load, and the import
stops where fake kernels are registered for operators that nobody has declared. The network definitions are
plain Python and need none of those operators, so declaring their names is enough.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import torch

_declarations: list[torch.library.Library] = []  # an operator lives as long as its Library object


def import_torchvision() -> ModuleType | None:
    """torchvision, or None where it is not installed."""
    return importlib.import_module("torchvision") if declare() else None


def declare() -> bool:
    """Declare torchvision's operators where they cannot be loaded; False where torchvision is not installed."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    package = Path(spec.origin).parent
    if not _operators_load(package):
        _declare_operators(package)
    return True


def _operators_load(package: Path) -> bool:
    libraries = [path for path in package.glob("_C*") if path.suffix in (".so", ".pyd")]
    try:
        for path in libraries:
            torch.ops.load_library(str(path))
    except (OSError, RuntimeError):
        return False
    return bool(libraries)


def _declare_operators(package: Path) -> None:
    if _declarations:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    registrations = (package / "_meta_registrations.py").read_text()
    for name in sorted(set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"', registrations))):
        library.define(f"{name}(Tensor x) -> Tensor")
    _declarations.append(library)
