"""The tables of the metrics have all that Prometheus would read."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from website.metrics import metrics_of, metrics_table


class Two(Collector):
    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("lab_kernels", "Kernels.", labels=["device", "outcome"])
        yield GaugeMetricFamily("lab_heat_celsius", "Heat.", value=1.0)


def test_a_metric_is_told_as_it_is_asked_for() -> None:
    assert metrics_of(Two()) == [
        ("`lab_kernels_total{device, outcome}`", "counter", "Kernels."),
        ("`lab_heat_celsius`", "gauge", "Heat."),
    ]


def test_both_programs_are_told_with_labels_and_without() -> None:
    page = metrics_table()
    for name in ("tvmfarm_devices{state}", "tvmfarm_queue_depth", "tvmfarm_agent_trials_total{device, outcome}"):
        assert f"| `{name}` |" in page
