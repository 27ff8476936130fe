"""How long each operator call of a pass takes by itself, measured once on this machine and kept by its arguments.

In a network a call finds its inputs where the call before has just written them, and its weights where nothing has
touched them for a whole pass; a loop over one call would keep all of them in the nearest caches, and take less time.
So calls take turns: inputs are copied just before, weights are cut from a pool of memory several times as large as the
last cache, at a new place each time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ..base.kept import Store, store
from ..costs.kinds import is_layer
from ..counting.shapes import Op, describe
from ..results import statistics
from ..results.conditions import Conditions
from . import device
from .ceilings import cpu_caches
from .scratch import runs_alone

#: Times that each call is timed, the fewer the longer it takes: as many as fit into so many seconds, within bounds.
EACH_S, FEWEST, MOST = 0.3, 5, 15

#: Of a call's times this quantile counts: what disturbs makes a call longer, never shorter.
QUANTILE = 0.25

#: Characters of a call's key before its hash.
LONGEST_KEY = 300

#: A call takes at least so long, whatever a coarse clock says.
LEAST_S = 1e-7

#: Bytes of a last-level cache whose size the kernel does not tell.
USUAL_CACHE = 32 << 20

#: Weights lie in a pool so many times as large as the last-level cache, each time at another place.
POOL = 3

#: So many of the calls that are known already are timed again beside new ones: they tell how fast the machine is now.
ANCHORS = 8

#: Elements of a tensor of whole numbers (indices) whose values are kept for the call to be made again.
MOST_VALUES = 1 << 20


class Laid(NamedTuple):
    """A tensor as it lay in memory; `weight`: it is a parameter or buffer, or a view of one. `values` of indices."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    weight: bool
    values: Tensor | None = None

    @property
    def extent(self) -> int:
        """Elements of memory from its first to its last."""
        return 0 if 0 in self.size else 1 + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))

    def __repr__(self) -> str:
        kind = "w" if self.weight else ""
        return f"{kind}{str(self.dtype).removeprefix('torch.')}{list(self.size)}{list(self.stride)}"


