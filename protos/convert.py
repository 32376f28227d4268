"""Plain values to and from protobuf messages, field by field, by name.

Both sides of the wire keep their own frozen dataclasses and never let a protobuf type out of
their wire modules. A dataclass mirrors a message when every one of its fields has the name of
a field of that message; this module carries values across. Rules:

- a sub-message or a scalar with presence (``optional``, ``oneof``) that is unset reads as
  ``None`` where the dataclass field admits ``None``, else as the default of its type;
- ``None`` leaves a field unset;
- ``repeated`` reads as a tuple, ``map`` as a dict;
- an enum member ``NAME`` is the protobuf value ``TYPE_PREFIX_NAME``; the value
  ``…_UNSPECIFIED`` is ``None`` where the dataclass field admits ``None``, else refused.

A dataclass field without a counterpart in the message is a bug and raises ``TypeError`` the
first time the pair is used.

For each pair one function is written out and compiled, once, as ``dataclasses`` does for
``__init__``: a trial crosses here four times, and walking its forty fields by reflection costs a
tracker three times as much.
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
from google.protobuf.message_factory import GetMessageClass

__all__ = ["UnknownValue", "fill", "from_message", "to_message"]

V = TypeVar("V")
M = TypeVar("M", bound=Message)


class UnknownValue(ValueError):
    """An enum number that a newer version of the wire has."""


def from_message(value_type: type[V], message: Message) -> V:
    """The value that ``message`` describes.

    Raises UnknownValue for an enum number not known here, and ValueError for an enum that has to be set and is not.
    """
    kinds: tuple[Any, Any] = (value_type, type(message))
    return typing.cast(V, _reader(*kinds)(message))


def to_message(message_type: type[M], value: Any) -> M:
    """``value`` as a new message. Raises TypeError where a field has no counterpart."""
    message = message_type()
    fill(message, value)
    return message


def fill(message: Message, value: Any) -> None:
    """``value`` into a message that is new. Raises TypeError where a field has no counterpart."""
    kinds: tuple[Any, Any] = (type(value), type(message))
    _writer(*kinds)(message, value)


@functools.cache
def _reader(value_type: Any, message_type: Any) -> Callable[[Message], Any]:
    """A function that makes a value of a message."""
    names: dict[str, Any] = {"value_type": value_type, "new": object.__new__}
    pairs = _pairs(value_type, message_type)
    assert not hasattr(value_type, "__post_init__")
    # A frozen dataclass's own __init__ sets field by field through object.__setattr__, in twice the time.
    fields = ", ".join(_reading(name, hint, field, names) for name, hint, field in pairs)
    lines = ["value = new(value_type)", "has = message.HasField", f"value.__dict__.update({fields})", "return value"]
    return _compiled("read", "message", lines, names)


@functools.cache
def _writer(value_type: Any, message_type: Any) -> Callable[[Message, Any], None]:
    """A function that fills a new message with a value."""
    names: dict[str, Any] = {}
    pairs = _pairs(value_type, message_type)
    lines = [line for name, hint, field in pairs for line in _writing(name, hint, field, names)]
    return _compiled("write", "message, value", lines or ["pass"], names)


def _compiled(name: str, parameters: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    body = "\n".join(f"    {line}" for line in lines)
    exec(f"def {name}({parameters}):\n{body}", names)
    return typing.cast(Callable[..., Any], names[name])


def _reading(name: str, hint: Any, field: FieldDescriptor, names: dict[str, Any]) -> str:
    """``name=…`` for the call that makes the value; what it needs beside the message is put into ``names``."""
    hint, optional = _unwrap(hint)
    source = f"message.{name}"
    if _is_map(field):
        return f"{name}=dict({source})"
    if _is_repeated(field):
        # Most are empty, and to find that out is cheaper than to walk through them.
        if field.message_type is None:
            return f"{name}=tuple(items) if (items := {source}) else ()"
        names[f"read_{name}"] = _reader(typing.get_args(hint)[0], _message_class(field))
        return f"{name}=tuple(map(read_{name}, items)) if (items := {source}) else ()"
    if field.message_type is not None:
        names[f"read_{name}"] = _reader(hint, _message_class(field))
        read = f"read_{name}({source})"
        return f"{name}={read} if has('{name}') else None" if optional else f"{name}={read}"
    if field.enum_type is not None:
        names[f"member_{name}"] = _Members(hint, field, optional)
        return f"{name}=member_{name}[{source}]"
    if optional and field.has_presence:
        return f"{name}={source} if has('{name}') else None"
    return f"{name}={source}"


def _writing(name: str, hint: Any, field: FieldDescriptor, names: dict[str, Any]) -> list[str]:
    hint, _ = _unwrap(hint)
    target = f"message.{name}"
    lines = [f"item = value.{name}", "if item is not None:"]
    if _is_map(field):
        return [*lines, f"    {target}.update(item)"]
    if _is_repeated(field):
        if field.message_type is None:
            # Most are empty, and reaching for a repeated field makes it.
            return [f"item = value.{name}", f"if item: {target}.extend(item)"]
        names[f"write_{name}"] = _writer(typing.get_args(hint)[0], _message_class(field))
        return [f"for item in value.{name}: write_{name}({target}.add(), item)"]
    if field.message_type is not None:
        names[f"write_{name}"] = _writer(hint, _message_class(field))
        return [*lines, f"    part = {target}", "    part.SetInParent()", f"    write_{name}(part, item)"]
    if field.enum_type is not None:
        prefix, numbers = _enum_prefix(field), field.enum_type.values_by_name
        names[f"number_{name}"] = {member: numbers[prefix + member.name].number for member in hint}
        return [*lines, f"    {target} = number_{name}[item]"]
    return [*lines, f"    {target} = item"]


class _Members(dict[int, Any]):
    """Enum members by their number on the wire. Raises KeyError where one has no counterpart."""

    def __init__(self, enum_type: type[enum.Enum], field: FieldDescriptor, optional: bool) -> None:
        super().__init__({0: None} if optional else {})
        assert field.enum_type is not None
        self._field = field.full_name
        prefix = len(_enum_prefix(field))
        for number, value in field.enum_type.values_by_number.items():
            if number:
                self[number] = enum_type[value.name[prefix:]]

    def __missing__(self, number: int) -> Any:
        if number == 0:
            raise ValueError(f"{self._field} is not set")
        raise UnknownValue(f"{self._field}: this version does not know the value {number}")


def _enum_prefix(field: FieldDescriptor) -> str:
    assert field.enum_type is not None
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.enum_type.name).upper() + "_"


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _message_class(field: FieldDescriptor) -> Any:
    assert field.message_type is not None
    return GetMessageClass(field.message_type)


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
