"""The networks of a trial: built from their names with as many outputs as there are classes, weights drawn anew."""

from __future__ import annotations

import copy
import hashlib
import io
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .. import models
from ..base.errors import BadFile, BadOption, ForwardFailed, MissingPackage, one_line, printable
from ..models import given
from ..models.spec import LARGEST_RESOLUTION, parse
from .data import check_memory
from .isolation import code_of, isolated, seeded

#: What a network takes: (C, H, W).
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """A network that can be built again and again. `name` shows it, with the options that it was told.

    Where it was named and not handed over, `name` builds the very same one anywhere archprof takes names. `code` is the
    fingerprint of what it is made of.
    """

    name: str
    found: models.Found
    input_shape: Shape
    parameters: int
    code: str

    def build(self, seed: int) -> nn.Module:
        """With weights as its own initialisers draw them from that seed; torch's generator is left as it was."""
        with seeded(seed):
            module = self.found.build()
            if any(map(is_lazy, module.parameters())):  # their shapes, and values, follow from a first image
                with torch.inference_mode(False), torch.no_grad():
                    module.eval()(torch.zeros(2, *self.input_shape))
            return module


def shown(model: Any) -> str:
    """What a model that a caller handed over is called: its text, or the name of its class or function."""
    if isinstance(model, str):
        return model
    return type(model).__name__ if isinstance(model, nn.Module) else given.shown(model)


def with_options(text: str, **options: Any) -> str:
    """The model's name with these keyword arguments, in place of those of the same names."""
    spec = parse(text)
    bare = spec.text.partition("(")[0].partition("@")[0].strip()
    inner = _listed({**spec.keywords, **options})
    return f"{bare}({inner}){f'@{spec.resolution}' if spec.resolution else ''}"


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_written(value)}" for key, value in options.items())


def _written(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) else repr(value)


def network(
    model: Any,
    classes: int,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | None = None,
) -> Network:
    """The network that a name, a class or a function means, with these keyword arguments, shown under `name`.

    It is told the number of classes where it has another number of outputs, or cannot be built without. Its input is
    `input_shape`, its own by default.

    Raises what looking for it and building it raise; ForwardFailed where one image does not pass; BadOption where it
    is no classifier of so many classes and cannot be told to be.
    """
    wanted, shape = dict(options or {}), _shape(input_shape)
    fixed = "num_classes" in wanted or (isinstance(model, str) and "num_classes" in parse(model).keywords)
    try:
        found, outputs = _tried(model, name, wanted, {}, shape)
    except BadOption as first:
        if fixed:
            raise
        return _told(model, name, wanted, classes, shape, otherwise=first)
    if outputs == classes:
        return found
    if fixed:
        raise BadOption(
            f"{found.name} has {outputs} outputs; the data have {classes} classes.", f"Give num_classes={classes}."
        )
    reason = BadOption(
        f"{found.name} has another number of outputs than the {classes} classes of the data, and takes no "
        "option num_classes;",
        "expected a network whose output is (batch, classes).",
    )
    return _told(model, name, wanted, classes, shape, otherwise=reason)


def _told(
    model: Any, name: str | None, options: Mapping[str, Any], classes: int, shape: Shape | None, otherwise: BadOption
) -> Network:
    """The network, told the number of classes. Raises `otherwise` where it cannot be."""
    try:
        found, outputs = _tried(model, name, options, {"num_classes": classes}, shape)
    except BadOption as reason:
        raise (otherwise if "option 'num_classes'" in reason.message else reason) from None
    if outputs != classes:
        raise otherwise
    return found


def _shape(shape: Sequence[int] | None) -> Shape | None:
    """The input shape as asked for. Raises BadOption for one that is no image."""
    if shape is None:
        return None
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if len(sizes) != 3 or not all(type(size) is int and 0 < size <= LARGEST_RESOLUTION for size in sizes):
        said = "x".join(printable(str(size), 20) for size in sizes[:6])
        raise BadOption(f"input shape {said} is not one of images;", "expected C,H,W such as 3,224,224.")
    return sizes[0], sizes[1], sizes[2]


