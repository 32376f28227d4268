"""Lines of AutoTVM's and Ansor's logs: read to be kept, as neither can be replayed by today's TVM.

AutoTVM v0.2 (python/tvm/autotvm/record.py up to TVM 0.19): ``{"input": [target, task name, args, kwargs], "config":
{…}, "result": [[costs], error_no, all_cost, timestamp], "version": 0.2, "tvm_version": "…"}``. Its ``config`` names
knobs of a template that is gone, whose meaning is not in the line: no trace of a schedule can be derived from it.

Ansor v0.6 (src/auto_scheduler/measure_record.cc up to TVM 0.19): ``{"i": [[workload key, target, …], [[stages],
[steps]]], "r": [[costs], error_no, all_cost, timestamp], "v": "v0.6"}``. Its steps apply to a compute DAG that the
workload key names and does not hold.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

from tvm_farm.tracker.domain.imports import HistoryLine
from tvm_farm.tracker.logs.lines import BadLine

__all__ = ["ANSOR", "AUTOTVM", "read_history"]

AUTOTVM, ANSOR = "autotvm 0.2", "auto_scheduler 0.6"
#: What AutoTVM and Ansor write for a cost that was not measured (MAX_FLOAT and 1e10).
_NOT_MEASURED_S = 1e9


def read_history(line: str, device_class: str = "") -> HistoryLine:
    """Raises BadLine for what is no line of either log, or one of another version."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"it is no JSON ({error})") from None
    if not isinstance(fields, dict):
        raise BadLine("it is no line of an AutoTVM or Ansor log")
    try:
        if "input" in fields or "config" in fields:
            return _autotvm(fields, line, device_class)
        if "i" in fields and "r" in fields:
            return _ansor(fields, line, device_class)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, BadLine):
            raise
        raise BadLine(f"a part of it is missing or not what it should be ({type(error).__name__}: {error})") from None
    raise BadLine("it is no line of an AutoTVM or Ansor log")


def _autotvm(fields: dict[str, Any], line: str, device_class: str) -> HistoryLine:
    if fields.get("version") != 0.2:
        raise BadLine(f"it is of AutoTVM's log version {fields.get('version', 'unknown')}, and 0.2 is understood")
    target, task, args = fields["input"][:3]
    fields["config"]["entity"]
    told = json.dumps(args, separators=(", ", ":"))
    return _line(AUTOTVM, f"{_text(task)} {told}", _text(target), fields["result"], device_class, line)


def _ansor(fields: dict[str, Any], line: str, device_class: str) -> HistoryLine:
    version = fields.get("v")
    if version != "v0.6":
        # AutoTVM's first log has these names too, with a number for its version.
        program = "AutoTVM's" if isinstance(version, int | float) else "Ansor's"
        raise BadLine(f"it is of {program} log version {version or 'unknown'}; AutoTVM's 0.2 and Ansor's v0.6 are read")
    (task, target, *_), (_, _) = fields["i"]
    return _line(ANSOR, _text(task), _text(target), fields["r"], device_class, line)


def _line(format: str, task: str, target: str, result: Sequence[Any], device_class: str, line: str) -> HistoryLine:
    costs, error_no, _, at = result
    seconds = [float(cost) for cost in costs]
    if not 0 <= int(error_no) < 1 << 32 or not math.isfinite(float(at)):
        raise BadLine("its error number or its time is none")
    measured = not error_no and seconds and all(0 < s < _NOT_MEASURED_S and math.isfinite(s) for s in seconds)
    return HistoryLine(
        format=format,
        task=task,
        target=target,
        device_class=device_class,
        cost_s=statistics.median(seconds) if measured else 0.0,
        error_no=int(error_no),
        measured_unix_s=float(at),
        line=line,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadLine("its task or target is no text")
    return value
