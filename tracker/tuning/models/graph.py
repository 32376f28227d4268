"""A Relax module becomes what the farm tunes: fused tensor programs, their weights, and the tasks among them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import tvm
import tvm_ffi
from tvm import relax
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms

from tvm_farm.tracker.domain import Argument, Workload
from tvm_farm.tracker.tuning.engines.traces import apply_trace
from tvm_farm.tracker.tuning.models.blocked import block_channels
from tvm_farm.tracker.tuning.models.constants import fold_constants
from tvm_farm.tracker.tuning.models.passes.dot_products import dots_of
from tvm_farm.tracker.tuning.models.passes.elementwise import annotate_elementwise
from tvm_farm.tracker.tuning.models.passes.integers import in_integers
from tvm_farm.tracker.tuning.models.passes.packed_matrices import pack_matrices

__all__ = [
    "ExtractedTask",
    "LoweredModel",
    "arguments_of",
    "flops_of",
    "lower",
    "output_positions",
    "tasks_of",
    "with_schedules",
    "workload_key",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoweredModel:
    """``module``: fused, its ``main`` takes the model's inputs and then ``params`` in this order."""

    module: tvm.ir.IRModule
    params: dict[str, tvm.runtime.Tensor]


@dataclass(frozen=True)
class ExtractedTask:
    """One workload of a model: ``module`` holds its one function ``main``, which a run calls ``weight`` times."""

    name: str
    weight: int
    module: tvm.ir.IRModule
    workload: Workload


def lower(module: tvm.ir.IRModule, target: tvm.target.Target, *, as_written: bool = False) -> LoweredModel:
    """Simplify, legalize and fuse ``module`` for ``target`` and turn its constants into parameters.

    The passes are TVM's ``zero`` pipeline (tvm/relax/pipeline.py) after quantized products were put into
    integers, batch normalization was folded into convolutions and those of a CPU were given blocked
    channels. ``as_written`` keeps the layouts of the model: what TVM makes of it untuned. Raises what TVM
    raises: TVMError and subclasses.
    """
    with target, tvm.transform.PassContext(opt_level=3):
        for apply in (
            partial(in_integers, dots=None if as_written else dots_of(target)),
            relax.transform.FoldBatchnormToConv2D(),
            relax.transform.DecomposeOpsForInference(),
            fold_constants,
            relax.transform.FoldConstant(),
            # A second name of a value would hide from the next two what it is.
            relax.transform.CanonicalizeBindings(),
            *(() if as_written else (partial(pack_matrices, target=target), partial(block_channels, target=target))),
            relax.transform.LegalizeOps(),
            relax.transform.AnnotateTIROpPattern(),
            annotate_elementwise,
            relax.transform.FoldConstant(),
            relax.transform.FuseOps(),
            relax.transform.FuseTIR(),
            # A reshape becomes a view here and costs nothing: it must not show up as a task.
            relax.transform.RewriteDataflowReshape(),
            relax.transform.DeadCodeElimination(),
        ):
            module = apply(module)
    return _lift_constants(module)


def tasks_of(lowered: LoweredModel, target: tvm.target.Target) -> list[ExtractedTask]:
    """The distinct workloads that ``main`` calls, in TVM's own order, which does not change between runs.

    A kernel that is written as it has to run (``tirx.is_scheduled``) leaves nothing to search and is none of them.
    """
    found = []
    for task in ms.relax_integration.extract_tasks(lowered.module, target):
        module = task.dispatched[0]
        if (module["main"].attrs or {}).get("tirx.is_scheduled", False):
            continue
        text = tvm.ir.save_json(module)
        workload = Workload(workload_key(module), str(task.task_name), text, flops_of(module))
        found.append(ExtractedTask(str(task.task_name), int(task.weight), module, workload))
    return found


