"""Stock TVM and the farm side by side, in one run on one machine: ``python -m benchmarks``."""
