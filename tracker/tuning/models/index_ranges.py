"""What the integers that a kernel takes may be: an index stays within its tensor, a divisor is not 0.

Each use of an argument's elements is a goal for TVM's analyzer, whose Z3 knows loops, conditions and what is computed
on the way. The widest range for which all goals are proven is the argument's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import sym, tirx
from tvm.ir import TensorLoad, Var
from tvm.s_tir.stmt import SBlock, SBlockRealize

__all__ = ["FILLED_BELOW", "ValueRange", "value_ranges"]

log = logging.getLogger(__name__)

#: agent/runner/native/fill.c fills integers with 0 to one less.
FILLED_BELOW = 10
#: Steps of Z3 for one goal: milliseconds, and the same on every machine.
_Z3_STEPS = 1_000_000
_COMPARISONS = (tirx.EQ, tirx.NE, tirx.LT, tirx.LE, tirx.GT, tirx.GE)
_DIVISIONS = (tirx.Div, tirx.Mod, tirx.FloorDiv, tirx.FloorMod)


@dataclass(frozen=True)
class ValueRange:
    """``low`` to ``high``, exclusive. ``ascending``: no element is below the one before it, as row pointers are.

    ``proven``: no use of such values leaves its tensor or divides by 0; else it is what boards fill, and nobody knows.
    ``extent``: of the smallest dimension that an element indexes as it is and whatever else holds, 0 where none does.
    """

    low: int
    high: int
    ascending: bool = False
    proven: bool = True
    extent: int = 0


@dataclass(frozen=True)
class _Goal:
    """``claim`` is to hold wherever ``facts`` do. ``arguments``: positions of those whose elements it is about."""

    claim: Any
    facts: tuple[Any, ...]
    arguments: frozenset[int]
    extent: int = 0


def value_ranges(function: tirx.PrimFunc) -> dict[int, ValueRange]:
    """By position: of each integer argument of ``function``, not scheduled yet, whose values must not be any."""
    integers = {at: str(p.dtype) for at, p in enumerate(function.params) if _is_integer(str(p.dtype))}
    if not integers:
        return {}
    try:
        return _Solver(_Uses(function, integers), integers).solve()
    except (
        Exception
    ):  # the analyzer raises what it likes at code that it was not made for, and no job depends on a range
        log.exception("what the integers of a kernel may be cannot be found out")
        return dict.fromkeys(integers, ValueRange(0, FILLED_BELOW, proven=False))


def _is_integer(dtype: str) -> bool:
    return dtype.startswith(("int", "uint"))


class _Uses:
    """A walk through a function: its ``goals``, and of variables that stand for elements whose they are."""

    def __init__(self, function: tirx.PrimFunc, integers: Iterable[int]) -> None:
        self._positions = {hash(function.params[at]): at for at in integers}
        self._values: dict[int, Any] = {}
        self._facts: list[Any] = []
        self._conditions = 0
        self._known: list[tuple[Any, list[Any], Var]] = []
        self._stored: dict[int, list[tuple[Any, tuple[Any, ...]]]] = {}
        self._origins: dict[int, frozenset[int]] = {}
        #: Variables are told apart by where they lie in memory, so all of them stay there.
        self._variables: list[Var] = []
        self.elements: list[tuple[Var, int]] = []
        self.goals: list[_Goal] = []
        self.ascending: set[int] = set()
        self.extents: dict[int, int] = {}
        tvm_ffi.structural_visit(
            function.body,
            [
                (tirx.For, self._loop),
                (SBlockRealize, self._block),
                (tirx.IfThenElse, self._branch),
                (tirx.Bind, self._binding),
                (tirx.BufferStore, self._store),
                (TensorLoad, self._load),
                (tirx.Select, self._selection),
                (tvm.ir.Call, self._call),
                (_DIVISIONS, self._division),
            ],
        )

    # -- statements and expressions

    def _loop(self, loop: Any, visitor: Any) -> None:
        visitor.visit(loop.min)
        visitor.visit(loop.extent)
        first, extent = self._plain(loop.min), self._plain(loop.extent)
        if isinstance(extent, tirx.Sub):
            ends = [self._element(side) for side in (extent.a, extent.b)]
            if ends[0] is not None and ends[0] == ends[1]:
                self.ascending.add(ends[0])
        with self._where(loop.loop_var >= first, loop.loop_var < first + extent):
            visitor.visit(loop.body)

    def _block(self, realize: Any, visitor: Any) -> None:
        visitor.visit(realize.iter_values)
        for variable, value in zip(realize.block.iter_vars, realize.iter_values, strict=True):
            self._values[hash(variable.var)] = self._plain(value)
        block: SBlock = realize.block
        with self._where(self._plain(realize.predicate)):
            for part in (block.init, block.body):
                if part is not None:
                    visitor.visit(part)

    def _branch(self, branch: Any, visitor: Any) -> None:
        visitor.visit(branch.condition)
        self._either(branch.condition, branch.then_case, branch.else_case, visitor)

    def _selection(self, select: Any, visitor: Any) -> None:
        visitor.visit(select.condition)
        self._either(select.condition, select.true_value, select.false_value, visitor)

    def _call(self, call: Any, visitor: Any) -> None:
        if getattr(call.op, "name", "") != "prim.if_then_else":
            visitor.default_visit(call)
            return
        condition, yes, no = call.args
        visitor.visit(condition)
        self._either(condition, yes, no, visitor)

    def _either(self, condition: Any, yes: Any, no: Any, visitor: Any) -> None:
        self._conditions += 1
        plain = self._plain(condition)
        with self._where(plain):
            visitor.visit(yes)
        if no is not None:
            with self._where(tirx.Not(plain)):
                visitor.visit(no)
        self._conditions -= 1

    def _binding(self, binding: Any, visitor: Any) -> None:
        visitor.visit(binding.value)
        self._values[hash(binding.var)] = self._plain(binding.value)

    def _store(self, store: Any, visitor: Any) -> None:
        visitor.visit(store.value)
        visitor.visit(store.indices)
        self._index(store.buffer, store.indices)
        if _is_integer(str(store.value.ty.dtype)):
            stored = (self._plain(store.value), tuple(self._facts))
            self._stored.setdefault(hash(store.buffer), []).append(stored)

    def _load(self, load: Any, visitor: Any) -> None:
        visitor.visit(load.indices)
        self._index(load.source, load.indices)

    def _division(self, division: Any, visitor: Any) -> None:
        visitor.visit(division.a)
        visitor.visit(division.b)
        if _is_integer(str(division.b.ty.dtype)):
            divisor = self._plain(division.b)
            self._claim(divisor != 0, divisor)

    def _index(self, tensor: Any, indices: Sequence[Any]) -> None:
        for index, size in zip(indices, tensor.shape, strict=True):
            plain, extent = self._plain(index), int(size)
            at = self._element(plain)
            if at is not None and not self._conditions:
                self.extents[at] = min(extent, self.extents.get(at, extent))
            self._claim(tirx.all(plain >= 0, plain < extent), plain, extent)

    def _claim(self, claim: Any, about: Any, extent: int = 0) -> None:
        arguments = self._origins_of(about)
        goal = _Goal(claim, tuple(self._facts), arguments, extent)
        if arguments and not any(_same(goal, other) for other in self.goals):
            self.goals.append(goal)

    @contextmanager
    def _where(self, *facts: Any) -> Iterator[None]:
        before = len(self._facts)
        self._facts += facts
        yield
        del self._facts[before:]

    # -- expressions without loads: elements of tensors are variables

    def _plain(self, expression: Any) -> Any:
        return tvm_ffi.structural_map(
            expression,
            [
                (Var, lambda var: self._values.get(hash(var), var)),
                (TensorLoad, self._loaded),
                (tirx.Cast, self._cast),
                (_COMPARISONS, self._compared),
            ],
        )

    def _loaded(self, load: Any) -> Any:
        dtype = str(load.ty.dtype)
        if not _is_integer(dtype) and dtype != "bool":
            return load
        for source, indices, variable in self._known:
            if source.same_as(load.source) and tvm_ffi.structural_equal(indices, list(load.indices)):
                return variable
        stored = self._stored.get(hash(load.source))
        if stored is None and hash(load.source) in self._positions:
            variable = self._named("element", dtype)
            self._is_element(variable, self._positions[hash(load.source)])
        elif stored is not None and len(stored) == 1:
            return self._computed(*stored[0])
        else:
            return self._unknown(dtype, [value for value, _ in stored or ()])
        self._known.append((load.source, list(load.indices), variable))
        return variable

    def _computed(self, value: Any, facts: tuple[Any, ...]) -> Any:
        """What was stored, for indices that nobody knows: with variables of its own, about which the same is true."""
        fresh: dict[int, Var] = {}
        positions = {hash(variable): at for variable, at in self.elements}

        def renamed(variable: Any) -> Any:
            if not _is_integer(str(getattr(variable.ty, "dtype", ""))):
                return variable
            if hash(variable) not in fresh:
                fresh[hash(variable)] = new = self._named(variable.name, str(variable.ty.dtype))
                if hash(variable) in positions:
                    self._is_element(new, positions[hash(variable)])
                elif hash(variable) in self._origins:
                    self._origins[hash(new)] = self._origins[hash(variable)]
            return fresh[hash(variable)]

        self._facts += [tvm_ffi.structural_map(fact, (Var, renamed)) for fact in facts]
        return tvm_ffi.structural_map(value, (Var, renamed))

    def _cast(self, cast: Any) -> Any:
        whole = _is_integer(str(cast.ty.dtype))
        return self._unknown(str(cast.ty.dtype), [cast.value]) if whole and _is_float(cast.value) else cast

    def _compared(self, comparison: Any) -> Any:
        return self._unknown("bool", []) if _is_float(comparison.a) else comparison

    def _unknown(self, dtype: str, values: Sequence[Any]) -> Var:
        variable = self._named("unknown", dtype)
        self._origins[hash(variable)] = frozenset().union(*map(self._origins_of, values))
        return variable

    def _named(self, name: str, dtype: str) -> Var:
        variable = tirx.Var(name, dtype)
        self._variables.append(variable)
        return variable

    def _is_element(self, variable: Var, at: int) -> None:
        self.elements.append((variable, at))
        self._origins[hash(variable)] = frozenset({at})

    def _element(self, expression: Any) -> int | None:
        """Whose element ``expression`` is, None where it is something else."""
        while isinstance(expression, tirx.Cast) and _is_integer(str(expression.value.ty.dtype)):
            expression = expression.value
        return next((at for variable, at in self.elements if expression.same_as(variable)), None)

    def _origins_of(self, expression: Any) -> frozenset[int]:
        found: set[int] = set()
        tvm_ffi.structural_walk(expression, (Var, lambda var: found.update(self._origins.get(hash(var), ()))))
        return frozenset(found)


def _is_float(expression: Any) -> bool:
    return str(expression.ty.dtype).startswith(("float", "bfloat"))


def _same(goal: _Goal, other: _Goal) -> bool:
    ours, theirs = ([each.claim, *each.facts] for each in (goal, other))
    return len(ours) == len(theirs) and bool(tvm_ffi.structural_equal(ours, theirs))


class _Solver:
    def __init__(self, uses: _Uses, integers: Mapping[int, str]) -> None:
        self._uses = uses
        self._integers = integers
        self._ranges: dict[int, tuple[int, int]] = {}

    def solve(self) -> dict[int, ValueRange]:
        about = sorted(frozenset().union(*(goal.arguments for goal in self._uses.goals)))
        for at in about:
            self._ranges[at] = self._widest(at) or (0, FILLED_BELOW)
        unproven = {at for goal in self._uses.goals if not self._holds(goal, self._ranges) for at in goal.arguments}
        return {
            at: ValueRange(
                *((0, FILLED_BELOW) if at in unproven else self._ranges[at]),
                ascending=at in self._uses.ascending and at not in unproven,
                proven=at not in unproven,
                extent=self._uses.extents.get(at, 0),
            )
            for at in about
        }

    def _widest(self, at: int) -> tuple[int, int] | None:
        goals = [goal for goal in self._uses.goals if at in goal.arguments]
        highest = int(tvm.tirx.max_value(self._integers[at]).value) + 1
        extents = [goal.extent for goal in goals if goal.extent]
        # The last of row pointers is how many elements there are.
        end = min(max(extents) + (at in self._uses.ascending) if extents else FILLED_BELOW, highest)
        # One argument's elements beside those of others: first whatever those are, then the least of them.
        others = {other for goal in goals for other in goal.arguments} - {at} - self._ranges.keys()
        for assumed in ({}, dict.fromkeys(others, (0, 1))):
            for low in (0, 1):

                def fits(high: int, low: int = low, assumed: dict[int, tuple[int, int]] = assumed) -> bool:
                    ranges = {**assumed, **self._ranges, at: (low, high)}
                    return all(self._holds(goal, ranges) for goal in goals)

                if low < end and fits(low + 1):
                    return low, _last(fits, low + 1, end)
        return None

    def _holds(self, goal: _Goal, ranges: Mapping[int, tuple[int, int]]) -> bool:
        facts = list(goal.facts)
        for variable, at in self._uses.elements:
            if at in ranges:
                low, high = ranges[at]
                facts += [variable >= low, variable < high]
        analyzer = sym.Analyzer()
        if analyzer.is_z3_enabled:
            analyzer.set_z3_rlimit(_Z3_STEPS)
        with analyzer.constraint_scope(tirx.all(*facts) if facts else tvm.tirx.const(True, "bool")):
            return bool(analyzer.can_prove(goal.claim, sym.ProofStrength.SYMBOLIC_BOUND))


def _last(fits: Callable[[int], bool], first: int, end: int) -> int:
    """The last of ``first`` to ``end`` that fits, where what follows one that does not does not either."""
    if fits(end):
        return end
    while end - first > 1:
        middle = (first + end) // 2
        first, end = (middle, end) if fits(middle) else (first, middle)
    return first
