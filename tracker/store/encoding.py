"""Values to and from JSON text, field by field. Bytes are left out and read back as their default."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import types
import typing
from typing import Any, TypeVar

import orjson

__all__ = ["decode", "encode", "encode_changed"]

V = TypeVar("V")


def encode(value: Any) -> str:
    """Dataclasses as objects, enum members as their values; a float that is not finite reads back as NaN."""
    return orjson.dumps(value, default=_left_out).decode()


def encode_changed(value: Any) -> str:
    """A dataclass as ``encode`` writes it, without the fields that have their defaults: the key of a value.

    So a field that is added later, with a default, leaves the keys of all that were kept before as they are.
    """
    changed = {
        each.name: getattr(value, each.name)
        for each in dataclasses.fields(value)
        if getattr(value, each.name) != each.default
    }
    return orjson.dumps(changed, default=_left_out).decode()


def decode(value_type: type[V], text: str) -> V:
    """The value that ``encode`` wrote. A field that it did not know has its default."""
    # Stores written before orjson may hold NaN, which it refuses to read.
    return typing.cast(V, _value(value_type, json.loads(text)))


def _left_out(value: Any) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} has no place in the store")


@functools.cache
def _hints(value_type: Any) -> dict[str, Any]:
    """Of the fields that are kept."""
    hints = typing.get_type_hints(value_type)
    return {name: hint for name, hint in hints.items() if bytes not in (hint, *typing.get_args(hint))}


def _value(hint: Any, plain: Any) -> Any:
    kind: Any = typing.get_origin(hint)
    if plain is None:
        return math.nan if hint is float else None
    if kind in (typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if kind is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_value(item, part) for part in plain)
    if dataclasses.is_dataclass(hint):
        build: Any = hint
        hints = _hints(build)
        return build(**{k: _value(hints[k], v) for k, v in plain.items() if k in hints})
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(plain)
    return plain
