"""A model is cut before what cannot be compiled where only picking follows: detectors end so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tvm_farm.tracker.tuning.models.importers.tflite.graph import Operator

__all__ = ["BY_VALUE", "tail_of"]

#: The shapes of their outputs depend on the values of their inputs, or their number of rounds does.
BY_VALUE = frozenset(
    {"NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "TFLite_Detection_PostProcess", "UNIQUE", "WHERE"}
)
#: What tuning is for: none of it is cut off.
_WEIGHTY = frozenset({"BATCH_MATMUL", "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})


def tail_of(operators: Sequence[Operator]) -> list[Operator]:
    """Those of ``BY_VALUE`` and all that follows from them; nothing where that is more than a tail."""
    tail: list[Operator] = []
    given: set[int] = set()
    for each in operators:
        if each.op in BY_VALUE or given & set(each.inputs):
            tail.append(each)
            given.update(each.outputs)
    return [] if any(each.op in _WEIGHTY for each in tail) else tail
