"""TFLite models made by hand, operator by operator, with the schema that LiteRT brings along: no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

__all__ = ["Quantized", "TfliteModel"]

TYPES = {np.dtype(kind).name: getattr(schema.TensorType, kind.upper()) for kind in (
    "float16", "float32", "int8", "int16", "int32", "int64", "uint8", "bool", "uint32", "float64", "complex64",
)}  # fmt: skip
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


@dataclass(frozen=True)
class Quantized:
    """``real = scale * (stored - zero)``; several scales belong to the slices along ``axis``."""

    scale: float | Sequence[float]
    zero: int = 0
    axis: int = 0


class TfliteModel:
    """A model of one subgraph. Tensors are named by number; LiteRT finds the shapes of what operators give."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[], name="main")
        self.model = schema.ModelT(
            version=3, operatorCodes=[], subgraphs=[self.graph], description="by hand", buffers=[schema.BufferT()]
        )

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32", quantized: Quantized | None = None) -> int:
        """A size of -1 is open."""
        number = self._tensor(name, [max(1, size) for size in shape], dtype, quantized)
        if -1 in shape:
            self.graph.tensors[number].shapeSignature = list(shape)
        self.graph.inputs.append(number)
        return number

    def constant(self, value: Any, quantized: Quantized | None = None) -> int:
        array = np.asarray(value)
        number = self._tensor(f"c{len(self.graph.tensors)}", array.shape, array.dtype.name, quantized)
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(array.tobytes(), np.uint8)))
        self.graph.tensors[number].buffer = len(self.model.buffers) - 1
        return number

    def add(
        self,
        operator: str,
        inputs: Sequence[int],
        options: Any = None,
        dtype: str | Sequence[str] = "float32",
        quantized: Quantized | None = None,
        custom: str = "",
        version: int = 1,
    ) -> Any:
        """Number of its output, a list of them where ``dtype`` is one. ``options``: an ``…OptionsT`` of the schema."""
        kinds = [dtype] if isinstance(dtype, str) else list(dtype)
        outputs = [self._tensor(f"t{len(self.graph.tensors)}", (), kind, quantized) for kind in kinds]
        code = getattr(schema.BuiltinOperator, operator)
        self.model.operatorCodes.append(
            schema.OperatorCodeT(
                builtinCode=code, deprecatedBuiltinCode=min(code, 127), customCode=custom or None, version=version
            )
        )
        chosen = type(options).__name__.removesuffix("T") if options is not None else "NONE"
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=len(self.model.operatorCodes) - 1,
                inputs=list(inputs),
                outputs=outputs,
                builtinOptionsType=getattr(schema.BuiltinOptions, chosen),
                builtinOptions=options,
            )
        )
        return outputs[0] if isinstance(dtype, str) else outputs

    def build(self, *outputs: int) -> bytes:
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, name: str, shape: Sequence[int], dtype: str, quantized: Quantized | None) -> int:
        described = None
        if quantized is not None:
            scales = np.atleast_1d(np.asarray(quantized.scale, np.float32))
            described = schema.QuantizationParametersT(
                scale=scales, zeroPoint=np.full(scales.shape, quantized.zero), quantizedDimension=quantized.axis
            )
        self.graph.tensors.append(
            schema.TensorT(shape=list(shape), type=TYPES[dtype], name=name, quantization=described, hasRank=True)
        )
        return len(self.graph.tensors) - 1
