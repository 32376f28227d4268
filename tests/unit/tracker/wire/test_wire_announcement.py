"""A tracker that is announced as soon as its network lets it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import pytest

from tvm_farm.tracker.wire import announcement


async def test_a_network_that_refuses_multicast_at_first_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = [OSError(101, "Network is unreachable")] * 3
    loop, stands = asyncio.get_running_loop(), asyncio.Event()

    @contextlib.contextmanager
    def announce(*_: object, **__: object) -> Iterator[None]:
        if refusals:
            raise refusals.pop()
        loop.call_soon_threadsafe(stands.set)
        yield

    monkeypatch.setattr(announcement, "announce", announce)
    monkeypatch.setattr(announcement, "_LOOK_EVERY_S", 0.001)
    with caplog.at_level(logging.WARNING):
        async with announcement.announced("lab", 9195, "0.2.0", lambda: ["192.0.2.7"], None):
            await asyncio.wait_for(stands.wait(), 30)
    assert caplog.messages == [
        "mDNS is not possible here (Network is unreachable): agents need --tracker 192.0.2.7:9195"
    ]