class Call(NamedTuple):
    """An operator call that can be made again. `key` is equal where everything that shapes its time is."""

    key: str
    op: Op
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Recorder(TorchDispatchMode):
    """Writes down the calls of a real pass."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        owned = [*module.parameters(), *module.buffers()]
        self.weights = {tensor.untyped_storage()._cdata for tensor in owned}
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        laid, named = self._laid(args), self._laid(kwargs)  # before an operator writes into them
        out = func(*args, **kwargs)
        op = describe(func, tuple(args), kwargs, out)
        if is_layer(op):
            self.calls.append(Call(_key(f"{func} {laid!r} {sorted(named.items())!r}"), op, laid, named))
        return out

    def _laid(self, values: Any) -> Any:
        return pytree.tree_map_only(Tensor, self._one, values)

    def _one(self, tensor: Tensor) -> Laid | Tensor:
        if tensor.layout is not torch.strided or tensor.is_nested or type(tensor) not in (Tensor, nn.Parameter):
            return tensor
        values = None
        if not (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() <= MOST_VALUES:
            values = tensor.detach().clone()
        weight = tensor.untyped_storage()._cdata in self.weights
        return Laid(tuple(tensor.shape), tensor.stride(), tensor.dtype, weight, values)


def _key(text: str) -> str:
    """The text, of which a hash stands for the rest where it is long: a concatenation may have hundreds of inputs."""
    if len(text) <= LONGEST_KEY:
        return text
    return f"{text[:LONGEST_KEY]}... {hashlib.sha256(text.encode()).hexdigest()}"


def calls_of(module: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Call]:
    """The operator calls of one forward pass, views and the like left out. The network is run, on the CPU."""
    recorder = _Recorder(module)
    with torch.no_grad(), recorder:
        module(*inputs, **kwargs)
    return recorder.calls


class OperatorTimes:
    """Seconds of calls under these conditions: kept ones, and those that are measured here."""

    def __init__(
        self,
        conditions: Conditions,
        kept: Store,
        *,
        clock: Callable[[], float] | None = None,
        tell: Callable[[str], None] = lambda doing: None,
    ) -> None:
        self.conditions, self.kept, self.tell = conditions, kept, tell
        self.clock = clock or clock_for(conditions.threads or torch.get_num_threads())
        self.failed: dict[str, str] = {}  # key -> the operator that cannot be run by itself
        self.measured = 0

    def seconds(self, call: Call) -> float | None:
        """Of a call that is known; None where it could not be run by itself."""
        times = _valid(self.kept.get(call.key))
        return None if times is None else statistics.quantile(times, QUANTILE)

    def measure(self, calls: Iterable[Call]) -> None:
        """Measure those of the calls that are not known yet, in turns, so that the machine's drift meets all alike.

        What is kept came about at another time, when the machine may have been slower or faster: some known calls take
        their turns too, and the new times are brought to the speed at which those were kept.
        """
        distinct = {call.key: call for call in calls}
        known = {key: seen for key, call in distinct.items() if (seen := self.seconds(call))}
        missing = [call for key, call in distinct.items() if key not in known and key not in self.failed]
        if not missing:
            return
        anchors = sorted(known, key=lambda key: -known[key])[:ANCHORS]
        with device.applied(self.conditions), torch.inference_mode():
            times = self._in_turns([*missing, *(distinct[key] for key in anchors)])
        slower = [statistics.quantile(times[key], QUANTILE) / known[key] for key in anchors if key in times]
        factor = statistics.median(slower) if slower else 1.0
        for call in missing:
            if call.key in times:
                self.kept.put(call.key, [seconds / factor for seconds in times[call.key]])
                self.measured += 1

    def _in_turns(self, calls: Sequence[Call]) -> dict[str, list[float]]:
        pool = _Pool(calls)
        times: dict[str, list[float]] = {}
        left: dict[str, int] = {}
        for place, call in enumerate(calls, 1):
            self.tell(f"measuring operators, {place} of {len(calls)}")
            if not runs_alone(call.op):
                self.failed[call.key] = call.op.name
                continue
            try:
                self._once(call, pool)  # libraries choose and prepare at the first call
                times[call.key] = [self._once(call, pool)]
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                self.failed[call.key] = call.op.name
                continue
            left[call.key] = min(max(int(EACH_S / times[call.key][0]), FEWEST), MOST) - 1
        while turn := [call for call in calls if left.get(call.key)]:
            self.tell(f"measuring operators, {len(turn)} of {len(calls)} once more")
            for call in turn:
                left[call.key] -= 1
                times[call.key].append(self._once(call, pool))
        return times

    def _once(self, call: Call, pool: _Pool) -> float:
        """Seconds of the call, with weights at a new place and inputs that were written just before."""
        args, kwargs = pool.given(call.args), pool.given(call.kwargs)
        func, clock = call.op.func, self.clock
        start = clock()
        func(*args, **kwargs)
        return max(clock() - start, LEAST_S)


def clock_for(threads: int) -> Callable[[], float]:
    """A clock that stands still while a thread computes for somebody else, where one thread computes for us.

    Short calls slip through between the time slices of other work, long ones cannot, and on a wall clock these would
    seem too slow beside those. Several threads wait for one another, which no clock of one of them tells from idling.
    """
    fine = time.get_clock_info("thread_time").resolution <= LEAST_S
    return time.thread_time if threads == 1 and fine else time.perf_counter


class _Pool:
    """Memory from which tensors are cut: weights at a new place each time, inputs copied to fresh memory."""

    def __init__(self, calls: Sequence[Call]) -> None:
        leaves = [leaf for call in calls for leaf in pytree.tree_leaves((call.args, call.kwargs), is_leaf=_is_laid)]
        laid = [leaf for leaf in leaves if isinstance(leaf, Laid)]
        most: dict[torch.dtype, int] = {}
        for leaf in laid:
            least = POOL * last_cache_bytes() // leaf.dtype.itemsize if leaf.weight else 0
            most[leaf.dtype] = max(most.get(leaf.dtype, 0), leaf.extent + 1, least)
        # positive, so that variances are; near 1, so that nothing fades away
        self.pools = {dtype: _filled(size, dtype) for dtype, size in most.items()}
        self.places = dict.fromkeys(most, 0)

    def given(self, values: Any) -> Any:
        """The same structure with a tensor for each that is described."""

        def real(leaf: Any) -> Any:
            return self._real(leaf) if isinstance(leaf, Laid) else leaf

        return pytree.tree_map(real, values, is_leaf=_is_laid)

    def _real(self, laid: Laid) -> Tensor:
        pool = self.pools[laid.dtype]
        if laid.values is not None:
            return laid.values.clone()
        if not laid.weight:
            own = torch.empty_strided(laid.size, laid.stride, dtype=laid.dtype)
            return own.copy_(torch.as_strided(pool, laid.size, laid.stride, 0))
        # a page apart at least, and on the boundary of a cache's line, as memory from an allocator is
        step = -(-max(laid.extent, 1024) // 1024) * 1024
        if self.places[laid.dtype] + step > pool.numel():
            self.places[laid.dtype] = 0
        place = self.places[laid.dtype]
        self.places[laid.dtype] += step
        return torch.as_strided(pool, laid.size, laid.stride, place)


def _is_laid(value: Any) -> bool:
    return isinstance(value, Laid)


def _filled(size: int, dtype: torch.dtype) -> Tensor:
    if not dtype.is_floating_point and not dtype.is_complex:
        return torch.zeros(size, dtype=dtype)
    return (
        torch.rand(min(size, 1 << 20), generator=torch.Generator().manual_seed(0))
        .add_(0.5)
        .to(dtype)
        .repeat(-(-size // min(size, 1 << 20)))[:size]
        .contiguous()
    )


def _valid(kept: Any) -> list[float] | None:
    """What is kept of a call, if it is what was written: positive numbers."""
    if not isinstance(kept, list) or not kept or not all(type(each) is float and 0 < each < 1e6 for each in kept):
        return None
    return kept


def last_cache_bytes() -> int:
    """Bytes of the last-level cache; USUAL_CACHE where the kernel tells of none."""
    return max([cache.size_bytes for cache in cpu_caches(1)], default=USUAL_CACHE)


def opened(conditions: Conditions) -> Store:
    """What is kept of this machine under these conditions; a caller's process has it for as long as it lives."""
    return store("operators", device.environment(conditions)["fingerprint"])
