"""Finding the tracker: a fixed address, or mDNS until one is heard."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from tvm_farm.agent.errors import SeveralTrackersError
from tvm_farm.agent.session.joining import BACKOFF_LONGEST_S
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.discovery import FoundTracker, browse_async

__all__ = ["choose", "locate"]

log = logging.getLogger(__name__)

_LISTEN_S = 3.0


async def locate(settings: Settings, joined_farm: str = "") -> Sequence[str]:
    """The tracker's host:port texts. Listens for ever: a farm may be switched on after its boards.

    ``joined_farm``: the farm this agent was in, "" for none; another farm that appears later changes nothing then.
    Raises SeveralTrackersError where a person has to choose.
    """
    if settings.tracker:
        return [settings.tracker]
    farm = settings.farm or joined_farm
    wanted = f"a tracker of farm {farm}" if farm else "a tracker"
    pause_s = 1.0
    last_said = ""
    while True:
        try:
            heard = await browse_async(_LISTEN_S, farm=farm or None, interface=settings.mdns_interface)
            trouble = ""
        except OSError as error:
            heard, trouble = [], f"; mDNS is not possible here ({error.strerror or error})"
        found = choose(heard, farm)
        if found is not None:
            log.info("found farm %s at %s by mDNS", found.farm, ", ".join(found.addresses))
            return found.addresses
        others = f" (heard only: {', '.join(t.farm for t in heard)})" if heard else ""
        said = f"no mDNS answer from {wanted}{others}{trouble}; still listening. --tracker HOST:PORT needs no mDNS"
        if said != last_said or pause_s >= BACKOFF_LONGEST_S:
            log.warning("%s", said)
            last_said = said
        await asyncio.sleep(pause_s * (0.5 + 0.5 * random.random()))
        pause_s = min(BACKOFF_LONGEST_S, 2 * pause_s)


def choose(heard: Sequence[FoundTracker], farm: str) -> FoundTracker | None:
    """The tracker to join among those heard; None: listen on. Raises SeveralTrackersError."""
    fitting = [tracker for tracker in heard if not farm or tracker.farm == farm]
    if len(fitting) > 1:
        lines = ", ".join(f"{tracker.farm} at {tracker.address}" for tracker in fitting)
        if len({tracker.farm for tracker in fitting}) > 1:
            raise SeveralTrackersError(f"several farms answer: {lines}. Choose one with --farm NAME")
        raise SeveralTrackersError(
            f"several trackers call their farm {farm or fitting[0].farm}: {lines}. Choose one with --tracker HOST:PORT"
        )
    return fitting[0] if fitting else None
