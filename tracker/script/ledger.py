"""What became of candidates, between the runner that saw it and the database that is told their traces.

MetaSchedule shows a builder the scheduled module, a runner the built file, and a database trace and timings: what the
farm knows of a measurement beside its timings has no place on that way. It is kept here meanwhile, under the hash of
the scheduled module.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

from tvm_farm.tracker.domain import Measurement, Preparation, TimingPlan

__all__ = ["LEDGER", "Entry", "Kernel", "Ledger"]

#: A scheduler may have a batch of 64 under way for each of hundreds of tasks. What nobody asks for is forgotten.
_MOST = 20_000


@dataclass(frozen=True)
class Kernel:
    """A candidate: ``key`` is the structural hash of its scheduled module, ``steps`` when it was built."""

    key: str
    steps: Preparation


@dataclass(frozen=True)
class Entry:
    """What came of a candidate. ``plan`` and ``user`` are the runner's; of a failed build, plain ones."""

    measurement: Measurement
    plan: TimingPlan
    user: str


class Ledger:
    """For any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._built: OrderedDict[str, Kernel] = OrderedDict()
        self._entries: OrderedDict[str, deque[Entry]] = OrderedDict()

    def built(self, path: str, kernel: Kernel) -> None:
        """``kernel`` lies in the file ``path``."""
        with self._lock:
            self._built[path] = kernel
            if len(self._built) > self._most:
                self._built.popitem(last=False)

    def kernel(self, path: str) -> Kernel | None:
        """What is in the file ``path``; None where another builder wrote it."""
        with self._lock:
            return self._built.get(path)

    def enter(self, key: str, entry: Entry) -> None:
        """The candidate ``key`` was measured, or could not be."""
        with self._lock:
            self._entries.setdefault(key, deque()).append(entry)
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def take(self, key: str) -> Entry | None:
        """What came of the candidate, of several measurements of it the first that was not taken yet."""
        with self._lock:
            entries = self._entries.get(key)
            if entries is None:
                return None
            entry = entries.popleft()
            if not entries:
                del self._entries[key]
            return entry


#: That of this process: builder, runner and database are made apart and know nothing of each other.
LEDGER = Ledger()
