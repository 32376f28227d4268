"""The farm's own templates: importing them registers them."""

from tracker.tuning.engines.autotvm.templates import cpu

__all__ = ["cpu"]
