"""How all plots look: one colour a side, the ratio written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.result import Result
from benchmarks.results_file import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FARM", "MUTED", "STOCK", "pair", "pick"]

STOCK = "#8c8c8c"
FARM = "#1565c0"
#: For what is neither: a bound, another program.
MUTED = "#c77700"


def pick(results: Sequence[Result], metric: str) -> Result:
    """The result of ``metric``. Raises LookupError where there is none."""
    found = [result for result in results if result.metric == metric]
    if not found:
        raise LookupError(f"no result for {metric!r}")
    return found[0]


def pair(axes: Axes, result: Result) -> None:
    """Two bars, stock over farm, with their values and the ratio between them."""
    sides = [("farm", result.farm, FARM)]
    if result.stock is not None:
        sides.append(("stock", result.stock, STOCK))
    for place, (_, value, colour) in enumerate(sides):
        axes.barh(place, value, color=colour, height=0.6)
        axes.annotate(
            f" {quantity(value, result.unit)}",
            (value, place),
            va="center",
            ha="left",
            fontsize=9,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(sides)), [name for name, _, _ in sides])
    axes.set_xlim(0, 1.25 * max(value for _, value, _ in sides))
    axes.set_xlabel(f"{result.metric} [{result.unit}]" if result.unit else result.metric)
    if result.ratio is not None:
        axes.set_title(f"{result.ratio:.3g}x", loc="right", fontsize=11, color=FARM)
    axes.spines[["top", "right"]].set_visible(False)
