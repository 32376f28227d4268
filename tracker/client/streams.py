"""Streams that end with their client, whoever still holds them.

A command that ends early raises out of a loop over a stream, and the error's traceback holds the iterator until the
interpreter goes down. By then gRPC's daemon threads stand still, one of them perhaps inside the call's lock: an
iterator that cancels its call there waits for ever, and the command with it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

__all__ = ["Streams", "stream"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Streams")


class Streams:
    """The part of FarmClient that knows its open streams."""

    def __init__(self) -> None:
        self._streams: WeakSet[Generator[object, None, None]] = WeakSet()

    def end_streams(self) -> None:
        """Close every iterator that a ``stream`` of this client gave, and is not at its end."""
        for iterator in list(self._streams):
            with suppress(ValueError):  # another thread waits for its next message: the end of the channel wakes it
                iterator.close()


def stream(method: Callable[Concatenate[S, P], Iterator[T]]) -> Callable[Concatenate[S, P], Iterator[T]]:
    """Mark a generator of a client's: ``Streams.end_streams`` closes what it gave."""

    @functools.wraps(method)
    def opened(client: S, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        iterator = method(client, *args, **kwargs)
        assert isinstance(iterator, Generator)
        client._streams.add(iterator)
        return iterator

    return opened
