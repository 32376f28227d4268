"""GET /metrics, in threads of its own."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, start_http_server

from tvm_farm.protos.address import joined
from tvm_farm.protos.networks import everywhere
from tvm_farm.tracker.domain.errors import CannotStart
from tvm_farm.tracker.metrics.collector import FarmCollector
from tvm_farm.tracker.metrics.snapshot import Snapshot, Snapshots

__all__ = ["MetricsEndpoint"]

_TAKE_S = 5.0


class MetricsEndpoint:
    """Serves ``snapshots`` on ``port`` (0: any). Raises CannotStart when the port is taken."""

    def __init__(self, host: str, port: int, snapshots: Snapshots, loop: asyncio.AbstractEventLoop) -> None:
        def take() -> Snapshot:
            return asyncio.run_coroutine_threadsafe(snapshots.take(), loop).result(_TAKE_S)

        registry = CollectorRegistry()
        registry.register(FarmCollector(take))
        try:
            self._server, self._thread = start_http_server(port, everywhere() if host in ("", "::") else host, registry)
        except OSError as e:
            raise CannotStart(
                f"cannot serve metrics on {joined(host, port)}: {e.strerror}; choose another port with --metrics-port"
            ) from e
        self.port: int = self._server.server_port

    async def stop(self) -> None:
        def close() -> None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

        await asyncio.to_thread(close)
