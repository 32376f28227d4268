"""Which of a tracker's addresses is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tvm_farm.protos.reaching import first_reached


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that answers nothing, as a host behind a firewall: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for each in waiting:
            each.close()


@pytest.fixture
def open_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_one_that_is_silent_or_refuses_is_passed_over(silent: str, open_port: str) -> None:
    assert await first_reached([silent, "127.0.0.1:1", open_port], within_s=60.0) == open_port
    assert await first_reached([open_port, silent], within_s=60.0) == open_port


async def test_none_is_reached(silent: str) -> None:
    assert await first_reached(["127.0.0.1:1", silent], within_s=0.5) is None
    assert await first_reached([]) is None
