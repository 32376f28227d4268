"""A farm as programs see it: values in and out, errors as sentences."""

from __future__ import annotations

from types import TracebackType

from tvm_farm.tracker.client.artifacts import Artifacts
from tvm_farm.tracker.client.connection import ScriptConnection
from tvm_farm.tracker.client.devices import Devices
from tvm_farm.tracker.client.jobs import Jobs
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.client.log import Log
from tvm_farm.tracker.client.measuring import Measuring
from tvm_farm.tracker.client.work import Work
from tvm_farm.tracker.domain import FarmStatus

__all__ = ["Farm"]


class Farm:
    """A connection to one tracker, in parts for its audiences.

    ``tracker``: ``HOST:PORT``, a host, or the name of a farm that is heard by mDNS; by default what ``farm`` would use.
    A Link is taken as it is. Raises BadInput, and TrackerUnreachable where none answers.

    Calls block. What fails raises an error of tracker/client/errors.py, a FarmError each.
    """

    def __init__(self, tracker: str | Link | None = None) -> None:
        self._link = tracker if isinstance(tracker, Link) else ScriptConnection.to(tracker).link()
        #: Boards and pools: what there is, and what is ordered of it.
        self.devices = Devices(self._link)
        #: What is to be tuned, and what came of it.
        self.jobs = Jobs(self._link)
        #: The tuning log: every measurement that was ever made.
        self.log = Log(self._link)
        #: Files, by their digests.
        self.artifacts = Artifacts(self._link)
        #: Timings of kernels and models on boards, now.
        self.measuring = Measuring(self._link)
        #: What a tuning worker says and asks.
        self.work = Work(self._link)

    def __enter__(self) -> Farm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what streams are still open, then the connection. May be called again."""
        self._link.close()

    @property
    def address(self) -> str:
        """The tracker's, ``host:port``."""
        return self._link.address

    @property
    def release_of_tracker(self) -> str:
        """Its version as of the last ``status``; "" before the first."""
        return self._link.release_of_tracker

    def status(self) -> FarmStatus:
        """Raises TrackerUnreachable, or FarmError when tracker and program cannot understand each other."""
        return self._link.status()

    def now_s(self) -> float:
        """Unix seconds now by the tracker's clock, as all its times are: the one here may be another."""
        return self._link.now_s()
