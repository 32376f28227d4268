"""Which values a lowered model has at which call: activation memory."""

from __future__ import annotations

from collections.abc import Iterator

import tvm
from tvm import relax

from tvm_farm.tracker.tuning.checking.liveness import Peak, Step, peak_of
from tvm_farm.tracker.tuning.checking.sizes import tensor_bytes
from tvm_farm.tracker.tuning.models.graph import LoweredModel

__all__ = ["activation_peak"]

#: Other names for memory that is there already (RewriteDataflowReshape).
_VIEWS = {"relax.reshape", "relax.memory.view", "relax.memory.ensure_zero_offset"}


def activation_peak(lowered: LoweredModel) -> Peak:
    """Of the model's inputs and all values that its calls hand on, outputs included.

    Parameters are apart, and so is what a kernel needs for itself while it runs, which its schedule decides.
    """
    main = lowered.module["main"]
    inputs = list(main.params)[: len(main.params) - len(lowered.params)]
    walk = _Walk()
    for parameter in main.params:
        walk.memory[parameter] = (frozenset({parameter}),)
    steps = [step for block in main.body.blocks for binding in block.bindings if (step := walk.step(binding))]
    kept = frozenset().union(*walk.of(main.body.body))
    return peak_of(steps, {value: _bytes(value.ty) for value in inputs}, kept)


class _Walk:
    """``memory``: of each variable the values that its tensors lie in, one set a field of a tuple."""

    def __init__(self) -> None:
        self.memory: dict[relax.Var, tuple[frozenset[object], ...]] = {}

    def step(self, binding: relax.Binding) -> Step | None:
        """None where the binding gives what is there another name."""
        value = binding.value
        if isinstance(value, relax.Var | relax.Tuple | relax.TupleGetItem):
            self.memory[binding.var] = self.of(value)
            return None
        operator = str(value.op.name) if isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op) else ""
        if operator in _VIEWS:
            self.memory[binding.var] = self.of(value.args[0])
            return None
        made: dict[object, int] = {
            (binding.var, at): size for at, size in enumerate(map(_bytes, _fields(binding.var.ty)))
        }
        self.memory[binding.var] = tuple(frozenset({each}) for each in made)
        reads = frozenset().union(*(field for read in _read(value) for field in self.of(read)))
        return Step(_name(value) or operator, reads, made)

    def of(self, value: relax.Expr) -> tuple[frozenset[object], ...]:
        if isinstance(value, relax.Tuple):
            return tuple(frozenset().union(*self.of(field)) for field in value.fields)
        if isinstance(value, relax.TupleGetItem):
            fields = self.of(value.tuple_value)
            return (fields[value.index],) if value.index < len(fields) else fields
        return self.memory.get(value, ()) if isinstance(value, relax.Var) else ()


def _read(value: relax.Expr) -> Iterator[relax.Expr]:
    """What the call takes, with the tensors of a tuple."""
    for argument in value.args if isinstance(value, relax.Call) else ():
        if isinstance(argument, relax.Tuple):
            yield from argument.fields
        else:
            yield argument


def _name(value: relax.Expr) -> str:
    """Of the kernel that is called, "" where the callee has none."""
    callee = value.args[0] if isinstance(value, relax.Call) and value.args else None
    return str(callee.name_hint) if isinstance(callee, tvm.ir.GlobalVar) else ""


def _fields(kind: tvm.ir.Type) -> list[tvm.ir.Type]:
    return list(kind.fields) if isinstance(kind, relax.TupleType) else [kind]


def _bytes(kind: tvm.ir.Type) -> int:
    """0 of what is no tensor, and of a shape that is not static."""
    if not isinstance(kind, relax.TensorType) or kind.shape is None:
        return 0
    try:
        return tensor_bytes([int(size) for size in kind.shape], str(kind.dtype))
    except TypeError:
        return 0
