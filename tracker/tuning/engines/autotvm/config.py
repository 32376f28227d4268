"""What a template asks for its knobs: the first run collects them, later runs are told their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from tvm_farm.tracker.tuning.engines.autotvm.anchor import Anchor, Axis
from tvm_farm.tracker.tuning.engines.autotvm.config_space import Knob, Limit, Value, factorizations
from tvm_farm.tracker.tuning.engines.autotvm.errors import TemplateError

if TYPE_CHECKING:
    from tvm_farm.tracker.tuning.engines.autotvm.hardware import Hardware

__all__ = ["Config"]

#: Orders of one reorder knob: 5 loops.
_MOST_ORDERS = 120


class Config:
    """One run of a template on one task.

    Each knob method names a knob and returns its value: in the run that collects them its first option, later what
    the point says. A template must ask for the same knobs whatever their values, so before it branches on one.

    ``block`` is the anchor block, ``anchor`` its description, ``hardware`` what is known of the device.
    """

    def __init__(
        self,
        template: str,
        schedule: Schedule,
        target: tvm.target.Target,
        anchor: Anchor,
        axes: Mapping[str, Axis],
        hardware: Hardware,
        values: Mapping[str, Value] | None = None,
    ) -> None:
        self.target = target
        self.anchor = anchor
        self.hardware = hardware
        self.block: SBlockRV = schedule.get_sblock(anchor.block)
        self.knobs: dict[str, Knob] = {}
        self.limits: list[Limit] = []
        self._template = template
        self._schedule = schedule
        self._axes = axes
        self._values = values

    # -- the task

    def axes(self, letters: str) -> list[LoopRV]:
        """The anchor's loops by the letters of the pattern that matched: ``m, n = cfg.axes("m n")``; where a function
        matched, s0, s1, ... are the spatial ones and r0, r1, ... those of the reduction, outermost first. To be asked
        for before the anchor's loops are changed."""
        loops = self._schedule.get_loops(self.block)
        return [loops[self.axis(letter).position] for letter in letters.split()]

    def axis(self, letter: str) -> Axis:
        if letter not in self._axes:
            known = ", ".join(self._axes)
            raise TemplateError(f"template {self._template} has no axis {letter}; there are {known}")
        return self._axes[letter]

    def extent(self, letter: str) -> int:
        """Iterations of that loop."""
        return self.axis(letter).extent

    def operand(self, letters: str) -> int | None:
        """The number, among the buffers that the anchor block reads, of the one indexed by just these axes."""
        wanted = {self.axis(letter).position for letter in letters.split()}
        for number, dimensions in enumerate(self.anchor.reads):
            if frozenset().union(*dimensions) == wanted:
                return number
        return None

    # -- knobs

    def split(
        self, name: str, extent: int, parts: int, *, where: Callable[[tuple[int, ...]], bool] = lambda factors: True
    ) -> tuple[int, ...]:
        """Factors of ``extent``, outermost first, for ``schedule.split(loop, factors)``. ``where``: those allowed."""
        options = tuple(factors for factors in factorizations(extent, parts) if where(factors))
        return self._knob(name, "split", options)  # type: ignore[return-value]

    def reorder(
        self, name: str, loops: Sequence[str], orders: Sequence[Sequence[str]] | None = None
    ) -> tuple[str, ...]:
        """An order of the names ``loops``: any, or one of ``orders``."""
        if orders is None and len(loops) > 5:
            raise TemplateError(
                f"template {self._template}: knob {name} has {len(loops)} loops, 5 at most; give orders"
            )
        options = tuple(tuple(order) for order in (permutations(loops) if orders is None else orders))
        return self._knob(name, "reorder", options[:_MOST_ORDERS])  # type: ignore[return-value]

    def unroll(self, name: str, steps: Sequence[int] = (0, 16, 64)) -> int:
        """Statements up to which loops are unrolled, or a factor: what the template makes of it."""
        return self._knob(name, "unroll", tuple(steps))  # type: ignore[return-value]

    def vectorize(self, name: str, lanes: Sequence[int]) -> int:
        """Lanes of a vector, one of ``lanes``."""
        return self._knob(name, "vectorize", tuple(lanes))  # type: ignore[return-value]

    def parallel(self, name: str, loops: Sequence[int]) -> int:
        """How many outer loops are fused and run by all cores."""
        return self._knob(name, "parallel", tuple(loops))  # type: ignore[return-value]

    def annotate(self, name: str, options: Sequence[str] = ("none", "unroll", "vectorize", "parallel")) -> str:
        """What becomes of a loop; ``apply_annotation`` does it."""
        return self._knob(name, "annotate", tuple(options))  # type: ignore[return-value]

    def apply_annotation(self, loop: LoopRV, annotation: str) -> None:
        """``loop`` as ``annotate`` said."""
        if annotation != "none":
            getattr(self._schedule, annotation)(loop)

    def choice(self, name: str, options: Sequence[Value]) -> Value:
        """One of ``options``: words or numbers."""
        return self._knob(name, "choice", tuple(options))

    def require(self, reason: str, holds: Callable[..., bool], *, knobs: Sequence[str] | None = None) -> None:
        """Leave out the points for which ``holds`` is false. Its arguments are the values of ``knobs``, or of the
        knobs that its parameters are called:
        ``cfg.require("64 registers", lambda tile_m, tile_n: tile_m[-1] * tile_n[-1] <= 64)``."""
        if self._values is None:
            self.limits.append(Limit.of(reason, holds) if knobs is None else Limit(reason, holds, tuple(knobs)))

    def _knob(self, name: str, kind: str, options: tuple[Value, ...]) -> Value:
        if not name.isidentifier():
            raise TemplateError(f"template {self._template}: '{name}' is no name for a knob: letters, digits and _")
        if name in self.knobs:
            raise TemplateError(f"template {self._template} names two knobs {name}")
        if not options:
            raise TemplateError(f"template {self._template}: knob {name} has no option")
        self.knobs[name] = Knob(name, kind, options)
        if self._values is None:
            return options[0]
        if name not in self._values:
            raise TemplateError(
                f"template {self._template} asks for a knob {name} that its first run did not: "
                "ask for every knob before branching on one"
            )
        return self._values[name]
