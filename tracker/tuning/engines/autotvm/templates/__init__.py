"""The farm's own templates: importing them registers them."""

from tvm_farm.tracker.tuning.engines.autotvm.templates import cpu, cpu_rows, gpu

__all__ = ["cpu", "cpu_rows", "gpu"]
