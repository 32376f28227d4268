"""The operators of a TFLite graph, one after the other.

Each is converted by the farm's own converters, else by TVM's where those answer right. What comes out is held against
the dtype that the file gives its output and the shape that LiteRT found for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relax

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.survey import Fate, Survey
from tvm_farm.tracker.tuning.models.importers.tflite.cut import BY_VALUE
from tvm_farm.tracker.tuning.models.importers.tflite.graph import Graph, Operator, Tensor
from tvm_farm.tracker.tuning.models.importers.tflite.node import CONVERTERS, QUANTIZED, Node
from tvm_farm.tracker.tuning.models.importers.tflite.stock import TRUSTED, Stock
from tvm_farm.tracker.tuning.models.importers.values import Refused, Value, dtype_of, shape_of
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["Walk"]

_STATEFUL = {"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"}
_CONTROL = {"CALL", "IF", "STABLEHLO_WHILE", "WHILE"}
_RANDOM = {"MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"}


class Walk:
    """One import. ``name``: of the model, for messages. ``builder`` is inside the function that it makes.

    With a ``survey`` it goes on past an operator that it refuses, as if that gave what LiteRT found.
    """

    def __init__(self, graph: Graph, builder: relax.BlockBuilder, name: str, survey: Survey | None = None) -> None:
        self._survey = survey
        self._graph = graph
        self._builder = builder
        self._name = name
        self._values: dict[int, Value] = dict(graph.known)
        self._stock = Stock(graph, builder, self._values.__getitem__)
        #: Values that the model computes, in order, each with its operator.
        self.trail: list[tuple[str, str]] = []

    def run(self, inputs: Sequence[relax.Var]) -> dict[int, Value]:
        """All values by their tensors' numbers. Raises InputError, which names the operator that stopped it."""
        self._values.update(zip(self._graph.inputs, inputs, strict=True))
        for number, operator in enumerate(self._graph.operators):
            outputs = [self._graph.tensors[at] for at in operator.outputs]
            for tensor, value in zip(outputs, self._outputs(operator, outputs, number), strict=True):
                self._values[tensor.number] = value
                if not isinstance(value, np.ndarray):
                    self.trail.append((tensor.name, operator.op))
        return self._values

    def _outputs(self, operator: Operator, outputs: Sequence[Tensor], number: int) -> list[Value]:
        where = f"operator number {number} ({operator.op}{f', giving {outputs[0].name}' if outputs else ''})"
        try:
            fate, values = self._convert(operator, outputs)
        except Exception as error:  # Refused, and TVM's converters and passes raise whatever they meet
            told = f"TVM {tvm.__version__} cannot import it: {sentence(error)}"
            reason = str(error) if isinstance(error, Refused) else told
            if self._survey is None:
                raise InputError(f"{self._name}: {where}: {reason}.") from error
            self._survey.obstacle(where, operator.op, reason)
            fate = Fate.REFUSED
            values = [relax.Var(each.name, relax.TensorType(each.shape, each.dtype)) for each in outputs]
        if self._survey is not None:
            self._survey.met(number, operator.op, fate)
        return values

    def _convert(self, operator: Operator, outputs: Sequence[Tensor]) -> tuple[Fate, list[Value]]:
        given = [self._graph.tensors[at] if at >= 0 else None for at in operator.inputs]
        _check(operator, [each for each in given if each is not None])
        inputs = tuple(None if each is None else self._values[each.number] for each in given)
        node = Node(operator, inputs, tuple(given), tuple(outputs), self._builder)
        own = (QUANTIZED if node.quantized else CONVERTERS).get(operator.op)
        if own is not None:
            result = own(node)
            values, fate = [result] if isinstance(result, np.ndarray | relax.Expr) else list(result), Fate.BY_FARM
        elif node.quantized:
            raise Refused("the farm cannot import this operator on quantized tensors")
        elif operator.op in TRUSTED:
            values, fate = self._stock.convert(node), Fate.BY_TVM
        else:
            raise Refused("the farm cannot import this operator")
        return fate, [self._checked(value, tensor) for value, tensor in zip(values, outputs, strict=False)]

    def _checked(self, value: Value, tensor: Tensor) -> Value:
        if isinstance(value, relax.Expr):
            value = self._builder.emit(value)
            if not isinstance(value.ty, relax.TensorType):
                raise Refused("its output is no tensor")
        if (dtype_of(value), shape_of(value)) != (tensor.dtype, tensor.shape):
            told = f"{dtype_of(value)}{list(shape_of(value))}"
            raise Refused(f"the import gives {told} where LiteRT gives {tensor.dtype}{list(tensor.shape)}")
        return value


def _check(operator: Operator, given: Sequence[Tensor]) -> None:
    """Raises Refused for what no converter can know of."""
    if operator.op in _STATEFUL or any(tensor.variable for tensor in given):
        raise Refused("it keeps a state from one run of the model to the next, and a tuned model has none")
    if operator.op in _CONTROL:
        raise Refused("what the model computes depends on the values of its inputs")
    if operator.op in _RANDOM:
        raise Refused("it draws random numbers, so that nothing can judge the answers")
    if operator.op in BY_VALUE:
        raise Refused("the shape of its output depends on the values of the model's inputs")
    if any(tensor.sparse for tensor in given):
        raise Refused("it computes with sparse weights as they are; the farm takes them where DENSIFY unpacks them")
    if any(tensor.uneven for tensor in given):
        raise Refused("slices of its weights have zero points that differ")
