"""The gRPC server: services, limits, and a port that is either ours or an error."""

from __future__ import annotations

import grpc

from tvm_farm.protos.channel import MESSAGE_OPTIONS, ping_options
from tvm_farm.protos.farm.v1 import control_pb2_grpc, fleet_pb2_grpc
from tvm_farm.tracker.domain.errors import CannotStart
from tvm_farm.tracker.wire.status import StatusInterceptor

__all__ = ["serve"]

_OPTIONS = [
    *MESSAGE_OPTIONS,
    *ping_options(20.0),
    # With it a second tracker would share the port and take half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # A ping each way with most messages, to find the best window: a tenth of all CPU under a thousand boards.
    # A fixed one, large enough for a model on its way through a fast network, does as well.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 1 << 20),
]


async def serve(
    host: str, port: int, fleet: fleet_pb2_grpc.FleetServicer, control: control_pb2_grpc.ControlServicer
) -> tuple[grpc.aio.Server, int]:
    """A started server and its port, which the system chooses for 0. Raises CannotStart when the port is taken."""
    server = grpc.aio.server(interceptors=[StatusInterceptor()], options=_OPTIONS)
    fleet_pb2_grpc.add_FleetServicer_to_server(fleet, server)
    control_pb2_grpc.add_ControlServicer_to_server(control, server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as e:
        raise CannotStart(
            f"cannot listen on {address}: the port is taken or the address is not of this host; choose another with "
            "--port and --host"
        ) from e
    await server.start()
    return server, bound
