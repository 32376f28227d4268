"""The connection that the parts of a Farm share: its calls, its errors as sentences, its open streams.

Streams end with their link, whoever still holds them, and a link that is still open ends before the interpreter goes
down. By then gRPC's daemon threads stand still, one of them perhaps inside a call's lock: what cancels its call there,
a script's variable or the traceback of an error, waits for ever, and the program with it.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

import grpc

from tvm_farm.protos.address import grpc_target
from tvm_farm.protos.channel import MESSAGE_OPTIONS, ping_options
from tvm_farm.protos.convert import UnknownValue, from_message
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import farm_pb2, farm_pb2_grpc
from tvm_farm.tracker.client.errors import BadInput, ConnectionLost, FarmError, NoBoard, TrackerFull, unknown
from tvm_farm.tracker.domain import FarmStatus
from tvm_farm.tracker.domain.errors import sentence

__all__ = ["Link", "Stop"]

T = TypeVar("T")


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)

_CONNECT_TIMEOUT_S = 5.0
_CALL_TIMEOUT_S = 30.0
_BAD_INPUT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}
# What a stream ends with when the tracker restarts or the network breaks, as far as gRPC tells them apart.
_LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Stop:
    """Ends a stream from any thread: who waits for its next message gets ConnectionLost."""

    def __init__(self) -> None:
        self._said = threading.Event()
        self._call: Any = None

    def __call__(self) -> None:
        self._said.set()
        if self._call is not None:
            self._call.cancel()

    @property
    def said(self) -> bool:
        return self._said.is_set()

    def pause(self, seconds: float) -> None:
        """Returns at once when it is said."""
        self._said.wait(seconds)

    def over(self, call: Any) -> None:
        """``call`` is what is to end."""
        self._call = call
        if self.said:
            call.cancel()


class Link:
    """A channel to ``host:port`` that notices a dead tracker and finds a restarted one within seconds.

    Nothing is sent before the first call. ``named``: how a tracker is named here, for sentences.
    """

    def __init__(self, address: str, named: str = "--tracker HOST:PORT") -> None:
        self.address = address
        self._named = named
        backoff = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2_000)]
        # A farm is a local network: a proxy from the environment cannot reach it.
        direct = [("grpc.enable_http_proxy", 0)]
        options = [*MESSAGE_OPTIONS, *ping_options(20.0), *backoff, *direct]
        self.channel: grpc.Channel = grpc.insecure_channel(grpc_target(address), options=options)
        #: The tracker's own, once ``status`` was asked.
        self.release_of_tracker = ""
        self._ahead_s = 0.0
        self._closed = False
        self._streams: WeakSet[Closable] = WeakSet()
        _open.add(self)

    def close(self) -> None:
        """Ends what streams are still open, then the connection. May be called again."""
        self._closed = True
        self.end_streams()  # those that other threads wait at are woken by the end of the channel
        self.channel.close()
        _open.discard(self)

    def end_streams(self) -> None:
        """Ends what streams are still open, but for those that other threads wait at."""
        for stream in list(self._streams):
            with suppress(ValueError):
                stream.close()

    def status(self) -> FarmStatus:
        """Raises TrackerUnreachable, or FarmError when tracker and command cannot understand each other."""
        stub = farm_pb2_grpc.FarmStub(self.channel)
        status = from_message(FarmStatus, self.call(stub.GetStatus, farm_pb2.GetStatusRequest(), _CONNECT_TIMEOUT_S))
        if status.protocol_version != PROTOCOL_VERSION:
            older = "this program" if status.protocol_version > PROTOCOL_VERSION else "the tracker"
            raise FarmError(
                f"The tracker at {self.address} (version {status.version}) speaks protocol {status.protocol_version}, "
                f"this program speaks {PROTOCOL_VERSION}. Update {older}."
            )
        self.release_of_tracker = status.version
        if status.now_unix_s:  # 0: of a tracker that is older than that
            self._ahead_s = status.now_unix_s - time.time()
        return status

    def now_s(self) -> float:
        """Unix seconds now by the tracker's clock, as of the last ``status``."""
        return time.time() + self._ahead_s

    # -- calls

    def call(self, method: Callable[..., Any], request: Any, timeout_s: float = _CALL_TIMEOUT_S) -> Any:
        """The one answer to ``request``."""
        with self.errors():
            return method(request, timeout=timeout_s)

    def stream(
        self,
        method: Callable[..., Any],
        request: Any,
        read: Callable[[Any], T],
        *,
        timeout_s: float | None = None,
        stop: Stop | None = None,
    ) -> Iterator[T]:
        """The answers to ``request``, each as ``read`` has it. Nothing is asked before the first is wanted.

        Raises ConnectionLost after ``timeout_s`` too, and at ``stop``.
        """
        return self.held(self._answers(method, request, read, timeout_s, stop))

    def held(self, stream: C) -> C:
        """``stream``, which ends with this link."""
        self._streams.add(stream)
        return stream

    def _answers(
        self,
        method: Callable[..., Any],
        request: Any,
        read: Callable[[Any], T],
        timeout_s: float | None,
        stop: Stop | None,
    ) -> Generator[T, None, None]:
        with self.errors():
            call = method(request, timeout=timeout_s)
            if stop is not None:
                stop.over(call)
            try:
                for message in call:
                    yield read(message)
            finally:
                call.cancel()

    # -- errors

    @contextmanager
    def errors(self) -> Iterator[None]:
        """gRPC's errors come out of it as those of tracker/client/errors.py. Raises FarmError after ``close``."""
        if self._closed:
            raise FarmError(f"The connection to the tracker at {self.address} was closed: make another Farm.")
        try:
            yield
        except grpc.RpcError as error:
            raise self._translated(error) from error
        except UnknownValue as error:
            raise FarmError(f"The tracker at {self.address} is newer. {unknown(error)}") from error

    def _translated(self, error: Any) -> FarmError:
        code, details = error.code(), (error.details() or "").strip()
        if code in _LOST or "RST_STREAM" in details or "Stream removed" in details:
            return ConnectionLost(
                f"No tracker answers at {self.address} ({_reason(code, details)}). Is `tracker start` running there, "
                f"and may this machine reach that port? Name another one with {self._named}."
            )
        if code in _BAD_INPUT:
            return BadInput(sentence(details) or f"The tracker refused it ({code.name}) without saying why.")
        if code is grpc.StatusCode.ABORTED:  # of all errors of the tracker NoBoard alone has it
            return NoBoard(sentence(details) or "No board of the pool may take the work now.")
        # gRPC itself says the same of a message over the limit, which no waiting makes smaller.
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" not in details:
            return TrackerFull(sentence(details) or f"The tracker at {self.address} has no room left.")
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return FarmError(
                f"The tracker at {self.address} does not know this request: it is of another version. Update the older."
            )
        return FarmError(sentence(details) or f"The tracker at {self.address} failed ({code.name}): its log says why.")


_open: WeakSet[Link] = WeakSet()


@atexit.register
def _end_all_streams() -> None:
    """While gRPC's threads still run. A daemon thread of a script may wait on: it is never told that all ended."""
    for link in list(_open):
        link.end_streams()


def _reason(code: grpc.StatusCode, details: str) -> str:
    """gRPC's paragraph about a failed connection, in few words."""
    for words in ("Connection refused", "No route to host", "Network is unreachable", "Domain name not found"):
        if words.lower() in details.lower():
            return words[0].lower() + words[1:]
    if "DNS resolution failed" in details:
        return "that name is not known here"
    return "no answer in time" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "the connection ended"
