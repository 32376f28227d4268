"""The tables of the metrics, from what the collectors of tracker and agent say of them."""

from __future__ import annotations

from collections import Counter

from prometheus_client.registry import Collector

from tvm_farm.agent.service.metrics import DeviceCollector
from tvm_farm.tracker.measuring.histogram import Histogram
from tvm_farm.tracker.metrics.collector import FarmCollector
from tvm_farm.tracker.metrics.snapshot import Snapshot
from tvm_farm.tracker.services.store_thread import WriteTimes
from website.markdown import table

__all__ = ["metrics_of", "metrics_table"]

#: A farm in which nothing has happened yet has all its metrics.
_NOTHING = Snapshot([], Counter(), 0, 0, Histogram(), Counter(), [], 0, WriteTimes())


def metrics_table() -> str:
    """The tracker's metrics, then an agent's."""
    header = ("metric", "kind", "tells")
    farm = table(header, metrics_of(FarmCollector(lambda: _NOTHING)))
    agent = table(header, metrics_of(DeviceCollector([])))
    return f"The tracker serves:\n\n{farm}\n\nAn agent serves, with `--metrics-port`:\n\n{agent}"


def metrics_of(collector: Collector) -> list[tuple[str, str, str]]:
    """The name with its labels, the kind and the meaning of each metric of ``collector``."""
    rows = []
    for metric in collector.collect():
        labels = ", ".join(getattr(metric, "_labelnames", ()))
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        rows.append((f"`{name}{{{labels}}}`" if labels else f"`{name}`", metric.type, metric.documentation))
    return rows
