"""Our counts beside torchinfo's, fvcore's and torch's FlopCounterMode's, every difference explained.

The only importer of torchinfo and fvcore. The tools run on the network itself: torchinfo and FlopCounterMode
without arithmetic, on meta; fvcore traces by JIT, which needs a real forward pass (on zeros, where no weights
exist).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..counting import counts
from ..counting.inputs import default_inputs
from ..counting.meta import WithoutValues
from ..counting.modules import in_mode, replace_tensors, untouched, walk
from ..counting.trace import Trace
from ..models.spec import ModelSpec
from ..results.profile import Shape
from . import rules as audit_rules
from .opinions import Audit, Opinion, Term


class _Count(NamedTuple):
    """What a tool says."""

    total: int
    parameters: int | None = None


class _Tool(NamedTuple):
    """How a tool is asked, what it calls its unit, and our rules for it."""

    name: str
    package: str
    unit: str
    ask: Callable[[nn.Module, Tensor], _Count]
    rules: Callable[[Trace], tuple[Term, ...]]
    real: bool = False


def audit(model: str | ModelSpec | nn.Module, *, batch_size: int = 1, input_shape: Shape | None = None) -> Audit:
    """Every tool's opinion on one network in inference mode, for one tensor of (batch_size, *input_shape).

    A tool that fails keeps its place, with its own message. Raises what `archprof.profile` raises.
    """
    subject = counts.subject_of(model, input_shape)
    profile, found = counts.recorded(subject, batch_size)
    (x,) = default_inputs(subject.module, batch_size, subject.input_shape)
    return Audit(profile, tuple(_opinion(tool, subject.module, x, profile.macs, found) for tool in _TOOLS))


def _opinion(tool: _Tool, module: nn.Module, x: Tensor, ours: int, found: Trace) -> Opinion:
    try:
        version = importlib.metadata.version(tool.package)
    except importlib.metadata.PackageNotFoundError:
        return Opinion(tool.name, "", tool.unit, ours, error=f"{tool.package} is not installed")
    try:
        count = _ask(tool, module, x)
    except Exception as error:
        reason = error.__cause__ or error
        said = " ".join(str(reason).split())[:160] or type(reason).__name__
        return Opinion(tool.name, version, tool.unit, ours, error=f"it stops with {type(reason).__name__}: {said}")
    return Opinion(tool.name, version, tool.unit, ours, count.total, tool.rules(found), count.parameters)


def _ask(tool: _Tool, module: nn.Module, x: Tensor) -> _Count:
    """The tool's answer on a module that comes back as it was."""
    parts = walk(module)
    with in_mode(parts, False), untouched(parts), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if tool.real:
            replace_tensors(parts, _zeros, on_meta=True)
            device = next((p.device for p in module.parameters()), torch.device("cpu"))
            return tool.ask(module, torch.zeros(x.shape, dtype=x.dtype, device=device))
        replace_tensors(parts)
        with torch.no_grad(), WithoutValues(counts.SHARED):
            return tool.ask(module, x)


def _zeros(tensor: Tensor) -> Tensor:
    """Zeros in the shape of a tensor on meta; a parameter stays one."""
    zeros = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return nn.Parameter(zeros, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else zeros


def _torchinfo(module: nn.Module, x: Tensor) -> _Count:
    import torchinfo

    summary = torchinfo.summary(module, input_data=x, verbose=0, device=x.device)
    return _Count(int(summary.total_mult_adds), int(summary.total_params))


def _fvcore(module: nn.Module, x: Tensor) -> _Count:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(module, x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    log = logging.getLogger("fvcore")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return _Count(int(analysis.total()), int(parameter_count(module)[""]))
    finally:
        log.setLevel(level)


def _flop_counter_mode(module: nn.Module, x: Tensor) -> _Count:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(x)
    return _Count(int(counter.get_total_flops()))


_TOOLS = (
    _Tool("torchinfo", "torchinfo", "mult-adds", _torchinfo, audit_rules.torchinfo),
    _Tool("fvcore", "fvcore", "flops, one for a mult-add", _fvcore, audit_rules.fvcore, real=True),
    _Tool(
        "FlopCounterMode",
        "torch",
        "flops, two for a mult-add",
        _flop_counter_mode,
        audit_rules.flop_counter_mode,
    ),
)
