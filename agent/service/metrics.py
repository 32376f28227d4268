"""This agent's metrics for Prometheus, read from its running devices at each scrape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tvm_farm.agent.driver.session_driver import SessionDriver
from tvm_farm.agent.errors import SettingsError
from tvm_farm.agent.session.state import Phase
from tvm_farm.protos.device import FIGURES
from tvm_farm.protos.measurement import Outcome
from tvm_farm.protos.networks import everywhere

__all__ = ["DeviceCollector", "serve_metrics"]


class DeviceCollector(Collector):
    """The metrics of each device of this agent. Every label value is there from the first scrape on, also with 0."""

    def __init__(self, devices: Sequence[SessionDriver]) -> None:
        self._devices = devices

    def collect(self) -> Iterator[Metric]:
        phase = _gauge("phase", "1 for what the agent is doing now", "phase")
        outcomes = CounterMetricFamily(
            "tvmfarm_agent_trials", "Trials executed, by outcome", labels=["device", "outcome"]
        )
        held = _gauge("held_trials", "Trials here and not answered")
        outbox = _gauge("unacknowledged_measurements", "Results the tracker has not confirmed")
        cached = _gauge("artifact_cache_bytes", "Artifacts on disk")
        figures = {name: _gauge(figure.metric, figure.about) for name, figure in FIGURES.items() if figure.metric}
        clocks = _gauge("cpu_frequency_hertz", "Clock of a CPU cluster", "cluster")
        throttled = _gauge("throttled", "1 while any throttling is active")
        for device in self._devices:
            name, session, telemetry = device.name, device.session, device.last_telemetry
            for each in Phase:
                phase.add_metric([name, each.value], float(session.phase is each))
            for outcome in Outcome:
                outcomes.add_metric([name, outcome.name.lower()], device.outcomes[outcome])
            held.add_metric([name], session.held)
            outbox.add_metric([name], len(session.outbox))
            cached.add_metric([name], device.cache.size_bytes)
            for field, gauge in figures.items():
                if (reading := getattr(telemetry, field)) is not None:
                    gauge.add_metric([name], reading)
            for number, khz in enumerate(telemetry.frequency_khz):
                clocks.add_metric([name, str(number)], khz * 1000.0)
            throttled.add_metric([name], bool(telemetry.throttling))
        yield from (phase, outcomes, held, outbox, cached, *figures.values(), clocks, throttled)


def _gauge(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"tvmfarm_agent_{name}", told, labels=["device", *labels])


@contextmanager
def serve_metrics(devices: Sequence[SessionDriver], port: int) -> Iterator[int]:
    """Serve metrics on ``port`` (0: any) of every interface; yields the port. SettingsError where it is taken."""
    registry = CollectorRegistry()
    registry.register(DeviceCollector(devices))
    try:
        server, thread = start_http_server(port, everywhere(), registry)
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
