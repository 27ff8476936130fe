"""Our counts beside torchinfo's, fvcore's and torch's FlopCounterMode's, every difference explained.

The only importer of torchinfo and fvcore. The tools run on the network itself: torchinfo and FlopCounterMode
without arithmetic, on meta; fvcore traces by JIT, which needs a real forward pass (on zeros, where no weights
exist).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import logging
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..base import units
from ..base.errors import BadOption
from ..counting import counts
from ..counting.copying import Copier
from ..counting.meta import WithoutValues, constant, duplicate, stand_in
from ..counting.recording import walk
from ..counting.surroundings import surroundings
from ..counting.trace import Trace, set_mode
from ..models.spec import ModelSpec
from ..results.profile import Shape
from . import rules as audit_rules
from .opinions import Audit, Opinion, Term


class Count(NamedTuple):
    """What a tool says."""

    total: int
    parameters: int | None = None


class _Tool(NamedTuple):
    """How a tool is asked, what it calls its unit, and our rules for it."""

    name: str
    package: str
    unit: str
    ask: Callable[[nn.Module, Tensor], Count]
    rules: Callable[[Trace], tuple[Term, ...]]
    real: bool = False


def audit(
    model: str | ModelSpec | nn.Module, *, batch_size: int | None = None, input_shape: Shape | None = None
) -> Audit:
    """Every tool's opinion on one network in inference mode, for one tensor of (batch_size, *input_shape).

    A tool that fails keeps its place, with its own message. Raises what `archprof.profile` raises.
    """
    subject = counts.subject_of(model, input_shape)
    profile, found = counts.recorded(subject, batch_size)
    x = _only_input(subject, profile.batch_size)
    return Audit(profile, tuple(opinion_of(tool, subject.module, x, profile.macs, found) for tool in TOOLS))


def _only_input(subject: counts.Subject, batch_size: int) -> Tensor:
    """The tensor that the network is fed: other tools are asked about one. Raises BadOption where there are several."""
    args, kwargs = subject.given(batch_size)
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    first = next(iter(inspect.signature(subject.module.forward).parameters), None)
    if len(tensors) != 1 or (kwargs and next(iter(kwargs)) != first):
        named = ", ".join(kwargs) or f"{len(tensors)} tensors"
        raise BadOption(
            f"{subject.name} is fed with {named}, and other tools are asked about one tensor;",
            "archprof show counts it all the same.",
        )
    return tensors[0]


def opinion_of(tool: _Tool, module: nn.Module, x: Tensor, ours: int, found: Trace) -> Opinion:
    """What a tool says of the module at this input, beside `ours`, with the gap explained by what the pass recorded."""
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


def _ask(tool: _Tool, module: nn.Module, x: Tensor) -> Count:
    """The tool's answer on a copy of the module."""
    nbytes = sum(tensor.nbytes for tensor in module.parameters())
    if tool.real and nbytes > counts.MOST_REAL_BYTES:
        raise MemoryError(f"it computes, and the weights would take {units.size(nbytes)}")
    with surroundings(walk(module)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = Copier(_with_values if tool.real else stand_in, constant).copy(module)
        set_mode(walk(twin), False)
        if tool.real:
            device = next((p.device for p in twin.parameters()), torch.device("cpu"))
            return tool.ask(twin, torch.zeros(x.shape, dtype=x.dtype, device=device))
        with torch.no_grad(), WithoutValues(counts.SHARED):
            return tool.ask(twin, x)


def _with_values(tensor: Tensor) -> Tensor:
    """The tensor, or zeros in the shape of one on meta; a parameter stays one."""
    return duplicate(torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor)


def _torchinfo(module: nn.Module, x: Tensor) -> Count:
    import torchinfo

    device = next((parameter.device for parameter in module.parameters()), x.device)  # tokens are real, weights are not
    summary = torchinfo.summary(module, input_data=x, verbose=0, device=device)
    return Count(int(summary.total_mult_adds), int(summary.total_params))


def _fvcore(module: nn.Module, x: Tensor) -> Count:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(module, x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    log = logging.getLogger("fvcore")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return Count(int(analysis.total()), int(parameter_count(module)[""]))
    finally:
        log.setLevel(level)


def _flop_counter_mode(module: nn.Module, x: Tensor) -> Count:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(x)
    return Count(int(counter.get_total_flops()))


TOOLS = (
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
