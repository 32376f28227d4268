"""A task as templates see it: its heaviest block, that block's axes, and how it indexes its buffers.

Operators have many names and few shapes. A dense layer, a 1x1 convolution that a frontend wrote as
one and a matmul of an attention head are the same nest of loops over the same products; so what a
template is for is written as such a nest: ``"m k, n k -> m n"``. A letter is an axis, an index is
one letter or a sum (``h+y``: any affine expression in both, whatever its strides and dilations) or
a dot where no axis is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, permutations

import tvm
from tvm import tirx
from tvm.s_tir import SBlockRealize, Schedule

from tvm_farm.tracker.tuning.engines.autotvm.errors import TemplateError

__all__ = ["Anchor", "Axis", "Pattern"]


@dataclass(frozen=True)
class Axis:
    """A loop of the anchor block. ``position``: among the block's loops, outermost first."""

    position: int
    extent: int
    reduction: bool


@dataclass(frozen=True)
class Anchor:
    """The block that decides how long a task takes: its largest reduction, or without one its largest block.

    ``reads`` and ``write``: for each dimension of a buffer the positions of the axes that index it; ``reads`` in the
    order of the block's regions, without its own result. ``affine``: whether every dimension is indexed by a sum of
    axes with constant factors. ``alone``: the task has no other reduction.
    """

    block: str
    axes: tuple[Axis, ...]
    reads: tuple[tuple[frozenset[int], ...], ...]
    write: tuple[frozenset[int], ...]
    affine: bool
    alone: bool
    dtype: str

    @property
    def spatial(self) -> tuple[Axis, ...]:
        return tuple(axis for axis in self.axes if not axis.reduction)

    @property
    def reduction(self) -> tuple[Axis, ...]:
        return tuple(axis for axis in self.axes if axis.reduction)

    @property
    def work(self) -> int:
        """Iterations of its innermost statement."""
        return math.prod(axis.extent for axis in self.axes)

    @staticmethod
    def of(module: tvm.ir.IRModule) -> Anchor | None:
        """The anchor of ``module``'s ``main``; None where it has none that templates could schedule: open shapes, or
        blocks that are not indexed by loops alone."""
        try:
            schedule = Schedule(module, debug_mask="none", error_render_level="none")
            blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
        except Exception:  # noqa: BLE001 - a function that no schedule takes, in whatever way, has no anchor
            return None
        realized = {str(node.block.name_hint): node for node in _realized(module["main"].body.block.body)}
        loops = {str(schedule.get(b).name_hint): [schedule.get(loop) for loop in schedule.get_loops(b)] for b in blocks}
        found = [_described(realized[name], loops[name]) if name in realized else None for name in loops]
        described = [anchor for anchor in found if anchor is not None]
        if not described or len(described) < len(found):
            return None
        reducing = [anchor for anchor in described if anchor.reduction]
        best = max(reducing or described, key=lambda anchor: anchor.work)
        return Anchor(best.block, best.axes, best.reads, best.write, best.affine, len(reducing) <= 1, best.dtype)


def _realized(statement: tirx.Stmt) -> Iterator[SBlockRealize]:
    """The blocks in a nest of loops, none of a nest with anything else in it."""
    if isinstance(statement, SBlockRealize):
        yield statement
    elif isinstance(statement, tirx.For):
        yield from _realized(statement.body)
    elif isinstance(statement, tirx.SeqStmt):
        for part in statement.seq:
            yield from _realized(part)


def _described(realize: SBlockRealize, loops: Sequence[tirx.For]) -> Anchor | None:
    block = realize.block
    positions: dict[tirx.Var, int] = {}
    analyzer = tvm.sym.Analyzer()
    axes: list[Axis | None] = [None] * len(loops)
    for variable, value in zip(block.iter_vars, realize.iter_values, strict=True):
        at = next((n for n, loop in enumerate(loops) if loop.loop_var.same_as(value)), None)
        extent = variable.dom.extent
        if at is None or not isinstance(extent, tirx.IntImm) or axes[at] is not None:
            return None
        positions[variable.var] = at
        if int(extent) > 1:  # a loop of one iteration would be taken for its number
            analyzer.bind(variable.var, variable.dom)
        axes[at] = Axis(at, int(extent), variable.iter_type == tirx.IterVar.CommReduce)
    if any(axis is None for axis in axes) or len(block.writes) != 1 or not isinstance(block.body, tirx.BufferStore):
        return None
    reads = [[_used(dimension, positions, analyzer) for dimension in region.region] for region in block.reads]
    stored = [_used(dimension, positions, analyzer) for dimension in block.writes[0].region]
    dimensions = [dimension for buffer in (*reads, stored) for dimension in buffer]
    return Anchor(
        block=str(block.name_hint),
        axes=tuple(axis for axis in axes if axis is not None),
        reads=tuple(tuple(used for used, _ in buffer) for buffer in reads),
        write=tuple(used for used, _ in stored),
        affine=all(whole for _, whole in dimensions),
        alone=True,
        dtype=str(block.body.buffer.dtype),
    )


