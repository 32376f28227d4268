"""Any value of the farm in types that JSON has.

It carries the fields of the wire's messages by their names, enums by their values in words ("idle", "run timeout"),
times in Unix seconds and latencies in seconds. Raw bytes are left out.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

__all__ = ["jsonable"]


def jsonable(value: Any) -> Any:
    """``value`` in types that JSON has. Dataclasses become objects, without their fields of raw bytes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: jsonable(item) for name, item in named if not isinstance(item, bytes)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    return value
