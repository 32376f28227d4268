"""MatMulNBits of com.microsoft: matrices of 2, 4 or 8 bits, in blocks along their depth, unpacked while importing."""

from __future__ import annotations

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter

#: Bits that divide a byte, as ONNX Runtime packs them.
_BITS = (2, 4, 8)


@converter("MatMulNBits", domain="com.microsoft")
def matmul_packed(node: Node) -> Value:
    depth, columns, bits = (int(node.attribute(name, 4)) for name in ("K", "N", "bits"))
    block = int(node.attribute("block_size", 0))
    if bits not in _BITS:
        raise Refused(f"its weights have {bits} bits, and the farm unpacks {_BITS}")
    if block < 1:
        raise Refused(f"its block_size is {block}")
    if node.has(4):
        raise Refused("it reorders its columns by g_idx, which ONNX Runtime does not compute on a CPU either")
    blocks = -(-depth // block)
    weight = _unpacked(node.constant(1, "its weights").reshape(columns, blocks, -1), bits, block).astype(np.float32)
    scales = node.constant(2, "its scales").reshape(columns, blocks, 1)
    real = (weight - _zeros(node, columns, blocks, bits)) * scales.astype(np.float32)
    matrix = real.reshape(columns, blocks * block)[:, :depth].T
    dtype = node.dtype(0)
    product = node.emit(relax.op.matmul(node.tensor(0), relax.const(np.ascontiguousarray(matrix.astype(dtype)))))
    return node.emit(relax.op.add(product, node.tensor(5))) if node.has(5) else product


def _zeros(node: Node, columns: int, blocks: int, bits: int) -> np.ndarray:
    """Zeros of the blocks [n, blocks, 1]: packed like weights, or in the dtype of the scales, or the middle."""
    if not node.has(3):
        return np.full((1, 1, 1), 1 << (bits - 1), np.float32)
    zeros = node.constant(3, "its zero points")
    if zeros.dtype != np.uint8:
        return zeros.reshape(columns, blocks, 1).astype(np.float32)
    return _unpacked(zeros.reshape(columns, -1), bits, blocks)[..., None].astype(np.float32)


def _unpacked(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """The first ``count`` numbers of ``bits`` each in the last axis, lowest bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    spread = (packed[..., None] >> shifts) & ((1 << bits) - 1)
    numbers = spread.reshape(*packed.shape[:-1], -1)
    if numbers.shape[-1] < count:
        raise Refused(f"it has {numbers.shape[-1]} packed numbers where {count} are needed")
    return np.asarray(numbers[..., :count])
