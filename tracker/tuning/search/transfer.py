"""What earlier records teach about a workload: which of them a search begins with.

Those that other jobs made on the same class of device say what is fast here, and are answered from the log.

The records of another machine tell which schedules are fast there and how the others compare. Where
the workload is the same and the kind of target too, much of that holds here: the best are measured
first, and with the rest of them the cost model is warm before anything was measured.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence

from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.domain import Job, Record
from tvm_farm.tracker.tuning.engines.base import Known

__all__ = ["known_elsewhere", "known_of", "known_to"]

#: Records of one class that are asked for, the fastest.
_PER_CLASS = 64
#: Records of one near workload: as many as a task's relatives keep.
_PER_RELATIVE = 4
#: Of these are taken: so many of the fastest, and of the nearest class so many spread over the others, for a cost model
#: that saw only good schedules takes every one for good. More would be welcome: applying a trace takes 30 ms.
_FASTEST, _SPREAD = 8, 8
#: Classes that one workload learns from.
_CLASSES = 3


def known_to(client: Farm, job: Job, workload: str) -> list[Known]:
    """What the farm knows when a task of ``job`` is first searched: of its workload on this and on other classes, and
    of workloads of its kind on this one. A job that is fresh asks nothing of its own class.
    """
    records = client.log.best([workload], apart_from=job.device_class, per_workload=_PER_CLASS)
    near: list[Record] = []
    if not job.spec.fresh:
        here = {"device_class": job.device_class, "target": job.target}
        own = client.log.best([workload], per_workload=_PER_CLASS, **here)
        records += [record for record in own if record.job_id != job.id]
        near = client.log.nearest(workload, per_workload=_PER_RELATIVE, **here)
    relatives = [record for record in near if record.trace and record.job_id != job.id]
    return known_elsewhere(records, job.target, job.device_class) + known_of(relatives, workload)


def known_elsewhere(records: Sequence[Record], target: str, device_class: str = "") -> list[Known]:
    """What a search for ``target`` (JSON) on ``device_class`` begins with of ``records``, which others made of its
    workload.

    Of the nearest classes: its own, those with the same CPU, then with the same instruction set, then with most
    records.
    """
    here = _options(target)
    by_class: dict[str, list[Record]] = {}
    for record in records:
        if record.trace and record.measurement.run_secs and _options(record.target).get("kind") == here.get("kind"):
            by_class.setdefault(record.measurement.device_class, []).append(record)

    def nearness(origin: str) -> tuple[bool, bool, bool, int, str]:
        there = _options(by_class[origin][0].target)
        same_cpu, same_set = (there.get(key) == here.get(key) for key in ("mcpu", "mtriple"))
        return origin != device_class, not same_cpu, not same_set, -len(by_class[origin]), origin

    known = []
    for number, origin in enumerate(sorted(by_class, key=nearness)[:_CLASSES]):
        of_class = by_class[origin]
        timed = sorted(known_of(of_class, of_class[0].workload), key=lambda one: one.seconds)
        known += [*timed[:_FASTEST], *([] if number else _spread(timed[_FASTEST:]))]
    return known


def known_of(records: Sequence[Record], workload: str) -> list[Known]:
    """What each of ``records`` says to a search for ``workload``."""
    return [
        Known(
            record.measurement.device_class,
            record.trace,
            statistics.median(record.measurement.run_secs),
            record.trial_id,
            "" if record.workload == workload else record.workload,
        )
        for record in records
        if record.measurement.run_secs
    ]


def _spread(timed: Sequence[Known]) -> list[Known]:
    """Some of ``timed`` at even distances."""
    step = max(1.0, len(timed) / _SPREAD)
    return [timed[int(number * step)] for number in range(min(_SPREAD, len(timed)))]


def _options(target: str) -> Mapping[str, object]:
    """Of a target as the farm writes them."""
    try:
        options = json.loads(target)
    except ValueError:
        return {}
    return options if isinstance(options, dict) else {}
