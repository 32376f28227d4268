"""What a client of the measuring service says: who it is, and its candidates."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from tvm_farm.protos.measurement import MeasureRequest, Outcome, TimingPlan
from tvm_farm.tracker.domain.record import RecordContext

__all__ = ["Capacity", "FailedBuild", "OpenMeasure", "Trial", "new_trial_id"]


def new_trial_id(now: float) -> str:
    """32 hexadecimal digits: the milliseconds of ``now`` (Unix seconds), then 80 bits of chance.

    Ids of one time lie side by side in the log's index, so a record costs it the same however large the log is.
    """
    return f"{int(1e3 * now):012x}{secrets.token_hex(10)}"


@dataclass(frozen=True)
class OpenMeasure:
    """Which devices a stream of trials measures on. ``device_class`` and ``device_id`` "" mean any of the pool.

    ``user`` and ``priority`` are those of its job, where it has one. Outside a job trials that the log has are answered
    from it, unless ``fresh``.
    """

    client: str
    job_id: str
    pool: str
    device_class: str = ""
    whole_models: bool = False
    device_id: str = ""
    user: str = ""
    priority: int = 0
    fresh: bool = False


@dataclass(frozen=True)
class Trial:
    """One candidate. Without a ``context`` it is answered and not recorded."""

    request: MeasureRequest
    context: RecordContext | None = None


@dataclass(frozen=True)
class FailedBuild:
    """A trial that never became a library: recorded and answered, no device involved."""

    trial_id: str
    outcome: Outcome
    detail: str
    plan: TimingPlan
    context: RecordContext | None = None


@dataclass(frozen=True)
class Capacity:
    """Devices that take work of a stream, and the trials that they hold at once."""

    devices: int
    slots: int
