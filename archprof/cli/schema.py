"""archprof schema: what the JSON of each command looks like, as JSON Schema."""

from __future__ import annotations

import argparse
import functools
import json
from typing import TYPE_CHECKING, Any, Literal

from ..base.errors import BadOption, did_you_mean
from ..base.version import __version__
from . import options

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What is written as JSON, with the form's name among the definitions.
OUTPUTS = {
    "compare": "Comparison",
    "sweep": "SweepHeader",
    "sweep-entry": "SweepEntry",
    "predict": "Prediction",
    "whatif": "WhatIf",
    "trial": "Trial",
    "list": "Catalogue",
    "show": "Layers",
    "separable": "SeparableNetwork",
    "separable-layer": "SeparableLayer",
    "audit": "Audit",
    "check": "Verdicts",
    "lock": "Lock",
    "history": "Recorded",
    "fit": "Fitting",
    "env": "Machine",
}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = options.command(
        commands,
        "schema",
        run,
        "archprof schema compare",
    )
    parser.add_argument(
        "output", metavar="OUTPUT", nargs="?", help=f"{', '.join(OUTPUTS)} (default: one schema for any of them)"
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(schema(args.output), indent=2))
    return 0


def schema(output: str | None = None) -> dict[str, Any]:
    """The schema of an output, one of OUTPUTS, or of any of them. Raises BadOption for another name."""
    if output is not None and output not in OUTPUTS:
        raise BadOption(
            f"nothing writes '{output}'.{did_you_mean(output, OUTPUTS)}", f"Expected one of: {', '.join(OUTPUTS)}."
        )
    from ..results import reading

    chosen = {name: form for name, form in forms().items() if output in (None, name)}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"archprof {output or 'JSON'}, schema_version 1",
        "description": f"Written by archprof {__version__}. Later versions may add keys.",
    }
    references = [{"$ref": f"#/$defs/{OUTPUTS[name]}"} for name in chosen]
    which = references[0] if output else {"anyOf": references}
    return {**head, **which, "$defs": reading.json_schema(chosen)}


def forms() -> Mapping[str, Any]:
    """The form of each output."""
    return _saved() | _predicted() | _trials() | _networks() | _budgets()


_HEAD: dict[str, Any] = {"schema_version": Literal[1], "archprof": str}


@functools.cache
def _latency() -> Any:
    from ..results.latency import Latency
    from ..results.reading import maybe, written

    times = dict.fromkeys(("p50_s", "p90_s", "throughput"), maybe(float))
    derived = {**times, "ci95_s": maybe(list[float]), "samples": maybe(int)}
    derived |= dict.fromkeys(("p99_s", "power_w", "joules_per_sample"), maybe(float | None))
    return written("Latency", Latency, reliable=bool, **derived)


def _saved() -> dict[str, Any]:
    """What comparisons and sweeps write."""
    from ..results.ceilings import Ceilings
    from ..results.comparison import BULKY, Accuracy, ArchitectureResult
    from ..results.logbook import Logbook
    from ..results.memory import BatchMemory
    from ..results.profile import StaticProfile
    from ..results.ratios import Ratio, Stopping
    from ..results.reading import maybe, written

    latency = _latency()
    memory = written(
        "BatchMemory", BatchMemory, **dict.fromkeys(("inference_bytes", "training_bytes"), maybe(int | None))
    )
    counted = {
        key: maybe(hint)
        for key, hint in written("Profile", StaticProfile).__annotations__.items()
        if key not in ("name", "source")
    }

    def architecture(name: str, without: tuple[str, ...], **more: Any) -> Any:
        keys = {key: hint for key, hint in counted.items() if key not in without} | more
        listed: dict[str, Any] = {"latency": list[latency], "memory": list[memory]}  # type: ignore[valid-type]
        return written(name, ArchitectureResult, without=("profile",), **listed, **keys)

    row = architecture("Architecture", ())
    # a network whose process ended has these no more
    ended = {
        key: maybe(hint)
        for key, hint in row.__annotations__.items()
        if key in ("family", "year", "optimizers", "largest_batch", "division")
    }
    claim, ratio, stopping = written("Accuracy", Accuracy), written("Ratio", Ratio), written("Stopping", Stopping)
    conditions = written("SweepConditions", input_shape=list[int] | None, inputs=list[str])
    entry = written(
        "CatalogueEntry",
        **dict.fromkeys(("name", "family", "paper", "source"), str),
        **dict.fromkeys(("parameters", "macs"), int | None),
        year=int | None,
        input_shape=list[int],
        aliases=list[str],
        error=str | None,
        accuracy=list[claim],  # type: ignore[valid-type]
    )
    return {
        "compare": written(
            "Comparison",
            **_HEAD,
            environment=dict[str, Any],
            reference=str | None,
            architectures=list[row],  # type: ignore[valid-type]
            ratios=list[ratio],  # type: ignore[valid-type]
            stopping=stopping | None,
            control=list[latency],  # type: ignore[valid-type]
            logbook=written("Logbook", Logbook) | None,
            ceilings=written("Ceilings", Ceilings) | None,
            warnings=list[str],
        ),
        "sweep": written("SweepHeader", **_HEAD, sweep=conditions, environment=dict[str, Any]),
        "sweep-entry": architecture("SweepEntry", BULKY, seconds=float, **ended),
        "list": written("Catalogue", **_HEAD, architectures=list[entry]),  # type: ignore[valid-type]
    }


