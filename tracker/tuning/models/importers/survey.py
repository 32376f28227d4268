"""What an importer met in a file: kept while it walks, also beyond what it cannot import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from enum import IntEnum

from tracker.domain import Obstacle, OperatorUse, TensorOutline
from tracker.tuning.models.importers.base import ImportedModel, TensorInfo

__all__ = ["Fate", "Survey", "outline_of", "survey_of"]


class Fate(IntEnum):
    """What became of a node. One that is met twice, in a loop's body, has the later of its fates."""

    FOLDED = 0
    BY_FARM = 1
    BY_TVM = 2
    EXPANDED = 3
    UNKNOWN = 4
    REFUSED = 5


class Survey:
    """One import. ``parameters`` and ``parameter_bytes`` are of the file's constants."""

    def __init__(self) -> None:
        self.inputs: tuple[TensorOutline, ...] = ()
        self.outputs: tuple[TensorOutline, ...] = ()
        self.obstacles: list[Obstacle] = []
        self.parameters = 0
        self.parameter_bytes = 0
        self._fates: dict[Hashable, tuple[str, Fate]] = {}

    def met(self, node: Hashable, operator: str, fate: Fate) -> None:
        """``node``: the same for the same node of the file."""
        _, before = self._fates.get(node, (operator, Fate.FOLDED))
        self._fates[node] = (operator, max(fate, before))

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """By name."""
        counts = Counter(self._fates.values())
        names = sorted({operator for operator, _ in counts})
        return tuple(_use(name, {fate: counts[name, fate] for fate in Fate}) for name in names)


def _use(name: str, counts: dict[Fate, int]) -> OperatorUse:
    by_name = {fate.name.lower(): count for fate, count in counts.items()}
    return OperatorUse(name, sum(counts.values()), **by_name)


def outline_of(info: TensorInfo) -> TensorOutline:
    return TensorOutline(info.name, tuple(map(str, info.shape)), info.dtype)


def survey_of(model: ImportedModel) -> Survey:
    """Of a format whose importer keeps none: what the whole import tells. Its operators came through TVM's frontend."""
    survey = Survey()
    survey.inputs, survey.outputs = _outlines(model.inputs), _outlines(model.outputs)
    for name, operator in model.values:
        survey.met(name, operator, Fate.BY_TVM)
    return survey


def _outlines(infos: Sequence[TensorInfo]) -> tuple[TensorOutline, ...]:
    return tuple(map(outline_of, infos))
