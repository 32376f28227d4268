"""Which boards are better left alone while another one is free."""

from __future__ import annotations

from tvm_farm.protos.device import Telemetry

__all__ = ["FAILURES", "HOT_C", "ailment"]

#: From here on boards that do not report it are taken to slow down, too; those known do at 70 to 97.
HOT_C = 85.0
#: Candidates fail for reasons of their own, a few in a hundred; so many in a row speak of the board.
FAILURES = 8


def ailment(telemetry: Telemetry | None, failures: int) -> str:
    """What is wrong with a board, a clause; "" where nothing is. ``failures``: trials in a row that failed on it."""
    if telemetry is not None and telemetry.disk_fault:
        return telemetry.disk_fault
    if telemetry is not None and telemetry.throttling:
        return f"throttled ({', '.join(telemetry.throttling)})"
    if telemetry is not None and telemetry.temperature_c is not None and telemetry.temperature_c >= HOT_C:
        return f"hot ({telemetry.temperature_c:.0f} °C)"
    if failures >= FAILURES:
        return f"its last {failures} trials failed"
    return ""
