"""What boards say of themselves, as values that can be kept and shown: a board is not believed to be well."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tvm_farm.protos.device import FIGURES, Telemetry
from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, measurement_pb2
from tvm_farm.protos.measurement import BOARD_STEPS
from tvm_farm.tracker.domain import Join, Measurement
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.wire.values import read

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    D = TypeVar("D", bound=DataclassInstance)

__all__ = ["read_join", "read_measurement", "read_telemetry"]

#: More than any clause that an agent makes, or name of a part that a board bears, is long.
_LONGEST = 200
#: A cause for each bit of the firmware's word; and more CPU features than any CPU has.
_CAUSES, _ITEMS = 32, 1024
#: The store takes no NaN, and no board will measure in the year 5138.
_LATEST_S = 1e11
#: What a kernel that fell has printed is longer than a line, and no file.
_LONGEST_DETAIL = 1 << 16


def read_join(message: fleet_pb2.Join) -> Join:
    """Strings are lines of print of 200 characters at most, lists of 1024 items. Raises InvalidRequest."""
    join = read(Join, message)
    return replace(
        join,
        name=_line(join.name),
        fingerprint=_lines(join.fingerprint),
        runner=_lines(join.runner),
        telemetry=_sane(join.telemetry),
        code=join.code and _lines(join.code),
    )


def read_telemetry(message: device_pb2.Telemetry) -> Telemetry:
    """Figures that no board has are not told; clauses are lines of print of 200 characters at most."""
    return _bounded(read(Telemetry, message))


def read_measurement(message: measurement_pb2.Measurement) -> Measurement:
    """With the telemetry around it as of ``read_telemetry``; times that are none are 0, unknown.

    ``detail`` ends after 65536 characters. One whose outcome is not known here, or not told, is a run error that says
    so: the board's other trials go on.
    """
    try:
        measurement = read(Measurement, message)
    except InvalidRequest as error:
        measurement = read(Measurement, _unread(message, str(error)))
    on_board = measurement.timeline
    changes: dict[str, Any] = {}
    for name in BOARD_STEPS:
        if not 0.0 <= getattr(on_board, name) <= _LATEST_S:
            on_board = replace(on_board, **{name: 0.0})
    if on_board is not measurement.timeline:
        changes["timeline"] = on_board
    for name in ("before", "after"):
        told = getattr(measurement, name)
        if (sane := _sane(told)) is not told:
            changes[name] = sane
    if len(measurement.detail) > _LONGEST_DETAIL:
        changes["detail"] = measurement.detail[:_LONGEST_DETAIL]
    return replace(measurement, **changes) if changes else measurement


def _unread(message: measurement_pb2.Measurement, why: str) -> measurement_pb2.Measurement:
    failed = measurement_pb2.Measurement()
    failed.CopyFrom(message)
    failed.ClearField("run_secs")
    failed.ClearField("outputs")
    failed.outcome = measurement_pb2.OUTCOME_RUN_ERROR
    failed.detail = f"what the board answered cannot be read: {why}"
    return failed


def _sane(telemetry: Telemetry | None) -> Telemetry | None:
    return None if telemetry is None else _bounded(telemetry)


def _bounded(told: Telemetry) -> Telemetry:
    """``told`` itself where all of it may be, as it is with every trial."""
    changes: dict[str, Any] = {}
    if not math.isfinite(told.at_unix_s):
        changes["at_unix_s"] = 0.0
    for name, figure in FIGURES.items():
        reading = getattr(told, name)
        if reading is not None and not (figure.least <= reading <= figure.most and math.isfinite(reading)):
            changes[name] = None
    share = told.runtime_share
    if share is not None and not 0.0 <= share <= 1.0:
        # That it is on its way is true all the same.
        changes["runtime_share"] = 1.0 if share > 1.0 else 0.0
    if len(told.frequency_khz) > _ITEMS:
        changes["frequency_khz"] = told.frequency_khz[:_ITEMS]
    if told.throttling:
        changes["throttling"] = tuple(map(_line, told.throttling[:_CAUSES]))
    if told.disk_fault:
        changes["disk_fault"] = _line(told.disk_fault)
    return replace(told, **changes) if changes else told


def _lines(value: D) -> D:
    """``value`` with each of its strings as a line, and lists no longer than any board's."""
    return replace(value, **{field.name: _each(getattr(value, field.name)) for field in fields(value)})


def _each(item: Any) -> Any:
    if type(item) is str:
        return _line(item)
    if isinstance(item, tuple):
        return tuple(map(_each, item[:_ITEMS]))
    return _lines(item) if is_dataclass(item) and not isinstance(item, type) else item


def _line(text: str) -> str:
    text = text[:_LONGEST]
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
