"""A snapshot as Prometheus metrics. Label sets are fixed, so a value that falls to zero is told as zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from tvm_farm.protos.device import FIGURES
from tvm_farm.tracker.domain import Device, DeviceState, Job, JobState, Outcome
from tvm_farm.tracker.measuring.histogram import BUCKETS_S
from tvm_farm.tracker.metrics.snapshot import Snapshot

__all__ = ["FarmCollector"]


class FarmCollector(Collector):
    """Collects from ``take``, which gives the present snapshot to any thread."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot = self._take()
        yield from _devices(snapshot.devices)
        yield from _measuring(snapshot)
        yield from _jobs(snapshot)
        writes = snapshot.writes
        yield SummaryMetricFamily(
            "tvmfarm_store_write_seconds",
            "Time to commit one group of records.",
            count_value=writes.groups,
            sum_value=writes.seconds,
        )
        yield CounterMetricFamily("tvmfarm_records_stored", "Records committed.", value=writes.records)


def _devices(devices: list[Device]) -> Iterator[Metric]:
    states = GaugeMetricFamily("tvmfarm_devices", "Devices by state.", labels=["state"])
    count = Counter(device.state for device in devices)
    for state in DeviceState:
        states.add_metric([state.value], count[state])
    yield states
    labels = ["device"]
    utilisation = GaugeMetricFamily(
        "tvmfarm_device_utilisation_ratio", "Share of the last minute spent executing.", labels=labels
    )
    figures = {
        name: GaugeMetricFamily(f"tvmfarm_device_{figure.metric}", figure.about, labels=labels)
        for name, figure in FIGURES.items()
        if figure.metric
    }
    frequency = GaugeMetricFamily(
        "tvmfarm_device_frequency_hertz", "Present frequency of a CPU cluster.", labels=["device", "cluster"]
    )
    throttled = GaugeMetricFamily("tvmfarm_device_throttled", "1 while the board limits its clock.", labels=labels)
    measured = CounterMetricFamily("tvmfarm_device_measurements", "Measurements that a device answered.", labels=labels)
    for device in devices:
        measured.add_metric([device.name], device.measured)
        utilisation.add_metric([device.name], device.utilisation)
        telemetry = device.telemetry
        if telemetry is None or device.state is DeviceState.LOST:
            continue
        for name, gauge in figures.items():
            if (reading := getattr(telemetry, name)) is not None:
                gauge.add_metric([device.name], reading)
        for number, khz in enumerate(telemetry.frequency_khz):
            frequency.add_metric([device.name, str(number)], khz * 1000.0)
        throttled.add_metric([device.name], float(bool(telemetry.throttling)))
    yield from (utilisation, *figures.values(), frequency, throttled, measured)


def _measuring(snapshot: Snapshot) -> Iterator[Metric]:
    answered = CounterMetricFamily("tvmfarm_measurements", "Trials answered, by outcome.", labels=["outcome"])
    for outcome in Outcome:
        answered.add_metric([outcome.value], snapshot.answered[outcome])
    yield answered
    yield CounterMetricFamily(
        "tvmfarm_trials_recalled", "Trials answered from the log, which no device measured.", value=snapshot.recalled
    )
    yield GaugeMetricFamily("tvmfarm_queue_depth", "Trials that wait for a device.", value=snapshot.queued)
    buckets, total = [], 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), snapshot.waited.counts, strict=True):
        total += count
        buckets.append((bound, total))
    yield HistogramMetricFamily(
        "tvmfarm_queue_wait_seconds",
        "Time from a trial's arrival to its sending.",
        buckets=buckets,
        sum_value=snapshot.waited.total_s,
    )


def _jobs(snapshot: Snapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily("tvmfarm_workers_connected", "Tuning workers connected.", value=snapshot.workers)
    states = GaugeMetricFamily("tvmfarm_jobs", "Jobs by state.", labels=["state"])
    for state in JobState:
        states.add_metric([state.value], snapshot.jobs[state])
    yield states
    trials = GaugeMetricFamily("tvmfarm_job_trials", "Trials recorded for a running job.", labels=["job"])
    budget = GaugeMetricFamily("tvmfarm_job_budget_ratio", "Share of a running job's budget used.", labels=["job"])
    best = GaugeMetricFamily(
        "tvmfarm_task_best_seconds", "Best latency of a running job's task.", labels=["job", "task", "name"]
    )
    for job in snapshot.running:
        trials.add_metric([job.id], job.trials)
        budget.add_metric([job.id], _budget_used(job))
        for task in job.tasks:
            if task.best_s:
                best.add_metric([job.id, task.id, task.name], task.best_s)
    yield from (trials, budget, best)


def _budget_used(job: Job) -> float:
    spec = job.spec
    by_time = job.tuned_for_s / spec.budget_s if spec.budget_s else 0.0
    by_trials = job.trials / spec.max_trials if spec.max_trials else 0.0
    return min(1.0, max(by_time, by_trials))
