"""Plain values to and from protobuf messages, field by field, by name.

Both sides of the wire keep their own frozen dataclasses and never let a protobuf type out of
their wire modules. A dataclass mirrors a message when every one of its fields has the name of
a field of that message; this module carries values across. Rules:

- a sub-message or a scalar with presence (``optional``, ``oneof``) that is unset reads as
  ``None`` where the dataclass field admits ``None``, else as the default of its type;
- ``None`` leaves a field unset;
- ``repeated`` reads as a tuple, ``map`` as a dict;
- an enum member ``NAME`` is the protobuf value ``TYPE_PREFIX_NAME``; the value
  ``…_UNSPECIFIED`` is ``None``.

A dataclass field without a counterpart in the message is a bug and raises ``TypeError`` the
first time the pair is used.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["from_message", "to_message"]

V = TypeVar("V")
M = TypeVar("M", bound=Message)


def from_message(value_type: type[V], message: Message) -> V:
    """The value that ``message`` describes. Raises ValueError for an enum number not known here."""
    kinds: tuple[Any, Any] = (value_type, type(message))
    return value_type(**{name: read(message) for name, read in _readers(*kinds)})


def to_message(message_type: type[M], value: Any) -> M:
    """``value`` as a new message. Raises TypeError where a field has no counterpart."""
    message = message_type()
    _fill(message, value)
    return message


def _fill(message: Message, value: Any) -> None:
    kinds: tuple[Any, Any] = (type(value), type(message))
    for name, write in _writers(*kinds):
        item = getattr(value, name)
        if item is not None:
            write(message, item)


def _enum_prefix(field: FieldDescriptor) -> str:
    assert field.enum_type is not None
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.enum_type.name).upper() + "_"


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """``T | None`` as (T, True); anything else as (hint, False)."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        return rest[0], len(rest) < len(typing.get_args(hint))
    return hint, False


def _pairs(value_type: Any, message_type: Any) -> list[tuple[str, Any, FieldDescriptor]]:
    hints = typing.get_type_hints(value_type)
    described = message_type.DESCRIPTOR.fields_by_name
    pairs = []
    for field in dataclasses.fields(value_type):
        if field.name not in described:
            raise TypeError(f"{value_type.__name__}.{field.name} is not in {message_type.DESCRIPTOR.full_name}")
        pairs.append((field.name, hints[field.name], described[field.name]))
    return pairs


@functools.cache
def _readers(value_type: Any, message_type: Any) -> list[tuple[str, Callable[[Message], Any]]]:
    return [(name, _reader(name, hint, field)) for name, hint, field in _pairs(value_type, message_type)]


def _reader(name: str, hint: Any, field: FieldDescriptor) -> Callable[[Message], Any]:
    hint, optional = _unwrap(hint)
    if _is_map(field):
        return lambda m: dict(getattr(m, name))
    if _is_repeated(field):
        item = typing.get_args(hint)[0]
        if field.message_type is not None:
            return lambda m: tuple(from_message(item, part) for part in getattr(m, name))
        return lambda m: tuple(getattr(m, name))
    if field.message_type is not None:
        if optional:
            return lambda m: from_message(hint, getattr(m, name)) if m.HasField(name) else None
        return lambda m: from_message(hint, getattr(m, name))
    if field.enum_type is not None:
        names = field.enum_type.values_by_number
        cut = len(_enum_prefix(field))

        def read_enum(m: Message) -> Any:
            number = getattr(m, name)
            if number == 0:
                return None
            if number not in names:
                raise ValueError(f"{field.full_name}: this version does not know the value {number}")
            return hint[names[number].name[cut:]]

        return read_enum
    if optional and field.has_presence:
        return lambda m: getattr(m, name) if m.HasField(name) else None
    return lambda m: getattr(m, name)


@functools.cache
def _writers(value_type: Any, message_type: Any) -> list[tuple[str, Callable[[Message, Any], None]]]:
    return [(name, _writer(name, field)) for name, _, field in _pairs(value_type, message_type)]


def _writer(name: str, field: FieldDescriptor) -> Callable[[Message, Any], None]:
    if _is_map(field):
        return lambda m, v: getattr(m, name).update(v)
    if _is_repeated(field):
        if field.message_type is not None:

            def write_all(m: Message, v: Any) -> None:
                target = getattr(m, name)
                for item in v:
                    _fill(target.add(), item)

            return write_all
        return lambda m, v: getattr(m, name).extend(v)
    if field.message_type is not None:

        def write_one(m: Message, v: Any) -> None:
            target = getattr(m, name)
            target.SetInParent()
            _fill(target, v)

        return write_one
    if field.enum_type is not None:
        prefix, numbers = _enum_prefix(field), field.enum_type.values_by_name
        return lambda m, v: setattr(m, name, numbers[prefix + typing.cast(enum.Enum, v).name].number)
    return lambda m, v: setattr(m, name, v)
