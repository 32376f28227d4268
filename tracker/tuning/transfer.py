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

from tracker.domain import Record
from tracker.tuning.engines.base import Known

__all__ = ["PER_CLASS", "known_elsewhere", "known_of"]

#: Records of one class that are asked for, the fastest.
PER_CLASS = 64
#: Of these are taken: so many of the fastest, and of the nearest class so many spread over the others, for a cost model
#: that saw only good schedules takes every one for good. More would be welcome: applying a trace takes 30 ms.
_FASTEST, _SPREAD = 8, 8
#: Classes that one workload learns from.
_CLASSES = 3


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
        timed = sorted(known_of(by_class[origin]), key=lambda one: one.seconds)
        known += [*timed[:_FASTEST], *([] if number else _spread(timed[_FASTEST:]))]
    return known


def known_of(records: Sequence[Record]) -> list[Known]:
    """What each of ``records`` says to a search."""
    return [
        Known(r.measurement.device_class, r.trace, statistics.median(r.measurement.run_secs), r.trial_id)
        for r in records
        if r.measurement.run_secs
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
