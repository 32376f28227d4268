"""Records that programs hand in of what boards of this farm measured for them."""

from __future__ import annotations

from dataclasses import replace

from tvm_farm.tracker.domain import Record
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound
from tvm_farm.tracker.domain.fast_replace import fast_replace
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.measuring.trial import sound
from tvm_farm.tracker.services.fleet import Fleet

__all__ = ["completed"]


def completed(record: Record, fleet: Fleet, farm_version: str, now: float) -> Record:
    """``record`` as the log keeps it, stored at ``now``, Unix seconds.

    Raises InvalidRequest where it is of a job, whose records come by its own stream, is none of a candidate, or names
    a device that this farm does not know.
    """
    measurement, trial = record.measurement, f"the record of trial '{record.trial_id}'"
    if not record.trial_id or record.trial_id != measurement.trial_id:
        raise InvalidRequest(f"{trial} holds the measurement of trial '{measurement.trial_id}'")
    if record.job_id or record.task_id:
        raise InvalidRequest(f"{trial} names a job: those are recorded when they are measured")
    if not (record.trace and record.workload and record.target) or record.engine in ("", BASELINE):
        raise InvalidRequest(f"{trial} lacks a trace, workload, target or engine: it is no candidate's")
    if not meaning(measurement.outcome).measured:
        raise InvalidRequest(f"{trial} tells nothing of its candidate: it was not measured")
    if not measurement.device_class:
        raise InvalidRequest(f"{trial} names no class of device")
    versions, mode = {**record.versions, "farm": farm_version}, None
    if measurement.device_id:
        try:
            device = fleet.device(measurement.device_id)
        except NotFound as error:
            raise InvalidRequest(f"{trial}: {error}, so it was not measured here") from None
        versions["agent"] = device.fingerprint.agent_version
        mode = device.runner.mode if device.device_class == measurement.device_class else None
    elif not meaning(measurement.outcome).boardless:
        raise InvalidRequest(f"{trial} says '{measurement.outcome.value}' and names no device that it happened on")
    measurement = replace(sound(measurement), outputs=())
    stored = fast_replace(measurement, timeline=fast_replace(measurement.timeline, stored_s=now))
    return fast_replace(record, measurement=stored, versions=versions, runner_mode=mode)
