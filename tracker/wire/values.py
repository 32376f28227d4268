"""Messages of a peer that may be newer, as values."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tvm_farm.protos.convert import UnknownValue, from_message
from tvm_farm.protos.names import parse_given_name, parse_line
from tvm_farm.tracker.domain.errors import InvalidRequest

__all__ = ["read", "read_given_name", "read_line", "read_numbers"]

V = TypeVar("V")

#: What is kept as it is told, and says of a number that it is none.
_AS_TOLD = {"Telemetry", "JobResult"}


def read(value_type: type[V], message: Message) -> V:
    """``message`` as a value. Raises InvalidRequest for an enum that this version does not know, or that is not set."""
    try:
        return from_message(value_type, message)
    except UnknownValue as e:
        raise InvalidRequest(f"{e}: upgrade the tracker") from e
    except ValueError as e:
        raise InvalidRequest(str(e)) from e


def read_given_name(text: str, of: str) -> str:
    """As ``parse_given_name``. Raises InvalidRequest."""
    try:
        return parse_given_name(text, of)
    except ValueError as e:
        raise InvalidRequest(str(e)) from e


def read_line(text: str, of: str) -> str:
    """``text`` without the space around it, as ``parse_line``. Raises InvalidRequest."""
    try:
        return parse_line(text.strip(), of)
    except ValueError as e:
        raise InvalidRequest(str(e)) from e


def read_numbers(value_type: type[V], message: Message) -> V:
    """As ``read``, of what the store is to keep.

    Raises InvalidRequest besides for a NaN, but in timings and telemetry.
    """
    if name := _no_number(message):
        raise InvalidRequest(f"{name} is no number")
    return read(value_type, message)


def _no_number(message: Message) -> str:
    """The full name of a field that is NaN; "" where none is."""
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.type == FieldDescriptor.TYPE_DOUBLE and not field.is_repeated and value != value:
                return str(field.full_name)
        elif field.message_type.name not in _AS_TOLD and not field.message_type.GetOptions().map_entry:
            for part in value if field.is_repeated else (value,):
                if name := _no_number(part):
                    return name
    return ""
