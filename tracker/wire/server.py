"""The gRPC server: services, limits, and a port that is either ours or an error."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import grpc

from tvm_farm.protos.address import joined
from tvm_farm.protos.channel import MESSAGE_OPTIONS, ping_options
from tvm_farm.protos.farm.v1 import (
    artifacts_pb2_grpc,
    devices_pb2_grpc,
    farm_pb2_grpc,
    fleet_pb2_grpc,
    jobs_pb2_grpc,
    log_pb2_grpc,
    measuring_pb2_grpc,
    work_pb2_grpc,
)
from tvm_farm.tracker.domain.errors import CannotStart
from tvm_farm.tracker.wire.artifacts import ArtifactsServicer
from tvm_farm.tracker.wire.devices import DevicesServicer
from tvm_farm.tracker.wire.farm import FarmServicer
from tvm_farm.tracker.wire.fleet import FleetServicer
from tvm_farm.tracker.wire.jobs import JobsServicer
from tvm_farm.tracker.wire.log import LogServicer
from tvm_farm.tracker.wire.measuring import MeasuringServicer
from tvm_farm.tracker.wire.status import StatusInterceptor
from tvm_farm.tracker.wire.work import WorkServicer

__all__ = ["Services", "serve"]

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


@dataclass(frozen=True)
class Services:
    """A servicer for boards, and one for each audience of people and programs."""

    fleet: FleetServicer
    farm: FarmServicer
    devices: DevicesServicer
    jobs: JobsServicer
    log: LogServicer
    artifacts: ArtifactsServicer
    measuring: MeasuringServicer
    work: WorkServicer

    def add_to(self, server: grpc.aio.Server) -> None:
        fleet_pb2_grpc.add_FleetServicer_to_server(self.fleet, server)
        farm_pb2_grpc.add_FarmServicer_to_server(self.farm, server)
        devices_pb2_grpc.add_DevicesServicer_to_server(self.devices, server)
        jobs_pb2_grpc.add_JobsServicer_to_server(self.jobs, server)
        log_pb2_grpc.add_LogServicer_to_server(self.log, server)
        artifacts_pb2_grpc.add_ArtifactsServicer_to_server(self.artifacts, server)
        measuring_pb2_grpc.add_MeasuringServicer_to_server(self.measuring, server)
        work_pb2_grpc.add_WorkServicer_to_server(self.work, server)


async def serve(host: str, port: int, services: Services) -> tuple[grpc.aio.Server, int]:
    """A started server and its port, which the system chooses for 0. Raises CannotStart when the port is taken."""
    server = grpc.aio.server(interceptors=[StatusInterceptor()], options=_OPTIONS)
    services.add_to(server)
    address = joined(host, port)
    try:
        _try_to_listen(host, port)
        bound = server.add_insecure_port(address)
    except (OSError, RuntimeError) as e:
        raise CannotStart(
            f"cannot listen on {address}: the port is taken or the address is not of this host; choose another with "
            "--port and --host"
        ) from e
    await server.start()
    return server, bound


def _try_to_listen(host: str, port: int) -> None:
    """Raises OSError for an address that gRPC cannot have either: it would print a line of its own about that."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    try:
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as e:
        if e.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise
