"""The peaks of a device class: from the log, else measured on one of its devices and kept there."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence

import tvm

from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.measure_stream import MeasureStream, StreamRefused
from tvm_farm.tracker.client.retry import until_answered
from tvm_farm.tracker.domain import (
    Capacity,
    Job,
    Measurement,
    Outcome,
    Peaks,
    RecordContext,
    TimingPlan,
    Trial,
    new_trial_id,
)
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.tuning.building.base import Builders, BuildRequest, Built
from tvm_farm.tracker.tuning.building.batch import build_all
from tvm_farm.tracker.tuning.building.kernel_requests import kernel_request
from tvm_farm.tracker.tuning.checking.peak_kernels import PeakKernel, arithmetic_kernel, memory_kernel
from tvm_farm.tracker.tuning.errors import FarmFailure, SessionOver
from tvm_farm.tracker.tuning.models.graph import arguments_of

__all__ = ["PeaksUnknown", "class_peaks"]

_PLAN = TimingPlan(number=1, repeat=7, min_repeat_ms=20)
#: Seconds a call that an emulated board may take.
_SLOWEST_S = 30.0
#: Seconds without any device after which nobody waits for one.
_PATIENCE_S = 20.0
#: How the log calls what was measured as it was written.
_ENGINE = BASELINE

OpenStream = Callable[[Callable[[object], None]], MeasureStream]


class PeaksUnknown(Exception):
    """Why a class's peaks are not known, in a sentence."""


def class_peaks(
    client: Farm, job: Job, builders: Builders, open_stream: OpenStream | None, versions: Mapping[str, str]
) -> Peaks:
    """Peaks of the class of ``job``, whose devices have its target.

    ``open_stream``: None where no device would answer. Raises PeaksUnknown, and what tuning raises where the farm
    cannot measure: FarmFailure, SessionOver.
    """
    target = tvm.target.Target(job.target)
    if str(target.kind.name) != "llvm":
        raise PeaksUnknown(
            f"The peaks of a device of kind {target.kind.name} are not measured: both kernels are for CPUs."
        )
    kernels = (arithmetic_kernel(target), memory_kernel(target))
    known = _known(client, job, [kernel.workload.key for kernel in kernels])
    wanted = [kernel for kernel in kernels if job.spec.fresh or kernel.workload.key not in known]
    if wanted:
        if open_stream is None:
            raise PeaksUnknown("No device of this class takes work now, so its peaks were not measured.")
        until_answered(lambda: client.log.add((), [kernel.workload for kernel in wanted]))
        _measure(wanted, _built(wanted, job.target, builders), job.target, open_stream, versions)
        known = _known(client, job, [kernel.workload.key for kernel in kernels])
    fastest = [known[kernel.workload.key] for kernel in kernels]
    rates = [kernel.work / min(found.run_secs) for kernel, found in zip(kernels, fastest, strict=True)]
    return Peaks(rates[0], rates[1], fastest[0].device_name, from_log=not wanted)


def _known(client: Farm, job: Job, workloads: Sequence[str]) -> dict[str, Measurement]:
    """By the workload's key the fastest that the log has: a busy board never shows a peak that is too high."""
    found = until_answered(lambda: client.log.best(workloads, device_class=job.device_class, target=job.target))
    return {record.workload: record.measurement for record in found}


def _built(kernels: Sequence[PeakKernel], target: str, builders: Builders) -> dict[str, Built]:
    requests = [BuildRequest(k.workload.key, k.workload.module, target) for k in kernels]
    built = build_all(builders, requests)
    for each in built.values():
        if each.outcome is not Outcome.OK:
            said = f"{each.outcome.value} {each.detail}".strip().rstrip(".")
            raise PeaksUnknown(f"A kernel that measures the class's peaks was not built: {said}.")
    return built


def _measure(
    kernels: Sequence[PeakKernel],
    built: Mapping[str, Built],
    target: str,
    open_stream: OpenStream,
    versions: Mapping[str, str],
) -> None:
    """Each is in the log then. One after another: two at once on one board's memory would be half each."""
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    stream = open_stream(events.put)
    try:
        for kernel in kernels:
            stream.measure(_trial(kernel, built[kernel.workload.key], target, versions))
            answer = _answer(events)
            if answer.outcome is not Outcome.OK:
                raise PeaksUnknown(_failed(answer))
    finally:
        stream.close()


def _trial(kernel: PeakKernel, built: Built, target: str, versions: Mapping[str, str]) -> Trial:
    trial_id = new_trial_id(time.time())
    assert built.library is not None
    request = kernel_request(trial_id, built.library, arguments_of(kernel.module), _PLAN, _SLOWEST_S)
    context = RecordContext(
        task_id="",
        workload=kernel.workload.key,
        workload_name=kernel.workload.name,
        target=target,
        engine=_ENGINE,
        versions=dict(versions),
        **built.steps.prepared(),
    )
    return Trial(request, context)


def _answer(events: queue.SimpleQueue[object]) -> Measurement:
    alone_since = time.monotonic()
    alone = False
    while True:
        try:
            event = events.get(timeout=1.0)
        except queue.Empty:
            event = None
        if isinstance(event, StreamRefused):
            raise FarmFailure(f"the tracker refused to measure: {event.reason}")
        if isinstance(event, Capacity):
            if event.devices == 0 and not alone:
                alone_since = time.monotonic()
            alone = event.devices == 0
        if isinstance(event, Measurement):
            if event.outcome is Outcome.CANCELLED:
                raise SessionOver("the tracker cancelled this job's trials")
            return event
        if alone and time.monotonic() - alone_since > _PATIENCE_S:
            raise PeaksUnknown("The devices of this class went away before its peaks were measured.")


def _failed(measurement: Measurement) -> str:
    outcome = measurement.outcome.value
    said = f"{outcome} {measurement.detail}".strip().rstrip(".")
    where = measurement.device_name or "a device of this class"
    return f"The class's peaks could not be measured on {where}: {said}."
