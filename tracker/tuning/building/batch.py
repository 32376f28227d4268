"""Several modules built at once, for whoever has nothing to do until they are."""

from __future__ import annotations

import queue
from collections.abc import Iterable

from tvm_farm.tracker.tuning.building.base import Builders, BuildersEnded, BuildRequest, Built
from tvm_farm.tracker.tuning.errors import SessionOver

__all__ = ["build_all"]


def build_all(builders: Builders, requests: Iterable[BuildRequest]) -> dict[str, Built]:
    """What came of each of ``requests``, by its id. What ``builders`` had queued before is dropped.

    Raises SessionOver when the builders' parent died.
    """
    events: queue.SimpleQueue[Built | BuildersEnded] = queue.SimpleQueue()
    builders.deliver_to(events.put)
    waiting = set()
    for request in requests:
        waiting.add(request.id)
        builders.submit(request)
    built: dict[str, Built] = {}
    while waiting:
        event = events.get()
        if isinstance(event, BuildersEnded):
            raise SessionOver("the builders' parent process ended")
        if event.id in waiting:  # another may be what was being built at that moment
            waiting.remove(event.id)
            built[event.id] = event
    return built