def _predicted() -> dict[str, Any]:
    """What a prediction writes."""
    from ..results.predictions import Predicted, Prediction
    from ..results.reading import written

    row = written("Predicted", Predicted, predicted_seconds=float | None)
    return {
        "predict": written("Prediction", Prediction, schema_version=Literal[1], networks=list[row]),  # type: ignore[valid-type]
        "whatif": _whatif(),
    }


def _whatif() -> Any:
    """What edits of a network would cost."""
    from ..results.reading import written
    from ..results.whatif import KindTime, Variant, WhatIf

    kinds: Any = list[written("KindTime", KindTime, flops_per_s=float | None)]  # type: ignore[misc]
    derived = dict.fromkeys(("measured_seconds", "prediction_error"), float | None)
    variant: Any = written(
        "Variant",
        Variant,
        **dict.fromkeys(("kinds", "gone", "come"), kinds),
        **derived,
        memory_bytes=int,
        latency=_latency() | None,
    )
    keys = {"schema_version": Literal[1], "variants": list[variant], "environment": dict[str, Any]}
    return written("WhatIf", WhatIf, **keys)


def _trials() -> dict[str, Any]:
    """What a trial writes."""
    from ..results.reading import written
    from ..results.trials import Trial

    form = written("Trial", Trial, schema_version=Literal[1], trial=Literal[True], environment=dict[str, Any])
    return {"trial": form}


def _networks() -> dict[str, Any]:
    """What commands write that look at one network, or at the machine."""
    from ..audit.conventions import MemoryEstimate
    from ..audit.opinions import Opinion
    from ..render.tables import layers
    from ..results.ceilings import Ceilings
    from ..results.logbook import LoggedRun
    from ..results.profile import StaticProfile, Uncounted
    from ..results.reading import maybe, written
    from ..results.states import State
    from ..separable.formula import Convolution, Cost
    from ..separable.records import SIDE, LeftAlone

    latency, ceilings = _latency(), written("Ceilings", Ceilings)
    shape, share = maybe(list[int] | None), maybe(float | None)
    row = written(
        "LayerRow",
        **dict.fromkeys(("path", "op", "type"), maybe(str | None)),
        **dict.fromkeys(("input_shape", "output_shape", "kernel", "stride", "receptive_field"), shape),
        **dict.fromkeys(("calls", "parameters", "weights", "macs", "activations", "bytes_moved"), maybe(int | None)),
        **dict.fromkeys(("parameter_share", "weight_share", "mac_share", "time_share", "seconds", "gflops"), share),
        **dict.fromkeys(("arithmetic_intensity", "best_seconds", "ceiling_share"), share),
        bound_by=maybe(str | None),
    )
    time = written(
        "TimeOfLayers",
        latency=latency,
        between_calls_s=float,
        profiler_overhead=float,
        reliable=bool,
        environment=dict[str, Any],
    )
    known = {"name": str, "source": str, "batch_size": int, "input_shape": list[int]}
    term = written("Term", name=str, amount=int)  # of either sign
    opinion = written("Opinion", Opinion, terms=list[term], difference=int | None, remainder=int | None)  # type: ignore[valid-type]
    estimate = written("MemoryEstimate", MemoryEstimate, total_bytes=int)
    cost, uncounted = written("Cost", Cost), written("Uncounted", Uncounted)
    parts = ("standard", "depthwise", "pointwise")
    formula = written("Formula", ratio=float, asymptote=float, **dict.fromkeys(parts, cost))
    counted = written(
        "Counted", ratio=float, parameter_ratio=float, agrees=bool, between=cost, **dict.fromkeys(parts, cost)
    )
    timing = written(
        "Timing",
        ratio=float | None,
        ratio_ci95=list[float] | None,
        **dict.fromkeys(("standard", "separable", "depthwise", "pointwise"), maybe(latency)),
    )
    limits = written("MachineLimits", flops_per_s=float, bytes_per_s=float, balance=float, environment=dict[str, Any])
    measured = {"timing": timing | None, "machine": limits | None}
    layer = written(
        "SeparableLayer",
        module=str,
        calls=int,
        convolution=written("Convolution", Convolution),
        formula=formula,
        counted=counted,
        **measured,
    )
    left = [key for key in StaticProfile.__dataclass_fields__ if key not in SIDE]
    side = written("Side", StaticProfile, without=left)
    network = written(
        "SeparableNetwork",
        name=str,
        to=Literal["separable", "standard"],
        style=str,
        before=side,
        after=side,
        promised_macs=int,
        layers=list[layer],  # type: ignore[valid-type]
        left_alone=list[written("LeftAlone", LeftAlone)],  # type: ignore[misc]
        uncalled=list[str],
        **measured,
    )
    run, state = written("LoggedRun", LoggedRun), written("State", State)
    history = written("History", runs=list[run], states=list[state])  # type: ignore[valid-type]
    watched = written("Watched", quiet=bool, cause=str | None, evidence=dict[str, float])
    return {
        "show": written(
            "Layers",
            **_HEAD,
            **known,
            by=Literal[layers.CUTS],
            rows=list[row],  # type: ignore[valid-type]
            total=row,
            uncounted=list[uncounted],  # type: ignore[valid-type]
            time=maybe(time),
            ceilings=maybe(ceilings),
        ),
        "separable": network,
        "separable-layer": layer,
        "audit": written(
            "Audit",
            **_HEAD,
            **known,
            **dict.fromkeys(("macs", "parameters", "peak_activation_bytes"), int),
            opinions=list[opinion],  # type: ignore[valid-type]
            memory=list[estimate],  # type: ignore[valid-type]
        ),
        "env": written(
            "Machine",
            free_memory_bytes=int | None,
            watched=watched,
            fingerprint=str,
            date=str,
            ceilings=maybe(ceilings),
            logbook=maybe(history),
        ),
    }


