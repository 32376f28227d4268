"""What a question in SQL was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tvm_farm.tracker.domain import SqlAnswer

__all__ = ["cell_value", "row_documents"]


def row_documents(answer: SqlAnswer) -> Iterator[dict[str, Any]]:
    """An object a row. Of columns with one name the last one stays."""
    return (dict(zip(answer.columns, map(cell_value, row), strict=True)) for row in answer.rows)


def cell_value(value: Any) -> Any:
    """A blob as its bytes in hex, else ``value``."""
    return value.hex() if isinstance(value, bytes) else value