def _tried(
    model: Any, name: str | None, options: Mapping[str, Any], told: Mapping[str, Any], shape: Shape | None
) -> tuple[Network, int]:
    """The network, built once, and how many outputs it has for one image. What it is `told` beside its options is part
    of a name that archprof finds, and of no other."""
    if isinstance(model, nn.Module):
        raise BadOption(
            f"{name or shown(model)} has its weights already, which cannot be drawn anew;",
            "hand over its class, or a function that builds it. archprof.evaluate takes the weights as they are.",
        )
    every = {**options, **told}
    with isolated():  # code of one's own is run when it is imported
        if isinstance(model, str):
            text = with_options(model, **every) if every else model
            found = models.find(text)
        else:
            text = _called(shown(model), options)
            found = given.found_callable(model, **every)
    if name is not None:
        text = _called(name, options)
    if found.instance is not None or found.source == "exported":
        raise BadOption(f"{text} has its weights already, which cannot be drawn anew;", "give the code that builds it.")
    own = found.input_shape
    shape = shape or _shape_of(found, text)
    check_memory(8 * math.prod(shape), "Give a smaller --input-shape, or NAME@RESOLUTION.")  # two images in float32
    with isolated():
        module = found.build()
        try:
            outputs = outputs_for(module, shape, text)
            parameters, code = sum(each.numel() for each in module.parameters()), code_of(found, module)
        except ForwardFailed as reason:
            if found.source != "zoo" or shape[0] == own[0]:
                raise
            way = f"It is made for {own[0]} channels: name it with in_channels={shape[0]}, where it has that option."
            raise ForwardFailed(reason.message, way) from None
    return Network(text, found, shape, parameters, code), outputs


def _called(name: str, options: Mapping[str, Any]) -> str:
    return f"{name}({_listed(options)})" if options else name


def _shape_of(found: models.Found, name: str) -> Shape:
    """Its own input, (C, H, W). Raises BadOption where that is no image."""
    if len(found.input_shape) != 3:
        raise BadOption(f"{name} takes no images of (channels, height, width).", "Trials are of image classifiers.")
    channels, height, width = found.input_shape
    return channels, height, width


