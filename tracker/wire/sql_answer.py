"""Rows of a question in SQL as messages: one for about a megabyte of them."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_farm.protos.farm.v1 import record_pb2
from tvm_farm.tracker.domain import SqlAnswer

__all__ = ["sql_answer"]

_TOGETHER_BYTES = 1 << 20


def sql_answer(answer: SqlAnswer) -> Iterator[record_pb2.SqlAnswer]:
    """The columns come with the first, whether it was cut with the last."""
    message, size = record_pb2.SqlAnswer(columns=answer.columns), 0
    for row in answer.rows:
        part = record_pb2.SqlRow(values=map(_value, row))
        size += part.ByteSize()
        message.rows.append(part)
        if size > _TOGETHER_BYTES:
            yield message
            message, size = record_pb2.SqlAnswer(), 0
    message.cut = answer.cut
    yield message


def _value(value: int | float | str | bytes | None) -> record_pb2.SqlValue:
    if value is None:
        return record_pb2.SqlValue()
    if isinstance(value, int):
        return record_pb2.SqlValue(integer=value)
    if isinstance(value, float):
        return record_pb2.SqlValue(real=value)
    return record_pb2.SqlValue(text=value) if isinstance(value, str) else record_pb2.SqlValue(blob=value)
