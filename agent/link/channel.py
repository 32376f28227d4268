"""The gRPC channels to a tracker, and what their errors mean."""

from __future__ import annotations

import grpc
import grpc.aio

from tvm_farm.protos.address import grpc_target
from tvm_farm.protos.channel import MESSAGE_OPTIONS, ping_options

__all__ = ["PING_EVERY_S", "is_lost", "open_channel", "why"]

PING_EVERY_S = 10.0

_CHANNEL_OPTIONS = [
    *MESSAGE_OPTIONS,
    # The session has its own backoff; a shared subchannel would add gRPC's, up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    # A farm is a local network: a proxy from the environment cannot reach it.
    ("grpc.enable_http_proxy", 0),
]

#: The codes of a call whose tracker, or the way to it, is gone. A tracker that is there refuses with others.
_LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
}


def open_channel(address: str, ping_every_s: float | None = PING_EVERY_S) -> grpc.aio.Channel:
    """A channel to the tracker at ``address`` (host:port). ``ping_every_s`` None: without pings."""
    pings = [("grpc.http2.bdp_probe", 0)] if ping_every_s is None else ping_options(ping_every_s)
    return grpc.aio.insecure_channel(grpc_target(address), options=[*_CHANNEL_OPTIONS, *pings])


def is_lost(error: grpc.aio.AioRpcError | grpc.aio.UsageError) -> bool:
    """Whether the tracker is gone: the same may be asked of it once it is back."""
    return not isinstance(error, grpc.aio.AioRpcError) or error.code() in _LOST


def why(error: grpc.aio.AioRpcError | grpc.aio.UsageError) -> str:
    """The cause, as a clause for people."""
    if not isinstance(error, grpc.aio.AioRpcError):  # the channel was closed a moment ago
        return str(error)
    details = (error.details() or "").rpartition("last error: ")[2].removeprefix("UNKNOWN: ")
    return f"{details} ({error.code().name})" if details else error.code().name
