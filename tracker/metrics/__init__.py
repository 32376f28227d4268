"""What Prometheus sees of a farm."""

from tracker.metrics.endpoint import MetricsEndpoint
from tracker.metrics.snapshot import Snapshots

__all__ = ["MetricsEndpoint", "Snapshots"]
