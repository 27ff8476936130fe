"""With this folder on PYTHONPATH, a new Python can import torchvision (and so timm) beside a CPU-only torch."""

from __future__ import annotations

import importlib.abc
import sys
from pathlib import Path


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Makes everything ready when torchvision is first asked for: torch is not imported before that."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            sys.path.append(str(Path(__file__).parents[1]))
            import torchvision_on_cpu

            torchvision_on_cpu.declare()


sys.meta_path.insert(0, _BeforeTorchvision())
