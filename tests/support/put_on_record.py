"""A schedule that a test made, measured by a board as any candidate is, and in the log from then on."""

from __future__ import annotations

import tvm

from tests.support.measure_client import MeasureClient, context
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.tracker.tuning.building.builder import build_kernel
from tvm_farm.tracker.tuning.engines.space import apply_trace
from tvm_farm.tracker.tuning.models.graph import arguments_of, workload_key

__all__ = ["put_on_record"]


def put_on_record(address: str, target: str, module: tvm.ir.IRModule, trial_id: str, trace: str) -> None:
    """``module``: a task's; ``target`` is JSON."""
    library, _ = build_kernel(str(tvm.ir.save_json(apply_trace(module, trace).mod)), target)
    arguments = [
        measurement_pb2.Argument(shape=argument.shape, dtype=argument.dtype, fill_seed=argument.fill_seed)
        for argument in arguments_of(module)
    ]
    known = context(workload=workload_key(module), target=target, trace=trace)
    client = MeasureClient(address)
    client.trial(trial_id, known, library=library, args=arguments)
    [measured] = client.wait_for(trial_id)
    client.close()
    assert measured.outcome == measurement_pb2.OUTCOME_OK, measured.detail