def outputs_for(module: nn.Module, shape: Shape, name: str) -> int:
    """How many classes the module, in evaluation, tells apart. Raises ForwardFailed, BadOption."""
    try:
        with torch.inference_mode():
            output = main_output(module.eval()(torch.zeros(2, *shape)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit too
        raise ForwardFailed(
            f"{name} does not take images of {'x'.join(map(str, shape))}: {one_line(error)}.",
            "--input-shape C,H,W or NAME@RESOLUTION chooses another size, where the network allows it.",
        ) from error
    if output.dim() != 2 or len(output) != 2:
        raise BadOption(
            f"the output of {name} for two images has the shape {tuple(output.shape)};", "expected (2, classes)."
        )
    return int(output.shape[1])


def main_output(output: Any) -> torch.Tensor:
    """The classifier's own logits: the first of several outputs (auxiliary heads stand after it)."""
    return outputs_of(output)[0]


def outputs_of(output: Any) -> list[torch.Tensor]:
    """Every tensor of an output, the classifier's own first. Raises TypeError where there is none."""
    if isinstance(output, torch.Tensor):
        return [output]
    parts = (
        list(output.values()) if isinstance(output, dict) else list(output) if isinstance(output, tuple | list) else []
    )
    found = [part for part in parts if isinstance(part, torch.Tensor)]
    if not found:
        raise TypeError(f"an output of type {type(output).__name__} holds no tensor")
    return found


def handed_over(module: nn.Module, classes: int, input_shape: Sequence[int] | None) -> Network:
    """A network with its weights, of which a copy is built. Raises BadOption where it cannot be copied, or is no
    classifier of so many classes; ForwardFailed."""
    name = shown(module)
    try:
        kept = copy.deepcopy(module).eval()
    except Exception as error:
        raise BadOption(
            f"{name} cannot be copied: {one_line(error)}.", "Give its class, and its state dict as weights."
        ) from error
    found = replace(given.found_callable(lambda: copy.deepcopy(kept)), input_shape=_declared(module))
    shape = _shape(input_shape) or _shape_of(found, name)
    with isolated(kept):
        outputs = outputs_for(kept, shape, name)
    if outputs != classes:
        raise BadOption(f"{name} has {outputs} outputs; the data have {classes} classes.", "They have to agree.")
    return Network(name, found, shape, sum(each.numel() for each in kept.parameters()), "")


def _declared(module: nn.Module) -> tuple[int, ...]:
    return given.found_callable(module).input_shape


def weights_of(model: Any, weights: Any) -> tuple[dict[str, torch.Tensor], str, str]:
    """The state dict to evaluate, what to call it, and its fingerprint. Raises BadFile, BadOption, MissingPackage."""
    if isinstance(model, nn.Module):
        if weights is not None:
            raise BadOption(
                f"{shown(model)} has its weights already; others are given beside it.",
                "Load them into it, or give its class.",
            )
        return {}, "handed over", _digest(model.state_dict())
    if weights is None:
        raise BadOption(
            f"no weights are given for {shown(model)};", "name a file, or hand over a network that has some."
        )
    if isinstance(weights, str | Path):
        return (
            read_weights(str(weights)),
            Path(weights).name,
            hashlib.sha256(Path(weights).read_bytes()).hexdigest()[:12],
        )
    if not isinstance(weights, Mapping) or not all(isinstance(each, torch.Tensor) for each in weights.values()):
        raise BadOption(
            f"weights cannot be of type {printable(type(weights).__name__, 60)};", "expected a file or a state dict."
        )
    state = {str(key): value for key, value in weights.items()}
    return state, "a state dict", _digest(state)


def _digest(state: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(key.encode("utf-8", "backslashreplace"))
        if isinstance(value, torch.Tensor):
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def read_weights(path: str) -> dict[str, torch.Tensor]:
    """A state dict from a .safetensors file, or one that torch.save wrote, read without running code.

    Raises BadFile, MissingPackage.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as reason:
        raise BadFile(
            f"'{path}' cannot be read: {reason.strerror}.", "Expected .safetensors, or a state dict."
        ) from None
    if path.endswith(".safetensors"):
        return _safetensors(data, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of old files is not for this user
            saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as reason:
        said = one_line(reason, longest=120)
        raise BadFile(
            f"'{path}' holds more than weights, or none ({said}); nothing in it was run.",
            "Save them alone: torch.save(network.state_dict(), FILE).",
        ) from None
    for key in ("state_dict", "model"):  # as training scripts wrap it
        if isinstance(saved, dict) and isinstance(saved.get(key), dict):
            saved = saved[key]
    if not isinstance(saved, dict) or not saved or not all(isinstance(each, torch.Tensor) for each in saved.values()):
        raise BadFile(f"'{path}' holds no state dict.", "Save it: torch.save(network.state_dict(), FILE).")
    return {str(key): value for key, value in saved.items()}


def _safetensors(data: bytes, path: str) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load
    except ImportError:
        raise MissingPackage(
            "weights in .safetensors are read by safetensors, which is not installed.", "pip install 'archprof[trial]'"
        ) from None
    try:
        found: dict[str, torch.Tensor] = load(data)
        return found
    except Exception as reason:
        raise BadFile(f"'{path}' is not a .safetensors file: {one_line(reason)}.") from None


def load_weights(module: nn.Module, weights: dict[str, torch.Tensor], path: str, name: str) -> None:
    """Put the weights into the module, every one. Raises BadFile that names the keys where they are another's."""
    own = module.state_dict()
    missing, strange = [key for key in own if key not in weights], [key for key in weights if key not in own]
    if missing or strange:
        said = [
            f"{len(keys)} {what} ({_some(keys)})"
            for keys, what in ((missing, "missing"), (strange, "unknown to it"))
            if keys
        ]
        raise BadFile(f"'{path}' holds weights of another network than {name}: {'; '.join(said)}.", _MIND)
    for key, value in own.items():
        if weights[key].shape != value.shape:
            raise BadFile(
                f"'{path}' holds weights of another network than {name}: {key} is "
                f"{tuple(weights[key].shape)}, expected {tuple(value.shape)}.",
                _MIND,
            )
    module.load_state_dict(weights)


def _some(keys: list[str]) -> str:
    return ", ".join(printable(key, 60) for key in keys[:3]) + (", ..." if len(keys) > 3 else "")


_MIND = "Name the network that they belong to, with its options (num_classes, width, ...)."
