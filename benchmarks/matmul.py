"""The workload of the single-task benchmarks: a float32 matrix product, its candidates and its ONNX file."""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import te
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

from benchmarks.machine import host_target, threads
from tvm_farm.protos.measurement import Argument, Artifact, Limits, MeasureRequest, Program, ProgramKind, TimingPlan
from tvm_farm.tracker.tuning.building.toolchain import link
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of
from tvm_farm.tracker.tuning.models.importers import load_model

__all__ = ["Candidate", "build_candidates", "matmul", "onnx_matmul", "request", "sample_candidates", "task_module"]

SIZE = 512
BUILD_LIMIT_S = 5
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Candidate:
    """One schedule compiled once, as each side takes it: ``tar`` and ``library`` hold the same object code.

    ``module`` is the schedule itself, as ``tvm.ir.save_json`` writes it.
    """

    module: str
    tar: Path
    library: Path
    arguments: tuple[ms.arg_info.ArgInfo, ...]


def matmul(size: int = SIZE) -> tvm.ir.IRModule:
    """(size, size) x (size, size) -> (size, size), float32, unscheduled."""
    a, b = te.placeholder((size, size), "float32", "a"), te.placeholder((size, size), "float32", "b")
    k = te.reduce_axis((0, size), "k")
    c = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), "c")
    return tvm.IRModule({"main": te.create_prim_func([a, b, c])})


def onnx_matmul(path: Path, size: int = SIZE, *, weight: bool = False) -> None:
    """Write the same product as a model of one node, both operands inputs, or the second a weight (seeded)."""
    shape = [size, size]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("a", "b")]
    # Sums near 1: what differs by rounding is then below any tolerance.
    values = np.random.default_rng(0).random((size, size), dtype=np.float32) / size
    output = helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "matmul",
        inputs[:1] if weight else inputs,
        [output],
        [numpy_helper.from_array(values, "b")] if weight else [],
    )
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def task_module(path: Path) -> tvm.ir.IRModule:
    """The tensor program of the one task that the farm finds in the model at ``path``."""
    model = load_model(path, {}, path.stem)
    target = tvm.target.Target(host_target())
    (task,) = tasks_of(lower(model.module, target), target)
    return task.module


def sample_candidates(
    module: tvm.ir.IRModule, target: str, count: int, *, quick: bool = False
) -> list[ms.MeasureCandidate]:
    """Up to ``count`` candidates as MetaSchedule's own search proposes them before it has learned anything; seeded.

    It leaves out what it cannot schedule, one of 160 here. ``quick`` draws them without a population: 5 s less.
    """
    context = ms.TuneContext(
        mod=module,
        target=tvm.target.Target(target),
        space_generator="post-order-apply",
        search_strategy="replay-trace" if quick else "evolutionary",
        task_name="matmul",
        rand_state=1,
        num_threads=threads(),
    )
    context.pre_tuning(
        max_trials=count,
        num_trials_per_iter=count,
        design_spaces=context.generate_design_space(),
        database=ms.database.MemoryDatabase(),
        cost_model=ms.cost_model.RandomModel(seed=1),
    )
    candidates = list(context.generate_measure_candidates() or [])
    context.post_tuning()
    return candidates


def build_candidates(proposed: list[ms.MeasureCandidate], target: str, folder: Path, count: int) -> list[Candidate]:
    """The first ``count`` of ``proposed`` that compile in 5 s of CPU time, each compiled once and written twice.

    ``tar`` is what stock TVM's LocalBuilder exports and its server links; ``library`` what the farm's
    builders link. Raises RuntimeError when fewer than ``count`` compile. Call it before anything
    starts threads here: it forks.
    """
    built: list[Candidate] = []
    waiting = list(enumerate(proposed))
    while waiting and len(built) < count:
        batch, waiting = waiting[: threads()], waiting[threads() :]
        # A process each: LLVM works on a few candidates for minutes.
        builders = [
            _FORK.Process(target=_build, args=(candidate.sch.mod, target, folder / str(number)))
            for number, candidate in batch
        ]
        for builder in builders:
            builder.start()
        for builder, (number, candidate) in zip(builders, batch, strict=True):
            builder.join()
            if builder.exitcode == 0:
                module = str(tvm.ir.save_json(candidate.sch.mod))
                files = (folder / f"{number}.tar", folder / f"{number}.so")
                built.append(Candidate(module, *files, tuple(candidate.args_info)))
    if len(built) < count:
        raise RuntimeError(f"only {len(built)} of {len(proposed)} candidates compile, {count} are needed")
    return built[:count]


def _build(module: tvm.ir.IRModule, target: str, path: Path) -> None:
    from tvm.support.tar import tar

    resource.setrlimit(resource.RLIMIT_CPU, (BUILD_LIMIT_S, BUILD_LIMIT_S))
    module = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module)
    compiled = tvm.tirx.build(module, target=tvm.target.Target(target))
    code, archive, library = (path.with_suffix(kind) for kind in (".o", ".tar", ".so"))
    compiled.write_to_file(str(code))
    compiled.export_library(str(archive), fcompile=tar)
    link(library, [code])


def request(trial_id: str, library: bytes, plan: TimingPlan, size: int = SIZE) -> MeasureRequest:
    """The farm's request for one compiled candidate, its tensors filled on the board."""
    arguments = tuple(Argument((size, size), "float32", fill_seed=seed) for seed in range(3))
    artifact = Artifact(hashlib.sha256(library).hexdigest(), len(library), library)
    program = Program(ProgramKind.KERNEL, artifact, "main", arguments)
    return MeasureRequest(trial_id, program, plan, Limits(run_timeout_s=10.0))
