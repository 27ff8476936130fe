"""What is measured on: availability, the environment and its fingerprint, synchronisation, memory, inputs."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..base.errors import BadOption
from ..base.options import recorded
from ..results.conditions import Conditions
from ..results.environment import fingerprint
from . import allocator, disturbance, gpu, power
from .weights import fast_init, materialise, realistic

__all__ = [
    "Conditions",
    "applied",
    "available_bytes",
    "check_available",
    "environment",
    "fast_init",
    "inputs",
    "materialise",
    "moved",
    "realistic",
    "rearranger",
    "sync_for",
    "witness",
]

#: Raised whenever the way of sampling changes so that times of two versions should not be compared.
PROTOCOL = 3

#: Variables that change how the CPU libraries compute, by prefix.
LIBRARY_VARIABLES = (
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "DNNL_",
    "ONEDNN_",
    "MALLOC_",
    "LD_PRELOAD",
    "THP_MEM_ALLOC_ENABLE",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_TF32_OVERRIDE",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
)


def check_available(conditions: Conditions) -> Conditions:
    """The conditions as they are; raises BadOption where the device, the dtype on it, or a compiler for it
    cannot be had. For whoever makes conditions, before anything is built."""
    device = torch.device(conditions.device)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise BadOption(
                f"device '{conditions.device}': torch {torch.__version__} finds no CUDA device.",
                "Accepted here: cpu.",
            )
        if device.index is not None and device.index >= torch.cuda.device_count():
            have = ", ".join(f"cuda:{i}" for i in range(torch.cuda.device_count()))
            raise BadOption(f"there is no device '{conditions.device}'.", f"Accepted here: cpu, {have}.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BadOption("device 'mps': Metal is not available to this torch.", "Accepted here: cpu.")
    if conditions.dtype != "float32" and (reason := _cannot_compute(device, torch_dtype(conditions))):
        raise BadOption(
            f"device '{conditions.device}' cannot compute in {conditions.dtype}: {reason}",
            "Use '--dtype float32'.",
        )
    if conditions.compile is not None and (reason := _no_compiler(device)):
        raise BadOption(f"torch.compile cannot work here: {reason}", "Leave out '--compile' to measure without it.")
    return conditions


def _cannot_compute(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why a convolution, a batch norm or a matrix product in this dtype fails there; None: they work."""
    try:
        x = torch.ones(1, 4, 4, 4, device=device, dtype=dtype)
        x = torch.nn.functional.conv2d(x, torch.ones(4, 4, 1, 1, device=device, dtype=dtype))
        x = torch.nn.functional.batch_norm(x, x[0, :, 0, 0], x[0, :, 0, 0].abs() + 1)
        torch.nn.functional.linear(x, x[0, 0])
    except (RuntimeError, NotImplementedError) as reason:
        return first_line(reason)
    return None


def _no_compiler(device: torch.device) -> str | None:
    """Why torch.compile has nothing to generate code with; None: it has."""
    if device.type == "cuda":
        found = importlib.util.find_spec("triton")
        return None if found else "the triton package is not installed."
    named = os.environ.get("CXX")
    if not any(shutil.which(tool) for tool in ([named] if named else ["g++", "clang++", "c++"])):
        return f"no C++ compiler was found (looked for {named or 'g++, clang++'})."
    return None


def torch_dtype(conditions: Conditions) -> torch.dtype:
    """The dtype itself."""
    dtype = getattr(torch, conditions.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype


def first_line(reason: BaseException) -> str:
    """An exception as one line of at most 200 characters."""
    lines = str(reason).strip().splitlines()
    return (lines[0] if lines else type(reason).__name__)[:200]


@contextmanager
def applied(conditions: Conditions) -> Iterator[None]:
    """Inside, torch runs with the conditions' number of threads, and memory is kept where they say so.

    After it torch has its former number of threads, and memory goes back to the kernel as usual (`allocator.USUAL`).
    """
    before = torch.get_num_threads()
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(conditions.threads or before)
        if keeps_memory(conditions):
            stack.enter_context(allocator.kept())
        yield


def keeps_memory(conditions: Conditions) -> bool:
    """Whether memory that a pass frees is kept for the next on the CPU: asked for, and to be had."""
    return conditions.keep_memory and conditions.kind == "cpu" and allocator.can_keep()


def nothing() -> None:
    """There is nothing to do on this device: the CPU has computed when a call returns."""


def has_recurrent_layers(conditions: Conditions) -> bool:
    """Whether oneDNN takes an LSTM's whole layer in that type (use_mkldnn in ATen's RNN.cpp); else torch goes step by
    step."""
    if conditions.dtype == "float32":
        return True
    name = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}[conditions.dtype]
    return bool(getattr(torch.ops.mkldnn, name)())


def sync_for(conditions: Conditions) -> Callable[[], None]:
    """A function that waits until the device has done everything asked of it."""
    if conditions.kind == "cuda":
        device = torch.device(conditions.device)
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if conditions.kind == "mps" else nothing


