"""This agent's metrics for Prometheus, read from the running board at each scrape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.board import Board
from agent.errors import SettingsError
from agent.session import Phase
from protos.measurement import Outcome

__all__ = ["BoardCollector", "serve_metrics"]


class BoardCollector(Collector):
    """Every label value is present from the first scrape on, so that none vanishes when it is 0."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        session, telemetry = self._board.session, self._board.last_telemetry
        phase = GaugeMetricFamily("tvmfarm_agent_phase", "1 for what the agent is doing now", labels=["phase"])
        for each in Phase:
            phase.add_metric([each.value], float(session.phase is each))
        yield phase
        outcomes = CounterMetricFamily("tvmfarm_agent_trials", "Trials executed, by outcome", labels=["outcome"])
        for outcome in Outcome:
            outcomes.add_metric([outcome.name.lower()], self._board.outcomes[outcome])
        yield outcomes
        yield GaugeMetricFamily("tvmfarm_agent_held_trials", "Trials here and not answered", value=session.held)
        yield GaugeMetricFamily(
            "tvmfarm_agent_unacknowledged_measurements", "Results the tracker has not confirmed", len(session.outbox)
        )
        yield GaugeMetricFamily("tvmfarm_agent_artifact_cache_bytes", "Artifacts on disk", self._board.cache.size_bytes)
        if telemetry.temperature_c is not None:
            yield GaugeMetricFamily(
                "tvmfarm_agent_temperature_celsius", "The hottest CPU or SoC sensor", telemetry.temperature_c
            )
        clocks = GaugeMetricFamily("tvmfarm_agent_cpu_frequency_hertz", "Clock of a CPU cluster", labels=["cluster"])
        for number, khz in enumerate(telemetry.frequency_khz):
            clocks.add_metric([str(number)], khz * 1000.0)
        yield clocks
        yield GaugeMetricFamily(
            "tvmfarm_agent_throttled", "1 while any throttling is active", bool(telemetry.throttling)
        )


@contextmanager
def serve_metrics(board: Board, port: int) -> Iterator[int]:
    """Serve metrics on ``port`` (0: any) of every interface; yields the port. SettingsError where it is taken."""
    registry = CollectorRegistry()
    registry.register(BoardCollector(board))
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise SettingsError(
            f"metrics cannot be served on port {port} ({error.strerror}): give another --metrics-port"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
