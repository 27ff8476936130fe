"""The devices whose throughput timm publishes, and how each was used. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..base.errors import BadOption, did_you_mean

#: How timm names a benchmark: precision, layout, torch, toolkit, device, and whether torch.compile was used.
_NAME = re.compile(
    r"(?P<precision>amp_bf16|amp|bf16|fp32)-(?P<layout>nchw|nhwc)-pt(?P<torch>\d{3})-(?:cu(?P<cuda>\d{3})|cpu)"
    r"-(?P<device>.+?)(?P<compiled>-dynamo)?"
)

#: In the order of preference where none is asked for.
PRECISIONS = ("amp", "amp_bf16", "bf16", "fp32")


@dataclass(frozen=True)
class Benchmark:
    """One table of timm's: a device and how it was used. `cuda` is '' on a CPU."""

    name: str
    device: str
    precision: str
    channels_last: bool
    torch: str
    cuda: str
    compiled: bool

    @property
    def on_cpu(self) -> bool:
        """Whether it is a table of a CPU."""
        return not self.cuda

    @property
    def shown(self) -> str:
        """'rtx4090: amp, channels last, compiled, torch 2.4.0, CUDA 12.4'."""
        parts = [self.precision, *(["channels last"] if self.channels_last else [])]
        parts += ["compiled" if self.compiled else "eager", f"torch {self.torch}"]
        return f"{self.device}: {', '.join(parts + ([f'CUDA {self.cuda}'] if self.cuda else []))}"

    @property
    def options(self) -> str:
        """The options that name it, beside others of its device."""
        words = [f"--device {self.device}", f"--precision {self.precision}", f"--torch {self.torch}"]
        return " ".join(words + ["--channels-last"] * self.channels_last + ["--compile"] * self.compiled)


def parsed(name: str) -> Benchmark:
    """'amp-nchw-pt291-cu128-4090-dynamo' as a Benchmark. Raises ValueError for a name of another form."""
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"'{name}' is not precision-layout-ptNNN-cuNNN-device")
    device, version, cuda = found["device"].replace("_", "-"), found["torch"], found["cuda"] or ""
    return Benchmark(
        name,
        device=f"rtx{device}" if device.isdigit() else device,
        precision=found["precision"],
        channels_last=found["layout"] == "nhwc",
        torch=f"{version[0]}.{version[1:]}" if version[0] == "1" else ".".join(version),
        cuda=f"{cuda[:2]}.{cuda[2]}" if cuda else "",
        compiled=bool(found["compiled"]),
    )


def chosen(
    known: Sequence[Benchmark],
    device: str,
    *,
    precision: str | None = None,
    channels_last: bool = False,
    compiled: bool = False,
    torch: str | None = None,
) -> Benchmark:
    """The table of that device with these settings; among several the newest torch, then eager, then amp.

    Raises BadOption for a device, a precision, a version or a combination that is not published, and says which are.
    """
    devices = list(dict.fromkeys(one.device for one in known))
    if device not in devices:
        raise BadOption(
            f"no table of the device '{device}'.{did_you_mean(device, devices)}",
            f"There are: {', '.join(devices)}. For another, see: archprof predict --list-anchors",
        )
    left = [one for one in known if one.device == device]
    if precision is not None:
        _refuse_unknown("precision", precision, (one.precision for one in left), device)
        left = [one for one in left if one.precision == precision]
    if torch is not None:
        _refuse_unknown("torch", torch, (one.torch for one in left), device)
        left = [one for one in left if one.torch == torch]
    for asked, kept in ((channels_last, "channels_last"), (compiled, "compiled")):
        if asked:
            before, left = left, [one for one in left if getattr(one, kept)]
            if not left:
                listed = "; ".join(one.options for one in before)
                raise BadOption(
                    f"{device} is not published {kept.replace('_', ' ')} with the other settings;",
                    f"there is: {listed}.",
                )
    return min(left, key=_last_choice)


def _last_choice(one: Benchmark) -> tuple[object, ...]:
    version = [-int(part) for part in one.torch.split(".")]
    return version, one.compiled, one.channels_last, PRECISIONS.index(one.precision)


def _refuse_unknown(what: str, seen: str, known: Iterable[str], device: str) -> None:
    there = sorted(dict.fromkeys(known))
    if seen not in there:
        raise BadOption(
            f"{what} '{seen}' is not published for {device}.{did_you_mean(seen, there)}",
            f"There {'is' if len(there) == 1 else 'are'}: {', '.join(there)}.",
        )


def alike(sources: Sequence[Benchmark], *, channels_last: bool, compiled: bool) -> list[bool]:
    """Which tables were made with these settings; where none was, which agree on compilation, which matters more.

    All of them, where none agrees on that.
    """
    both = [(one.channels_last, one.compiled) == (channels_last, compiled) for one in sources]
    compilation = [one.compiled == compiled for one in sources]
    return both if any(both) else compilation if any(compilation) else [True] * len(sources)
