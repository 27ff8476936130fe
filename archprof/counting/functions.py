"""What networks ask of torch's functions, answered as on the device where the network is.

Below them the dispatcher sees operators; what a tensor says of itself (`x.device`, `x.is_meta`, `x.numpy()`) never gets
that far, and a network that asks must not find out that it is being counted.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .meta import NeedsValues
from .values import Values

_META = torch.device("meta")

_Answer = Callable[["Functions", Any, tuple[Any, ...], dict[str, Any]], Any]


class Functions(TorchFunctionMode):
    """While this mode is on, tensors without values say that they are on `device`.

    `values` are those that are known all the same. `four_products`: (a + bi) * (c + di) takes the four convolutions ac,
    bd, ad and bc. torch spends three and a few more additions (Gauss's trick), while its complex matrix products take
    four; a count must not depend on that. `refused` is the first request that only values could answer, `left_out` says
    what does not run.
    """

    def __init__(self, device: torch.device, four_products: bool, values: Values) -> None:
        super().__init__()
        self.values = values
        # an object of our own: where it comes back as an argument, a tensor without values is asked for
        self.device = torch.device(device.type, device.index) if device.index is not None else torch.device(device.type)
        self.answers = _ANSWERS | dict.fromkeys(_CONVOLUTIONS, _complex) if four_products else _ANSWERS
        self.refused: NeedsValues | None = None
        self.left_out = ""
        if "torch._higher_order_ops.flex_attention" in sys.modules:
            self.answers = {**self.answers, torch.ops.higher_order.flex_attention: _flexible_attention}

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not kwargs:
            kwargs = {}
        elif kwargs.get("device") is self.device:
            kwargs = {**kwargs, "device": _META}
        answer = self.answers.get(func)
        if answer is not None:
            return answer(self, func, args, kwargs)
        if type(func) is types.FunctionType and not func.__globals__["__name__"].startswith("torch"):
            func = _original(func)
        return func(*args, **kwargs) if kwargs else func(*args)

    def refuse(self, said: str) -> NeedsValues:
        """The error for a request that only values could answer."""
        error = NeedsValues(said)
        self.refused = self.refused or error
        return error


def _original(patched: types.FunctionType) -> types.FunctionType:
    """The function of torch that is asking, where somebody has put another in its place.

    torch's functions ask for themselves by name, and would be given the one that has just called them.
    """
    frame = sys._getframe(2)
    while frame.f_globals["__name__"] == "torch.overrides" and frame.f_back is not None:
        frame = frame.f_back
    code = frame.f_code
    return patched if code.co_freevars else types.FunctionType(code, frame.f_globals)


def _device(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return mode.device if args[0].is_meta else func(*args)


def _on(kind: str) -> _Answer:
    def answer(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return bool(mode.device.type == kind if args[0].is_meta else func(*args))

    return answer


def _get_device(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args[0].is_meta:
        return func(*args, **kwargs)
    return -1 if mode.device.type == "cpu" else mode.device.index or 0


def _type(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = func(*args, **kwargs)
    if len(args) > 1 or kwargs or not args[0].is_meta:
        return found
    return found.replace(".meta", "" if mode.device.type == "cpu" else f".{mode.device.type}")


def _to(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`x.to(y.device)`, and `x.to("cpu")` of what is there already."""
    here = args[0].is_meta

    def same(value: Any) -> bool:
        return value is mode.device or (
            here and isinstance(value, str | torch.device) and torch.device(value) == mode.device
        )

    if "device" in kwargs and same(kwargs["device"]):
        kwargs = {**kwargs, "device": _META}
    flags = [arg for arg in args if type(arg) is bool]  # non_blocking, copy
    copied = kwargs.get("copy") or flags[1:] == [True]
    return _at_home(mode, args[0], func(*[_META if same(arg) else arg for arg in args], **kwargs), copied)


def _type_as(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _at_home(mode, args[0], func(*args, **kwargs), False)


def _at_home(mode: Functions, given: Tensor, found: Any, copied: Any) -> Any:
    """What a real tensor becomes on the device: on the CPU it is there already, and stays the same memory."""
    if mode.device.type == "cpu" and not copied and found.is_meta and not given.is_meta:
        mode.values.share(found, given)
    return found


def _cpu(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args[0].is_meta and mode.device.type == "cpu" else func(*args, **kwargs)


def _values(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensor = args[0]
    if tensor.is_meta:
        known = mode.values.of(tensor) if func.__name__ in _COPIED else None
        if known is None:
            raise mode.refuse(f"Tensor.{func.__name__}() is called")
        tensor = known
    return func(tensor, *args[1:], **kwargs)


def _made(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`torch.tensor([3, 4], device=x.device)`: on meta torch would drop the numbers before anybody sees them."""
    if kwargs.get("device") is not _META:
        return func(*args, **kwargs)
    given = args[0] if args else None
    if isinstance(given, Tensor):
        return _at_home(mode, given, func(*args, **kwargs), func is torch.tensor or kwargs.get("copy"))
    needs = kwargs.get("requires_grad", False)
    made = func(*args, **{name: value for name, value in kwargs.items() if name not in ("device", "requires_grad")})
    found = _at_home(mode, made, made.to(_META), False)
    return found.requires_grad_() if needs else found


#: What gives a tensor's values, or the memory where they are.
_NAMES_OF_VALUES = (
    "data_ptr", "numpy", "tolist", "__array__", "__dlpack__", "__format__", "storage", "untyped_storage",
)  # fmt: skip

#: Those that give the values themselves.
_COPIED = frozenset({"numpy", "tolist", "__array__", "__format__"})

_CONVOLUTIONS = (
    torch.conv1d,
    torch.conv2d,
    torch.conv3d,
    torch.conv_transpose1d,
    torch.conv_transpose2d,
    torch.conv_transpose3d,
)


def _complex(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) < 2 or not args[1].is_complex():
        return func(*args, **kwargs)
    x, weight, *rest = args
    bias = rest.pop(0) if rest else kwargs.pop("bias", None)

    def real(a: Any, b: Any) -> Any:
        return func(a, b, None, *rest, **kwargs)

    out = torch.complex(
        real(x.real, weight.real) - real(x.imag, weight.imag), real(x.real, weight.imag) + real(x.imag, weight.real)
    )
    return out if bias is None else out + bias.reshape(-1, *[1] * (weight.dim() - 2))


class _Forward(torch.autograd.Function):
    """Three tensors' attention, with gradients of their shapes."""

    @staticmethod
    def forward(ctx: Any, call: Any, *tensors: Tensor) -> Any:
        ctx.save_for_backward(*tensors)
        out: tuple[Tensor, ...] = call()
        ctx.mark_non_differentiable(*out[1:])
        return out

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        return None, *map(torch.empty_like, ctx.saved_tensors)


def _flexible_attention(mode: Functions, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Forward alone: torch has no backward pass of it on the CPU, and what it traces instead ends the process."""
    if not torch.is_grad_enabled() or not any([tensor.requires_grad for tensor in args[:3]]):
        return func(*args, **kwargs)
    mode.left_out = "the backward pass of FlexAttention"
    return _Forward.apply(lambda: func(*args, **kwargs), *args[:3])


def _getter(name: str) -> Any:
    return getattr(Tensor, name).__get__


_ANSWERS: dict[Any, _Answer] = {
    _getter("device"): _device,
    **{
        _getter(f"is_{kind}"): _on(kind)
        for kind in ("meta", "cpu", "cuda", "mps", "xpu")
        if hasattr(Tensor, f"is_{kind}")
    },
    Tensor.get_device: _get_device,
    Tensor.type: _type,
    Tensor.to: _to,
    Tensor.type_as: _type_as,
    Tensor.cpu: _cpu,
    **{getattr(Tensor, name): _values for name in _NAMES_OF_VALUES},
    torch.tensor: _made,
    torch.as_tensor: _made,
    torch.asarray: _made,
}
