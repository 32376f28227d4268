"""Client."""

import grpc

from tracker.cli.client import MESSAGE_BYTES, ConnectionLost, FarmClient

__all__ = ["ConnectionLost", "FarmClient", "channel_to"]


def channel_to(address: str) -> grpc.Channel:
    return grpc.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
        ],
    )
