"""The networks of a trial: built from their names with as many outputs as there are classes, weights drawn anew."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import models
from ..base.errors import ArchprofError, BadFile, BadOption, ForwardFailed, MissingPackage, one_line, printable
from ..models.spec import parse


@dataclass(frozen=True)
class Network:
    """A network that can be built again and again. `name` builds the very same one anywhere archprof takes names."""

    name: str
    found: models.Found
    parameters: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.found.input_shape
        return channels, height, width

    def build(self, seed: int) -> nn.Module:
        """With weights as its own initialisers draw them from that seed; torch's generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.found.build()


def with_options(text: str, **options: Any) -> str:
    """The model's name with these keyword arguments, in place of those of the same names."""
    spec = parse(text)
    bare = spec.text.partition("(")[0].partition("@")[0].strip()
    inner = ", ".join(f"{key}={_written(value)}" for key, value in {**spec.keywords, **options}.items())
    return f"{bare}({inner}){f'@{spec.resolution}' if spec.resolution else ''}"


def _written(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) else repr(value)


def network(text: str, classes: int) -> Network:
    """The network of that name, told the number of classes where it has another number of outputs.

    Raises what looking for it and building it raise; ForwardFailed where one image does not pass; BadOption where it
    is no classifier of so many classes and cannot be told to be.
    """
    found, outputs, parameters = _tried(text)
    if outputs != classes:
        spec = parse(text)
        if "num_classes" in spec.keywords:
            raise BadOption(
                f"{text} has {outputs} outputs; the data have {classes} classes.", f"Give num_classes={classes}."
            )
        try:
            text = with_options(text, num_classes=classes)
            found, outputs, parameters = _tried(text)
        except ArchprofError:
            outputs = -1
        if outputs != classes:
            raise BadOption(
                f"{spec.text} has another number of outputs than the {classes} classes of the data, and takes no "
                "option num_classes;",
                "expected a network whose output is (batch, classes).",
            )
    return Network(text, found, parameters)


def _tried(text: str) -> tuple[models.Found, int, int]:
    """The network, how many outputs it has for one image, and its parameters."""
    found = models.find(text)
    if found.instance is not None or found.source == "exported":
        raise BadOption(
            f"{text} is an exported archive, whose weights cannot be drawn anew;", "name the code that builds it."
        )
    if len(found.input_shape) != 3:
        raise BadOption(f"{text} takes no images of (channels, height, width).", "Trials are of image classifiers.")
    with torch.random.fork_rng(devices=[]):
        module = found.build().eval()
    try:
        with torch.inference_mode():
            output = main_output(module(torch.zeros(2, *found.input_shape)))
    except Exception as error:
        raise ForwardFailed(
            f"{text} does not take images of {'x'.join(map(str, found.input_shape))}: {one_line(error)}.",
            "NAME@RESOLUTION chooses another size, where the network allows it.",
        ) from error
    if output.dim() != 2 or len(output) != 2:
        raise BadOption(
            f"the output of {text} for two images has the shape {tuple(output.shape)};", "expected (2, classes)."
        )
    return found, output.shape[1], sum(parameter.numel() for parameter in module.parameters())


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
