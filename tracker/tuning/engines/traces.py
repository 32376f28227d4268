"""Schedules' traces as the log keeps them, and back."""

from __future__ import annotations

import json

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import Trace

__all__ = ["apply_trace", "trace_json"]


def apply_trace(module: tvm.ir.IRModule, trace: str) -> Schedule:
    """``module`` scheduled as ``trace`` says. Raises what TVM raises where it does not apply."""
    schedule = Schedule(module, debug_mask="none")
    Trace.apply_json_to_schedule(json.loads(trace), schedule)
    return schedule


def trace_json(trace: Trace, *, before_postprocessing: bool = False) -> str:
    """``trace`` as the log keeps it."""
    return json.dumps(trace.as_json(before_postprocessing), separators=(",", ":"), default=_plain)


def _plain(value: object) -> int | float | str:
    """TVM's own scalars as JSON's."""
    if isinstance(value, tvm.tirx.IntImm):
        return int(value)
    if isinstance(value, tvm.tirx.FloatImm):
        return float(value.value)
    if isinstance(value, tvm.tirx.StringImm):
        return str(value.value)
    raise TypeError(f"a trace holds a {type(value).__name__}, which JSON cannot carry")