def _budgets() -> dict[str, Any]:
    """What a check and a search under limits write."""
    from ..budgets.base_commit import Difference, Restated
    from ..budgets.limits import MEASURES
    from ..budgets.lock import Baseline, LayerSummary
    from ..budgets.verdict import STATUSES, Verdict
    from ..results.history import Recorded
    from ..results.reading import maybe, written

    difference = written("Difference", Difference, change=float | None)
    then = written("AtBase", file=str, budget=str, source=Literal["counted", "lock", ""], why=str)
    base = written(
        "Base",
        **dict.fromkeys(("ref", "commit"), str),
        budgets=list[then],  # type: ignore[valid-type]
        differences=list[difference],  # type: ignore[valid-type]
        restated=list[written("Restated", Restated)],  # type: ignore[misc]
        notes=list[str],
    )
    verdict = written("Verdict", Verdict, status=Literal[STATUSES], headroom=float | None, change=float | None)
    baseline = written(
        "Baseline",
        Baseline,
        without=("counts", "inputs"),
        config=maybe(str),
        input=maybe(list[str]),
        layers=dict[str, written("LayerSummary", LayerSummary)],  # type: ignore[misc]
        **dict.fromkeys(MEASURES, maybe(int)),
    )
    costs = ("parameters", "macs", "activations", "peak_activation_bytes", "saved_bytes")
    member = written("Member", model=str, changed=dict[str, Any], input_shape=list[int], **dict.fromkeys(costs, int))
    closest = written("Closest", measure=str, limit=str, model=str, value=int)
    return {
        "check": written(
            "Verdicts",
            **_HEAD,
            config=str | None,
            configs=list[str],
            strict=bool,
            exit_code=Literal[0, 1, 2],
            verdicts=list[verdict],  # type: ignore[valid-type]
            base=base | None,
        ),
        "history": written("Recorded", Recorded, schema_version=Literal[1]),
        "lock": written("Lock", schema_version=Literal[1], budgets=dict[str, baseline]),  # type: ignore[valid-type]
        "fit": written(
            "Fitting",
            **_HEAD,
            base=str,
            rule=str,
            tried=int,
            failed=int,
            members=list[member],  # type: ignore[valid-type]
            closest=list[closest],  # type: ignore[valid-type]
            compare=str | None,
        ),
    }