def flops_of(module: tvm.ir.IRModule) -> float:
    """Operations of one call of ``main``, 0 where nobody knows: a loop ends by a value, or TVM cannot count them."""
    open_ends: list[object] = []
    tvm_ffi.structural_walk(
        module["main"].body,
        (tvm.tirx.For, lambda loop: None if isinstance(loop.extent, tvm.tirx.IntImm) else open_ends.append(loop)),
    )
    try:
        return 0.0 if open_ends else float(tvm.s_tir.analysis.estimate_tir_flops(module))
    except Exception as error:  # noqa: BLE001 - it counts what it knows, and raises TVM's InternalError at the rest
        log.info("the operations of a kernel cannot be counted: %s", str(error).strip()[-300:])
        return 0.0


def arguments_of(module: tvm.ir.IRModule) -> tuple[Argument, ...]:
    """The buffers of a task's ``main``, inputs then outputs, filled at random on the board."""
    return tuple(
        Argument(tuple(int(size) for size in info.shape), str(info.dtype), fill_seed=number)
        for number, info in enumerate(ms.arg_info.ArgInfo.from_entry_func(module, remove_preproc=False))
    )


def with_schedules(module: tvm.ir.IRModule, target: tvm.target.Target, traces: Mapping[str, str]) -> tvm.ir.IRModule:
    """``module`` with each function whose workload is in ``traces`` scheduled so; the others stay as they are.

    ``traces``: schedule traces as JSON by workload key. Raises what TVM raises where one does not apply.
    """
    database = ms.database.MemoryDatabase()
    for task in ms.relax_integration.extract_tasks(module, target):
        trace = traces.get(workload_key(task.dispatched[0]))
        if trace is None:
            continue
        schedule = apply_trace(task.dispatched[0], trace)
        workload = database.commit_workload(task.dispatched[0])
        # Any time will do: there is one record a workload.
        database.commit_tuning_record(ms.database.TuningRecord(schedule.trace, workload, [1.0], target, None))
    with target, database, tvm.transform.PassContext(opt_level=3):
        return relax.transform.MetaScheduleApplyDatabase()(module)


def workload_key(module: tvm.ir.IRModule) -> str:
    """Structural hash of ``module`` in hex, equal in every process: how MetaSchedule's databases name a workload."""
    return str(ms.utils.shash2hex(module))


@relax.expr_functor.mutator
class _ConstantLifter(relax.PyExprMutator):  # type: ignore[misc]
    """Replaces each distinct tensor constant by a variable; scalars stay, they are part of the computation."""

    def __init__(self, module: tvm.ir.IRModule) -> None:
        super().__init__(module)
        self.variables: dict[str, relax.Var] = {}
        self.values: dict[str, tvm.runtime.Tensor] = {}
        self._names: dict[str, str] = {}

    def visit_generic_const_(self, op: tvm.ir.GenericConst) -> relax.Expr:
        value = op.value
        if len(value.shape) == 0:
            return op
        if 0 in value.shape:
            # TVM's loaders take no empty tensor, neither as a parameter nor as an executable's constant.
            return relax.op.builtin.alloc_tensor(relax.ShapeExpr(value.shape), str(value.dtype), 0)
        array = value.numpy()
        sha = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # not copied: it may be gigabytes
        content = sha.hexdigest()
        if content not in self._names:
            name = f"p{len(self._names)}"
            self._names[content] = name
            self.variables[name] = relax.Var(name, relax.TensorType(array.shape, str(value.dtype)))
            self.values[name] = value
        return self.variables[self._names[content]]


def _lift_constants(module: tvm.ir.IRModule) -> LoweredModel:
    lifter = _ConstantLifter(module)
    main = module["main"]
    body = lifter.visit_expr(main.body)
    lifted = relax.Function([*main.params, *lifter.variables.values()], body, main.ret_ty, main.is_pure, main.attrs)
    module = module.clone()
    module["main"] = lifted
    return LoweredModel(relax.transform.Normalize()(module), lifter.values)


def output_positions(module: tvm.ir.IRModule) -> list[int]:
    """Positions of the arguments of ``main`` that it writes to, which are its outputs.

    ``module``: one unscheduled tensor program, as tasks hold it.
    """
    schedule = Schedule(module)
    blocks = [schedule.get(block) for block in schedule.get_output_blocks("root")]
    written = [region.source for block in blocks for region in block.writes]
    return [at for at, param in enumerate(module["main"].params) if any(param.same_as(each) for each in written)]
