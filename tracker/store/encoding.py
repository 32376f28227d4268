"""Values to and from JSON text, field by field. Bytes are left out and read back as their default."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from typing import Any, TypeVar

__all__ = ["decode", "encode"]

V = TypeVar("V")


_JSON = json.JSONEncoder(separators=(",", ":"))
_SCALARS = frozenset((str, int, float, bool, type(None)))


def encode(value: Any) -> str:
    return _JSON.encode(_plain(value))


def decode(value_type: type[V], text: str) -> V:
    """The value that ``encode`` wrote. A field that it did not know has its default."""
    return typing.cast(V, _value(value_type, json.loads(text)))


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if dataclasses.is_dataclass(value):
        fields = ((name, getattr(value, name)) for name in _names(_type(value)))
        return {name: _plain(item) for name, item in fields if not isinstance(item, bytes)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return value


def _type(value: Any) -> Any:
    return type(value)


@functools.cache
def _names(value_type: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(value_type))


@functools.cache
def _hints(value_type: Any) -> dict[str, Any]:
    return typing.get_type_hints(value_type)


def _value(hint: Any, plain: Any) -> Any:
    kind: Any = typing.get_origin(hint)
    if plain is None:
        return None
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
