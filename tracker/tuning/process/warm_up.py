"""A tiny job before the first real one: what TVM does once in a process is then done.

Loading a code generator, the first run of a pass, the first page of a forked process: each is small
and together they are what a person would wait for.
"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
from pathlib import Path

import numpy as np
import tvm
from onnx import TensorProto, helper, numpy_helper

from tvm_farm.protos.measurement import Outcome
from tvm_farm.tracker.tuning.building.base import Builders, BuildRequest, Built
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of
from tvm_farm.tracker.tuning.models.importers import load_model
from tvm_farm.tracker.tuning.process.priority import give_way

__all__ = ["warm_up"]

log = logging.getLogger(__name__)

_TARGET = '{"kind": "llvm", "num-cores": 1}'


def warm_up(pool: Builders) -> bool:
    """Import, lower and build one convolution, once in each builder; returns whether that worked.

    Where not, the log says why, and a job would soon tell its person the same.
    """
    done: list[bool] = []

    def run() -> None:
        give_way()
        try:
            done.append(_built_in_each(pool))
        except Exception:
            if not Path(tempfile.gettempdir()).is_dir():
                return  # the worker has ended meanwhile, and its folder with it
            log.exception("the warm-up failed: this worker's jobs will hardly do better")

    thread = threading.Thread(target=run, name="warm-up")
    thread.start()
    thread.join()
    return done == [True]


def _built_in_each(pool: Builders) -> bool:
    target = tvm.target.Target(_TARGET)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm-up.onnx"
        path.write_bytes(_one_convolution())
        task = tasks_of(lower(load_model(path, {}, "the warm-up's model").module, target), target)[0]
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    pool.deliver_to(events.put)
    for number in range(pool.workers):
        pool.submit(BuildRequest(f"warm-up {number}", task.workload.module, _TARGET))
    for _ in range(pool.workers):
        built = events.get()
        if not isinstance(built, Built):
            raise RuntimeError("the builders' parent process ended")
        if built.outcome is not Outcome.OK:
            raise RuntimeError(f"{built.outcome.value}: {built.detail}")
    return True


def _one_convolution() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node("Relu", ["c"], ["y"])],
        "warm-up",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 4, 4])],
        [
            numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "w"),
            numpy_helper.from_array(np.ones(4, np.float32), "b"),
        ],
    )
    opset = [helper.make_opsetid("", 13)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
