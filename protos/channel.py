"""What every gRPC channel and server of a farm is set to."""

from __future__ import annotations

__all__ = ["MESSAGE_BYTES", "MESSAGE_OPTIONS", "OUTPUTS_BYTES", "ping_options"]

#: The largest message: a model's library or its outputs travel inside one.
MESSAGE_BYTES = 64 << 20
#: What the outputs of one run may take of it.
OUTPUTS_BYTES = 60 << 20

MESSAGE_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
]


def ping_options(every_s: float) -> list[tuple[str, int]]:
    """Ping a silent peer every ``every_s`` seconds; one that does not answer for as long again is gone.

    A pulled cable and a frozen process send no word of it. Measured with gRPC 1.85:
    ``keepalive_timeout_ms`` alone leaves an unanswered ping a whole minute.
    """
    names = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")
    return [(name, int(every_s * 1000)) for name in names]
