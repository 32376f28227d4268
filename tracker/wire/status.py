"""From an error to a gRPC status: one table, one interceptor."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import Any

import grpc

from tvm_farm.tracker.domain import errors

__all__ = ["STATUS", "StatusInterceptor", "status_of"]

log = logging.getLogger(__name__)

#: Bytes of a sentence as it is sent, others than ASCII's in three each: of the 8 KiB of all that ends a call.
_ROOM = 6000

STATUS: dict[type[errors.TrackerError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.NotPossible: grpc.StatusCode.FAILED_PRECONDITION,
    # No other error has it: a client is to know what may be waited for.
    errors.NoBoard: grpc.StatusCode.ABORTED,
    errors.VersionMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CannotStart: grpc.StatusCode.UNAVAILABLE,
    errors.StateFolderInUse: grpc.StatusCode.UNAVAILABLE,
    errors.StateFolderUnusable: grpc.StatusCode.UNAVAILABLE,
    errors.StoreUnknown: grpc.StatusCode.UNAVAILABLE,
    errors.StoreTooNew: grpc.StatusCode.UNAVAILABLE,
}


def status_of(error: Exception, method: str) -> tuple[grpc.StatusCode, str]:
    """Status and sentence for the caller. What is not a TrackerError is a bug here: logged, and told as such."""
    if isinstance(error, errors.TrackerError):
        return STATUS[type(error)], _cut(str(error))
    log.error("%s failed", method, exc_info=error)
    return grpc.StatusCode.INTERNAL, f"the tracker failed in {method}; its log has the details"


def _cut(sentence: str) -> str:
    """What of it a status has room for: gRPC drops the connection of one that is longer, and nobody learns why."""
    taken = accumulate(1 if " " <= c <= "~" and c != "%" else 3 * len(c.encode()) for c in sentence)
    at = next((at for at, size in enumerate(taken) if size > _ROOM), None)
    return sentence if at is None else f"{sentence[:at]}…"


class StatusInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Ends a call whose handler raised with the status of the error. Every handler here is a coroutine.

    What a handler answers is a message, or bytes: one that is encoded already.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method.rpartition("/")[2]
        inner = next(getattr(handler, kind) for kind in _KINDS if getattr(handler, kind))

        async def handle(request: Any, context: Any) -> Any:
            try:
                return await inner(request, context)
            except (grpc.RpcError, grpc.aio.AbortError):
                raise
            except Exception as e:  # noqa: BLE001 - every error has a status
                await context.abort(*status_of(e, method))

        make = _KINDS[next(kind for kind in _KINDS if getattr(handler, kind))]
        encode = handler.response_serializer
        return make(handle, handler.request_deserializer, lambda m: m if isinstance(m, bytes) else encode(m))


_KINDS: dict[str, Callable[..., Any]] = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}
