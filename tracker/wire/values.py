"""Messages of a peer that may be newer, as values."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from tvm_farm.protos.convert import UnknownValue, from_message
from tvm_farm.tracker.domain.errors import InvalidRequest

__all__ = ["read"]

V = TypeVar("V")


def read(value_type: type[V], message: Message) -> V:
    """``message`` as a value. Raises InvalidRequest for an enum that this version does not know, or that is not set."""
    try:
        return from_message(value_type, message)
    except UnknownValue as e:
        raise InvalidRequest(f"{e}: upgrade the tracker") from e
    except ValueError as e:
        raise InvalidRequest(str(e)) from e
