"""The tracker's services as bare stubs."""

from __future__ import annotations

import grpc

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

__all__ = ["Calls"]


class Calls:
    """A stub a service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.fleet = fleet_pb2_grpc.FleetStub(channel)
        self.farm = farm_pb2_grpc.FarmStub(channel)
        self.devices = devices_pb2_grpc.DevicesStub(channel)
        self.jobs = jobs_pb2_grpc.JobsStub(channel)
        self.log = log_pb2_grpc.LogStub(channel)
        self.artifacts = artifacts_pb2_grpc.ArtifactsStub(channel)
        self.measuring = measuring_pb2_grpc.MeasuringStub(channel)
        self.work = work_pb2_grpc.WorkStub(channel)
