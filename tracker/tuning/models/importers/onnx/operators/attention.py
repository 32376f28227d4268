"""The attentions of com.microsoft: head by head, scores and sums in float32.

ONNX's own Attention is computed as the function of its schema. Contracts: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.normalizing import stash
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import cast, constant, pointwise, reshaped, tanh
from tvm_farm.tracker.tuning.models.importers.onnx.operators.products import permuted, product, scaled

_MICROSOFT = "com.microsoft"
#: What a masked score becomes in float32; the exponential of its difference to any other is 0.
_LOWEST = float(np.finfo(np.float32).min)


@converter("RotaryEmbedding", domain=_MICROSOFT)
def rotary_embedding(node: Node) -> Value:
    """Input [batch, length, hidden], or [batch, heads, length, size]; positions one for all, or one a token."""
    if node.attribute("is_packed_batching", 0):
        raise Refused("its batch is packed (is_packed_batching)")
    flat = len(node.shape(0)) == 3
    part = int(node.attribute("rotary_embedding_dim", 0))
    heads = int(node.attribute("num_heads", 0))
    if flat:
        size = node.shape(0)[2] // heads if heads else node.shape(2)[1] * 2
        if part and not heads:
            raise Refused("a part of each head is turned (rotary_embedding_dim), and num_heads is missing")
        value = _heads(node, node.value(0), node.shape(0)[2] // size)
    else:
        value, size = node.value(0), node.shape(0)[3]
    places, (batch, _, length, _) = node.value(1), shape_of(value)
    if shape_of(places) != (batch, length):
        offsets = np.arange(length, dtype=np.int64)[None, :]
        start = reshaped(node, cast_to(node, places, "int64"), (1, 1))
        places = pointwise(node, lambda a, b: a + b, start, np.repeat(offsets, batch, axis=0))
    found = _turned(node, value, places, node.value(2), node.value(3), part or size)
    return _flat(node, found) if flat else found


@converter("MultiHeadAttention", domain=_MICROSOFT)
def multi_head_attention(node: Node) -> list[Value]:
    heads = int(node.attribute("num_heads"))
    _refuse(node, {8: "past_sequence_length", 9: "cache_indirection"})
    query, key, value = _split_heads(node, heads)
    if node.has(6):
        key, value = (_joined(node, node.value(at), new) for at, new in ((6, key), (7, value)))
    masks = []
    if node.has(4):
        masks.append(_mask(node, 4, shape_of(query)[2], shape_of(key)[2], -10000.0))
    if node.attribute("unidirectional", 0):
        masks.append(_causal(shape_of(query)[2], shape_of(key)[2]))
    if node.has(5):
        masks.append(stash(node, node.value(5)))
    found, scores = _attended(node, query, key, value, masks)
    return [_flat(node, found), key, value, scores]


@converter("Attention", domain=_MICROSOFT)
def attention(node: Node) -> list[Value]:
    """Query, key and value are one product with the input; ``present`` holds keys and values."""
    _refuse(node, {6: "past_sequence_length"})
    if node.attribute("do_rotary", 0) or node.attribute("past_present_share_buffer", 0):
        raise Refused("rotary embeddings and shared buffers are not imported in this attention")
    heads, width = int(node.attribute("num_heads")), node.shape(1)[1]
    sizes = list(node.attribute("qkv_hidden_sizes") or [width // 3] * 3)
    whole: Value = product(node, node.value(0), node.value(1))
    if node.has(2):
        whole = pointwise(node, lambda x, b: x + cast(b, str(x.ty)), whole, node.value(2))
    whole = cast_to(node, whole, node.dtype(0))
    parts = relax.op.split(as_expression(whole), [sizes[0], sizes[0] + sizes[1]], axis=2)
    three = node.emit(parts)
    query, key, value = (_heads(node, node.emit(relax.TupleGetItem(three, k)), heads) for k in range(3))
    if node.has(4):
        past = node.emit(relax.op.split(node.tensor(4), 2, axis=0))
        old = [node.emit(relax.op.squeeze(node.emit(relax.TupleGetItem(past, k)), [0])) for k in range(2)]
        key, value = _joined(node, old[0], key), _joined(node, old[1], value)
    masks = []
    if node.has(3):
        filled = float(node.attribute("mask_filter_value", -10000.0))
        masks.append(_mask(node, 3, shape_of(query)[2], shape_of(key)[2], filled))
    if node.attribute("unidirectional", 0):
        masks.append(_causal(shape_of(query)[2], shape_of(key)[2]))
    if node.has(5):
        masks.append(stash(node, node.value(5)))
    found, _ = _attended(node, query, key, value, masks)
    outputs = [_flat(node, found)]
    if any(node.outputs[1:2]):
        outputs.append(node.emit(relax.op.stack([as_expression(key), as_expression(value)], axis=0)))
    return outputs


@converter("GroupQueryAttention", domain=_MICROSOFT)
def group_query_attention(node: Node) -> list[Value]:
    """Keys and values lie in a cache, each sample's new ones from where its past ends."""
    _refuse(node, dict.fromkeys(range(9, 24), "an input beyond the two tables of the rotary embedding"))
    for name in ("smooth_softmax", "qk_output", "sliding_window_cache"):
        if node.attribute(name, 0):
            raise Refused(f"its attribute {name} is not imported")
    if any(str(node.attribute(name, "NONE")).upper() not in ("NONE", "0") for name in ("k_quant_type", "v_quant_type")):
        raise Refused("its cache is quantized")
    heads, groups = int(node.attribute("num_heads")), int(node.attribute("kv_num_heads"))
    total = int(node.constant(6, "its total_sequence_length").item())
    query, key, value = _grouped(node, heads, groups)
    batch, _, length, _ = shape_of(query)
    last = reshaped(node, cast_to(node, node.value(5), "int64"), (batch, 1))
    past: Value = np.zeros((batch, 1), np.int64)
    if length != total:  # else it is a prompt: samples are padded behind, and none has a past
        past = pointwise(node, lambda n: n + tirx.const(1 - length, "int64"), last)
    if node.attribute("do_rotary", 0):
        if node.attribute("rotary_interleaved", 0) not in (0, 1):
            raise Refused("its rotary_interleaved is neither 0 nor 1")
        places = pointwise(node, lambda p, s: p + s, past, np.arange(length, dtype=np.int64)[None, :])
        part = 2 * node.shape(7)[1]
        query, key = (_turned(node, x, places, node.value(7), node.value(8), part) for x in (query, key))
    room = max(total, node.shape(3)[2] if node.has(3) else 0)
    key, value = (_cached(node, at, new, past, room) for at, new in ((3, key), (4, value)))
    window = int(node.attribute("local_window_size", -1))
    mask = _frontier(node, past, last, length, room, window)
    found, _ = _attended(node, query, key, value, [mask], heads // groups)
    return [_flat(node, found), key, value]


def _refuse(node: Node, inputs: dict[int, str]) -> None:
    for position, name in inputs.items():
        if node.has(position):
            raise Refused(f"it is given {name}, which is not imported")


def _split_heads(node: Node, heads: int) -> tuple[Value, Value, Value]:
    """[batch, heads, length, size] each, their bias added."""
    if not node.has(1) or not node.has(2):
        raise Refused("its inputs are packed, which ONNX Runtime does not compute on CPUs either")
    query, key, value = (node.value(position) for position in range(3))
    bias, width = node.value(3) if node.has(3) else None, node.shape(0)[2]
    query = _heads(node, _biased(node, query, bias, 0, width), heads)
    if len(shape_of(key)) == 4:  # keys and values of a cross attention, as a cache has them
        return query, key, value
    key = _biased(node, key, bias, width, node.shape(1)[2])
    value = _biased(node, value, bias, width + node.shape(1)[2], node.shape(2)[2])
    return query, _heads(node, key, heads), _heads(node, value, heads)


def _biased(node: Node, value: Value, bias: Value | None, start: int, size: int) -> Value:
    if bias is None:
        return value
    if isinstance(bias, np.ndarray):
        part: Value = bias[start : start + size]
    else:
        part = node.emit(relax.op.strided_slice(bias, [0], [start], [start + size]))
    return node.emit(relax.op.add(as_expression(value), as_expression(part)))


def _grouped(node: Node, heads: int, groups: int) -> tuple[Value, Value, Value]:
    if node.has(1):
        key, value = (_heads(node, node.value(position), groups) for position in (1, 2))
        return _heads(node, node.value(0), heads), key, value
    whole = _heads(node, node.value(0), heads + 2 * groups)
    parts = node.emit(relax.op.split(as_expression(whole), [heads, heads + groups], axis=1))
    query, key, value = (node.emit(relax.TupleGetItem(parts, k)) for k in range(3))
    return query, key, value


def _heads(node: Node, value: Value, heads: int) -> Value:
    """[batch, length, hidden] as [batch, heads, length, size]."""
    batch, length, hidden = shape_of(value)
    return permuted(node, reshaped(node, value, (batch, length, heads, hidden // heads)), (0, 2, 1, 3))


def _flat(node: Node, value: Value) -> Value:
    batch, heads, length, size = shape_of(value)
    return reshaped(node, permuted(node, value, (0, 2, 1, 3)), (batch, length, heads * size))


def _joined(node: Node, past: Value, new: Value) -> Value:
    return node.emit(relax.op.concat([as_expression(past), as_expression(new)], axis=2))


def _turned(node: Node, value: Value, places: Value, cos: Value, sin: Value, part: int) -> Value:
    """The first ``part`` of each head turned by its place; pairs lie side by side where ``interleaved``."""
    beside = bool(node.attribute("interleaved", 0) or node.attribute("rotary_interleaved", 0))
    factor = float(node.attribute("scale", 1.0)) if node.op == "RotaryEmbedding" else 1.0
    half = part // 2

    def program(x: te.Tensor, at: te.Tensor, c: te.Tensor, s: te.Tensor) -> te.Tensor:
        def element(b: Any, n: Any, t: Any, h: Any) -> Any:
            first = tirx.floormod(h, 2) == 0 if beside else h < half
            other = tirx.Select(first, h + 1, h - 1) if beside else tirx.Select(first, h + half, h - half)
            other = tirx.Select(h < part, other, h)
            entry = tirx.Select(h < part, tirx.floordiv(h, 2) if beside else tirx.floormod(h, half), 0)
            wide = "float64" if str(x.dtype) == "float64" else "float32"
            angle = [table(at(b, t), entry).astype(wide) for table in (c, s)]
            own, pair = x(b, n, t, h).astype(wide), x(b, n, t, other).astype(wide)
            turned = own * angle[0] + tirx.Select(first, -pair, pair) * angle[1]
            return cast(tirx.Select(h < part, turned, own) * tirx.const(factor, wide), str(x.dtype))

        return te.compute(shape_of(value), element, name="rotary")

    return node.te(program, value, places, cos, sin)


def _cached(node: Node, position: int, new: Value, past: Value, room: int) -> Value:
    """The cache at ``position`` with each sample's ``new`` entries from ``past`` on; 0 where nothing lies."""
    batch, heads, length, size = shape_of(new)
    old = node.value(position) if node.has(position) and node.shape(position)[2] else None
    given = [new, past] if old is None else [new, past, old]

    def program(fresh: te.Tensor, begin: te.Tensor, *cache: te.Tensor) -> te.Tensor:
        def element(b: Any, n: Any, t: Any, h: Any) -> Any:
            step = t.astype("int64") - begin(b, 0)
            inside = tirx.And(step >= tirx.const(0, "int64"), step < tirx.const(length, "int64"))
            place = tirx.Select(inside, step, tirx.const(0, "int64"))
            rest = tirx.const(0, dtype_of(new))
            if cache:
                limit = int(cache[0].shape[2])
                kept = cache[0](b, n, tirx.Select(t < limit, t, 0), h)
                rest = tirx.Select(tirx.And(t < limit, step < tirx.const(0, "int64")), kept, rest)
            return tirx.Select(inside, fresh(b, n, place, h), rest)

        return te.compute((batch, heads, room, size), element, name="cache")

    return node.te(program, *given)


def _frontier(node: Node, past: Value, last: Value, length: int, room: int, window: int) -> Value:
    """What each token may not see: what comes after it or the ``last`` one, what lies ``window`` and more before it."""

    def element(begin: Any, end: Any, row: Any, column: Any) -> Any:
        behind = begin + row - column
        seen = tirx.And(behind >= tirx.const(0, "int64"), column <= end)
        if window > 0:
            seen = tirx.And(seen, behind < tirx.const(window, "int64"))
        return tirx.Select(seen, tirx.const(0, "float32"), tirx.const(_LOWEST, "float32"))

    begin, end = (reshaped(node, each, (shape_of(each)[0], 1, 1, 1)) for each in (past, last))
    rows, columns = np.arange(length).reshape(1, 1, -1, 1), np.arange(room).reshape(1, 1, 1, -1)
    return pointwise(node, element, begin, end, rows, columns, name="frontier")


def _mask(node: Node, position: int, length: int, room: int, filled: float) -> Value:
    """Added to the scores: ``filled`` where a mask holds 0, or beyond the end (and before the start) of a sample."""
    shape, batch = node.shape(position), node.shape(0)[0]
    zero, low = tirx.const(0, "float32"), tirx.const(filled, "float32")
    if len(shape) == 1 and shape[0] in (batch, 2 * batch):
        ends = reshaped(node, node.value(position), (shape[0] // batch, batch, 1, 1, 1))
        columns = np.arange(room, dtype=np.int32).reshape(1, 1, 1, 1, room)
        later = pointwise(node, lambda end, at: cast(at >= end, "int32"), ends, columns)
        if shape[0] == batch:
            return pointwise(
                node, lambda x: tirx.Select(x == constant(1, x), low, zero), reshaped(node, later, (batch, 1, 1, room))
            )
        parts = node.emit(relax.op.split(as_expression(later), 2, axis=0))
        sides = [reshaped(node, node.emit(relax.TupleGetItem(parts, k)), (batch, 1, 1, room)) for k in range(2)]
        return pointwise(
            node, lambda x, y: tirx.Select(tirx.And(x == constant(0, x), y == constant(1, y)), zero, low), *sides
        )
    wanted = {2: (batch, 1, 1, room), 3: (batch, 1, length, room)}.get(len(shape))
    if wanted is None or int(np.prod(shape)) != int(np.prod(wanted)):
        raise Refused(f"its mask of shape {list(shape)} is not imported")
    mask = reshaped(node, node.value(position), wanted)
    return pointwise(node, lambda x: tirx.Select(x > constant(0, x), zero, low), mask)


def _causal(length: int, room: int) -> np.ndarray:
    seen = np.arange(room)[None, :] <= np.arange(length)[:, None] + room - length
    return np.where(seen, 0, _LOWEST).astype(np.float32).reshape(1, 1, length, room)


def _attended(
    node: Node, query: Value, key: Value, value: Value, masks: list[Value], shared: int = 1
) -> tuple[Value, Value]:
    """Output [batch, heads, length, size] and scores. ``shared``: heads of the query for one of the keys."""
    batch, heads, length, size = shape_of(query)
    groups, room, wide = shape_of(key)[1], shape_of(key)[2], shape_of(value)[3]
    kind = dtype_of(query)
    scale = float(node.attribute("scale", 0.0)) or 1 / math.sqrt(size)
    rows = reshaped(node, query, (batch, groups, shared * length, size))
    scores: Value = scaled(node, product(node, rows, permuted(node, key, (0, 1, 3, 2))), scale)
    scores = reshaped(node, scores, (batch, heads, length, room))
    if cap := float(node.attribute("softcap", 0.0)):
        scores = pointwise(node, lambda x: tanh(x / constant(cap, x)) * constant(cap, x), scores)
    for mask in masks:
        scores = node.emit(relax.op.add(as_expression(scores), as_expression(mask)))
    weights = node.emit(relax.op.nn.softmax(as_expression(scores), -1))
    flat = reshaped(node, weights, (batch, groups, shared * length, room))
    found = node.emit(relax.op.matmul(as_expression(flat), as_expression(stash(node, value))))
    return cast_to(node, reshaped(node, found, (batch, heads, length, wide)), kind), cast_to(node, weights, kind)
