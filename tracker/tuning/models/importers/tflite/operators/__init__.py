"""Converters of the farm's own, by family. Their import fills the tables of ``node.py``."""

from tvm_farm.tracker.tuning.models.importers.tflite.operators import (
    convolution,
    elementwise,
    indexing,
    movement,
    normalization,
    pooling,
    quantized,
    quantized_sums,
    reduction,
    resize,
)

__all__ = [
    "convolution",
    "elementwise",
    "indexing",
    "movement",
    "normalization",
    "pooling",
    "quantized",
    "quantized_sums",
    "reduction",
    "resize",
]