def _used(
    dimension: tvm.ir.Range, positions: Mapping[tirx.Var, int], analyzer: tvm.sym.Analyzer
) -> tuple[frozenset[int], bool]:
    """The axes in a dimension of a region, and whether it is one element, at a sum of them."""
    index = analyzer.simplify(dimension.min)
    single = isinstance(dimension.extent, tirx.IntImm) and int(dimension.extent) == 1
    variables = list(positions)
    terms = tvm.sym.detect_linear_equation(index, variables)
    if len(terms):
        factors = zip(variables, terms, strict=False)
        return frozenset(positions[v] for v, factor in factors if not _is_zero(factor)), single
    words = set(re.findall(r"\w+", str(index)))
    return frozenset(at for variable, at in positions.items() if str(variable.name) in words), False


def _is_zero(factor: object) -> bool:
    return isinstance(factor, tirx.IntImm) and int(factor) == 0


@dataclass(frozen=True)
class Pattern:
    """A nest of loops over products, as ``"b m k, b k n -> b m n"``; see the module. Raises TemplateError."""

    text: str

    def __post_init__(self) -> None:
        self._sides  # noqa: B018 - refused where it is written, not where it is first matched

    @cached_property
    def _sides(self) -> tuple[list[list[str]], list[str]]:
        left, arrow, right = self.text.partition("->")
        reads = [operand.split() for operand in left.split(",")]
        letters = [letter for index in (*chain(*reads), *right.split()) for letter in index.split("+")]
        if not arrow or not all(reads) or not all(letter.isidentifier() or letter == "." for letter in letters):
            raise TemplateError(f"'{self.text}' is no pattern: it looks like \"m k, k n -> m n\"")
        return reads, right.split()

    @property
    def specificity(self) -> int:
        """How much it asks for: axes, and indices of its buffers."""
        reads, write = self._sides
        indices = [*chain(*reads), *write]
        return len({letter for index in indices for letter in index.split("+")} - {"."}) + len(indices)

    def match(self, anchor: Anchor) -> dict[str, Axis] | None:
        """Each letter's axis; None where ``anchor`` is another nest."""
        reads, write = self._sides
        if not anchor.affine or len(anchor.reads) != len(reads) or not anchor.reduction:
            return None
        for order in permutations(anchor.reads):
            pairs = [(write, anchor.write), *zip(reads, order, strict=True)]
            bound = _bind(pairs)
            if bound is not None and len(bound) == len(anchor.axes):
                axes = {letter: anchor.axes[position] for letter, position in bound.items()}
                outer = {letter for index in write for letter in index.split("+")}
                if all(axis.reduction != (letter in outer) for letter, axis in axes.items()):
                    return axes
        return None


def _bind(pairs: Sequence[tuple[Sequence[str], tuple[frozenset[int], ...]]]) -> dict[str, int] | None:
    bound: dict[str, int] = {}
    for indices, dimensions in pairs:
        if len(indices) != len(dimensions):
            return None
        for index, used in zip(indices, dimensions, strict=True):
            letters = [letter for letter in index.split("+") if letter != "."]
            new = [letter for letter in letters if letter not in bound]
            rest = used - {bound[letter] for letter in letters if letter in bound}
            # Two new letters in one sum could not be told apart; the order of operands decides that none comes up.
            if len(used) != len(letters) or len(rest) != len(new) or len(new) > 1:
                return None
            if new:
                (bound[new[0]],) = rest
    return bound if len(set(bound.values())) == len(bound) else None
