"""An operator on 8 bits has 256 answers: LiteRT computes them while importing, the model looks them up."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

from tvm_farm.tracker.tuning.models.importers.tflite.graph import Tensor
from tvm_farm.tracker.tuning.models.importers.tflite.judge import prepared
from tvm_farm.tracker.tuning.models.importers.tflite.node import Node
from tvm_farm.tracker.tuning.models.importers.values import Refused
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["answers_of"]


def answers_of(node: Node) -> np.ndarray:
    """What ``node``, an operator on one tensor, gives for every number of its input's dtype, from the lowest."""
    source, output = node.source(0), node.outputs[0]
    info = np.iinfo(source.dtype)
    every = np.arange(info.min, info.max + 1, dtype=source.dtype)
    proto = node.operator.proto
    operator = schema.OperatorT(
        opcodeIndex=0,
        inputs=[0],
        outputs=[1],
        builtinOptionsType=proto.builtinOptionsType,
        builtinOptions=proto.builtinOptions,
    )
    graph = schema.SubGraphT(
        tensors=[_vector(source), _vector(output)], inputs=[0], outputs=[1], operators=[operator], name="main"
    )
    code = getattr(schema.BuiltinOperator, node.op)
    codes = [schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=1)]
    model = schema.ModelT(version=3, operatorCodes=codes, subgraphs=[graph], buffers=[schema.BufferT()], description="")
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    try:
        interpreter = prepared(bytes(builder.Output()), {})
        interpreter.set_tensor(0, every)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(1))
    except (ValueError, RuntimeError) as error:
        raise Refused(f"LiteRT does not compute it: {sentence(error)}") from error


def _vector(tensor: Tensor) -> object:
    described = None
    if tensor.scale is not None:
        described = schema.QuantizationParametersT(scale=tensor.scale, zeroPoint=[tensor.zero] * len(tensor.scale))
    kind = getattr(schema.TensorType, tensor.dtype.upper())
    return schema.TensorT(shape=[256], type=kind, name=f"t{tensor.number}", quantization=described, hasRank=True)