def witness(conditions: Conditions) -> disturbance.Witness:
    """Who sees what disturbs a measurement under these conditions."""
    threads = conditions.threads or torch.get_num_threads()
    return disturbance.witness(threads, usable_cpus(), conditions.device, keeps_memory(conditions))


def rearranger(conditions: Conditions) -> Callable[[], None]:
    """What makes tensors lie elsewhere in the CPU's memory (`allocator.rearranger`); does nothing for a GPU's."""
    return allocator.rearranger(random.Random(0)) if conditions.kind == "cpu" else nothing


def environment(conditions: Conditions) -> dict[str, Any]:
    """Everything that shapes a time on this machine under these conditions, with its fingerprint.

    All values are JSON values. `date` (ISO 8601, UTC) is not part of the fingerprint, nor is `energy_meter`, the name
    of what counts the device's energy; where that is None, `no_energy_meter` says why.
    """
    threads, keeps = conditions.threads or torch.get_num_threads(), keeps_memory(conditions)
    in_effect = replace(conditions, threads=threads, keep_memory=keeps or conditions.kind != "cpu")
    found: dict[str, Any] = {
        "torch": torch.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "platform": f"{platform.system()}-{platform.machine()}",
        **recorded(in_effect),
        "device_name": _device_name(conditions),
        "cpu": _cpu_name(),
        "cpus": usable_cpus(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "huge_pages": _huge_pages(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "variables": library_variables(os.environ),
        "protocol": PROTOCOL,
    }
    if conditions.kind == "cpu":
        found["allocator"] = allocator.name()
    if conditions.kind == "cuda":
        found |= {
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "tf32": torch.backends.cudnn.allow_tf32,
        }
        if nvml := gpu.library():
            found |= gpu.facts(nvml, gpu.uuid_of(conditions.device))
    meter, why = power.offered(conditions.device)
    found |= {"energy_meter": meter.name} if meter else {"energy_meter": None, "no_energy_meter": why}
    found["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {**found, "fingerprint": fingerprint(found)}


def library_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that change how the libraries compute. Where things lie on a machine is nobody's business.

    Of a preloaded library only the file's name is kept, for another allocator changes times; any other value
    that is a path is left out.
    """
    kept = {}
    for name, value in sorted(variables.items()):
        if name == "LD_PRELOAD":
            value = " ".join(re.split(r"[/\\]", path)[-1] for path in re.split(r"[\s:;]+", value))
        if name.startswith(LIBRARY_VARIABLES) and not re.search(r"[/\\]", value):
            kept[name] = value
    return kept


def _device_name(conditions: Conditions) -> str:
    if conditions.kind == "cuda":
        return str(torch.cuda.get_device_name(torch.device(conditions.device)))
    return "Apple GPU" if conditions.kind == "mps" else _cpu_name()


def _cpu_name() -> str:
    """The processor's model as the kernel names it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _huge_pages() -> str | None:
    """The kernel's policy for transparent huge pages: large tensors cost less to touch for the first time."""
    try:
        chosen = re.search(r"\[(\w+)\]", Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text())
    except OSError:
        return None
    return chosen[1] if chosen else None


def usable_cpus() -> int:
    """How many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_bytes(conditions: Conditions) -> int | None:
    """Bytes that a measurement may take on the device now; None where that cannot be told.

    On the CPU: what the kernel says can be had without swapping (MemAvailable), or less where a control
    group sets a lower limit.
    """
    if conditions.kind == "cuda":
        device = torch.device(conditions.device)
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if conditions.kind == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    limits = [limit for limit in (_memory_available(), group_available()) if limit is not None]
    return min(limits, default=None)


def _memory_available() -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def group_available(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container's memory limit leaves (control groups version 2, then 1)."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = (root / limit).read_text().strip(), (root / used).read_text().strip()
        except OSError:
            continue
        return None if most == "max" else max(int(most) - int(now), 0)
    return None


def inputs(input_shape: tuple[int, ...], batch_size: int, conditions: Conditions) -> tuple[torch.Tensor, ...]:
    """One random normal tensor (batch_size, *input_shape) on the device: what normalised images look like."""
    image: torch.Tensor = moved(torch.randn(batch_size, *input_shape), conditions)
    return (image,)


def moved(values: Any, conditions: Conditions) -> Any:
    """The same nested inputs on the device, floating ones in the dtype, images channels-last if asked for."""
    if isinstance(values, torch.Tensor):
        dtype = torch_dtype(conditions) if values.is_floating_point() else values.dtype
        return laid_out(values.to(conditions.device, dtype), conditions)
    if isinstance(values, dict):
        return {key: moved(value, conditions) for key, value in values.items()}
    if isinstance(values, tuple) and hasattr(values, "_fields"):
        return type(values)(*(moved(value, conditions) for value in values))
    if isinstance(values, (list, tuple)):
        return type(values)(moved(value, conditions) for value in values)
    return values


def laid_out(tensor: torch.Tensor, conditions: Conditions) -> torch.Tensor:
    """The tensor, in channels-last layout where that is asked for and it has four dimensions."""
    if conditions.channels_last and tensor.dim() == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor
