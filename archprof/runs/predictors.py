"""Who predicts memory under which conditions, and how long it may measure what no rule tells."""

from __future__ import annotations

import torch

from ..counting.counts import Subject
from ..measure import device
from ..measure.scratch import PATIENCE_S, MeasuredScratch, kept_scratch
from ..memory.scratch import cpu_scratch
from ..results.conditions import Conditions
from .prediction import Predictor

#: Seconds that operators are measured for where many batch sizes are asked about: those of one do not suffice.
SEARCHING_S = 10.0

#: And for each change that might help.
TRYING_S = 4.0


def unkept(conditions: Conditions) -> str | None:
    """Why the scratch space that was measured under these conditions is not kept for another time; None: it is."""
    return kept_scratch(conditions).unwritten


def predictor_of(subject: Subject, conditions: Conditions, patience_s: float = PATIENCE_S) -> Predictor:
    """What predicts under these conditions: on the CPU without a compiler, scratch space is known or measured."""
    if conditions.kind != "cpu" or conditions.compile is not None:
        return Predictor(subject, conditions)
    threads = conditions.threads or torch.get_num_threads()
    measured = MeasuredScratch(conditions, patience_s)
    float32 = conditions.dtype == "float32" and conditions.autocast is None
    scratch = cpu_scratch(threads, measured, float32, conditions.channels_last)
    whole = device.has_recurrent_layers(conditions)
    return Predictor(subject, conditions, scratch, measured.workspace if whole else None)
