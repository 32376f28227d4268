"""A client of the Measure stream for the tracker's tests."""

from __future__ import annotations

import queue
import threading
from typing import Any

import grpc

from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import measurement_pb2, measuring_pb2, measuring_pb2_grpc

__all__ = ["MeasureClient", "context", "request"]


def request(trial_id: str, library: bytes = b"library", **program: Any) -> measurement_pb2.MeasureRequest:
    import hashlib

    artifact = measurement_pb2.Artifact(digest=hashlib.sha256(library).hexdigest(), size=len(library), inline=library)
    return measurement_pb2.MeasureRequest(
        trial_id=trial_id,
        program=measurement_pb2.Program(
            kind=measurement_pb2.PROGRAM_KIND_KERNEL, library=artifact, entry="main", **program
        ),
        plan=measurement_pb2.TimingPlan(number=1, repeat=3, repeats_to_cooldown=1),
        limits=measurement_pb2.Limits(run_timeout_s=10),
    )


def context(task_id: str = "", workload: str = "w0", **fields: Any) -> measuring_pb2.RecordContext:
    values = {"workload_name": "matmul", "target": "{}", "engine": "ansor", "trace": "[]", **fields}
    return measuring_pb2.RecordContext(
        task_id=task_id, workload=workload, searched_s=0.5, proposed_s=1.0, built_s=2.0, **values
    )


class MeasureClient:
    """Opens at once. ``answers`` by trial_id; ``times`` counts how often each was answered."""

    def __init__(self, address: str, *, pool: str = "x86_64", job_id: str = "", **opened: Any) -> None:
        self.calls: queue.Queue[measuring_pb2.MeasureCall | None] = queue.Queue()
        self.answers: dict[str, measurement_pb2.Measurement] = {}
        self.times: dict[str, int] = {}
        self.capacity: measuring_pb2.Capacity | None = None
        self.error: grpc.RpcError | None = None
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", 64 << 20)])
        self.calls.put(
            measuring_pb2.MeasureCall(open=measuring_pb2.OpenMeasure(client="test", pool=pool, job_id=job_id, **opened))
        )
        self._stream = measuring_pb2_grpc.MeasuringStub(self._channel).Measure(iter(self.calls.get, None))
        self._thread = threading.Thread(target=self._read, name="measure-client", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for reply in self._stream:
                if reply.HasField("capacity"):
                    self.capacity = reply.capacity
                for measurement in reply.measurements:
                    trial_id = measurement.trial_id
                    self.answers[trial_id] = measurement
                    self.times[trial_id] = self.times.get(trial_id, 0) + 1
        except grpc.RpcError as e:
            self.error = e

    def trial(self, trial_id: str, context: measuring_pb2.RecordContext | None = None, **changes: Any) -> None:
        trial = measuring_pb2.Trial(request=request(trial_id, **changes), context=context)
        self.calls.put(measuring_pb2.MeasureCall(trials=[trial]))

    def failed_build(self, trial_id: str, context: measuring_pb2.RecordContext | None = None) -> None:
        failed = measuring_pb2.FailedBuild(
            trial_id=trial_id, outcome=measurement_pb2.OUTCOME_BUILD_ERROR, detail="no such intrinsic", context=context
        )
        self.calls.put(measuring_pb2.MeasureCall(failed_builds=[failed]))

    def wait_for(self, *trial_ids: str) -> list[measurement_pb2.Measurement]:
        wait_until(lambda: self.answers.keys() >= set(trial_ids) or self.error, f"answer to {trial_ids}")
        assert self.error is None, self.error
        return [self.answers[trial_id] for trial_id in trial_ids]

    def wait_for_error(self) -> grpc.RpcError:
        return wait_until(lambda: self.error, "refusal of the stream")

    def close(self) -> None:
        self._stream.cancel()
        self.calls.put(None)
        self._thread.join(10)
        self._channel.close()
