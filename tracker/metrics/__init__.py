"""What Prometheus sees of a farm."""

from tvm_farm.tracker.metrics.endpoint import MetricsEndpoint
from tvm_farm.tracker.metrics.snapshot import Snapshots

__all__ = ["MetricsEndpoint", "Snapshots"]
