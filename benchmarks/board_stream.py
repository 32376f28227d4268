"""One gRPC stream on a TCP connection of its own, for processes that are a thousand boards.

gRPC's own client costs a process of boards about as much CPU for a message as the tracker spends on the whole trial, so
boards and tracker on one machine would measure the boards. Here is the part of HTTP/2 (RFC 9113) that one outgoing call
needs, as gRPC uses it: no compression of headers, a window for what comes that is never used up, none of the answers to
what a tracker does not send.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import cast

__all__ = ["BoardStream"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_WINDOW = 65_535
_LARGEST = (1 << 31) - 1
_STREAM = 1
_HEAD = struct.Struct(">BHBBI")
_SETTING = struct.Struct(">HI")
_PREFIX = struct.Struct(">BI")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _header(name: str, value: str) -> bytes:
    """Literal, without indexing and Huffman's code (RFC 7541, 6.2.2)."""
    assert max(len(name), len(value)) < 127
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class BoardStream(asyncio.Protocol):
    """A call of ``method`` ("/farm.v1.Fleet/Connect") on a connection of its own.

    ``received`` gets each message's bytes, ``ended`` one word when the other side ends stream or connection.
    """

    def __init__(
        self, authority: str, method: str, received: Callable[[bytes], None], ended: Callable[[str], None]
    ) -> None:
        self._authority, self._method = authority, method
        self._received, self._ended = received, ended
        self._transport: asyncio.Transport | None = None
        self._frames = bytearray()
        self._message = bytearray()
        self._unsent = bytearray()
        self._connection_window = self._stream_window = self._initial_window = _WINDOW

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is none by its class.
        self._transport = transport = cast(asyncio.Transport, transport)
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", self._method),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        transport.write(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, _SETTING.pack(_INITIAL_WINDOW_SIZE, _LARGEST))
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST - _WINDOW))
            + _frame(_HEADERS, _END_HEADERS, _STREAM, b"".join(_header(*header) for header in headers))
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ended(f"the connection was lost: {exc}")

    def send(self, message: bytes) -> None:
        self._unsent += _PREFIX.pack(0, len(message))
        self._unsent += message
        self._flush()

    def _flush(self) -> None:
        """All that the windows admit, in frames of at most 16 KiB."""
        while self._transport is not None and self._unsent:
            some = min(len(self._unsent), self._connection_window, self._stream_window, 16_384)
            if some <= 0:
                return
            self._connection_window -= some
            self._stream_window -= some
            self._transport.write(_frame(_DATA, 0, _STREAM, bytes(self._unsent[:some])))
            del self._unsent[:some]

    def data_received(self, data: bytes) -> None:
        frames = self._frames
        frames += data
        at = 0
        while len(frames) - at >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(frames, at)
            end = at + _HEAD.size + (high << 16 | low)
            if end > len(frames):
                break
            payload = frames[at + _HEAD.size : end]
            at = end
            if kind == _DATA:
                self._take_data(payload)
            elif kind == _WINDOW_UPDATE:
                self._take_window(stream, int.from_bytes(payload, "big"))
            elif kind == _SETTINGS and not flags & _ACK:
                self._take_settings(payload)
            elif kind == _PING and not flags & _ACK:
                self._write(_frame(_PING, _ACK, 0, bytes(payload)))
            if kind in (_RST_STREAM, _GOAWAY) or (kind in (_DATA, _HEADERS) and flags & _END_STREAM):
                self._ended(f"the tracker ended it, with a frame of type {kind}")
        del frames[:at]

    def _take_data(self, payload: bytearray) -> None:
        message = self._message
        message += payload
        while len(message) >= _PREFIX.size:
            _, size = _PREFIX.unpack_from(message)
            if len(message) < _PREFIX.size + size:
                break
            self._received(bytes(message[_PREFIX.size : _PREFIX.size + size]))
            del message[: _PREFIX.size + size]

    def _take_window(self, stream: int, more: int) -> None:
        if stream:
            self._stream_window += more
        else:
            self._connection_window += more
        self._flush()

    def _take_settings(self, payload: bytearray) -> None:
        for name, value in _SETTING.iter_unpack(payload):
            if name == _INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._initial_window
                self._initial_window = value
        self._write(_frame(_SETTINGS, _ACK, 0, b""))
        self._flush()

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)
