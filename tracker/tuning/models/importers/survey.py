"""What an importer met in a file: kept while it walks, also beyond what it cannot import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from enum import IntEnum

from tvm_farm.tracker.domain import Obstacle, OperatorUse, TensorOutline
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, TensorInfo

__all__ = ["Fate", "Survey", "outlines_of", "survey_of"]


class Fate(IntEnum):
    """What became of a node. One that is met twice, in a loop's body, has the later of its fates."""

    FOLDED = 0
    BY_FARM = 1
    BY_TVM = 2
    EXPANDED = 3
    CUT = 4
    UNKNOWN = 5
    REFUSED = 6


class Survey:
    """One import of the model ``name``. ``parameters`` and ``parameter_bytes`` are of the file's constants."""

    def __init__(self, name: str) -> None:
        self.name = name
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

    def obstacle(self, node: str, operator: str, reason: str) -> None:
        """``reason``: a sentence, its end and the model's name may be there or not."""
        told = Obstacle(node, operator, reason.removeprefix(f"{self.name}: ").rstrip("."))
        if told not in self.obstacles:  # of a loop's body, unrolled
            self.obstacles.append(told)

    def stop(self) -> None:
        """Raises InputError where something is in the way."""
        if self.obstacles:
            first = self.obstacles[0]
            where = f"{first.node}: " if first.node else ""
            raise InputError(f"{self.name}: {where}{first.reason}.")

    def ended(self, error: InputError) -> None:
        """The import ended so. Raises ``error`` where no node was looked at and nothing else is known either."""
        if not self.obstacles:
            if not self._fates:
                raise error
            self.obstacle("", "", str(error))

    @property
    def operators(self) -> tuple[OperatorUse, ...]:
        """By name. Of a model with obstacles nothing is cut off."""
        cut = Fate.UNKNOWN if self.obstacles else Fate.CUT
        fates = [(name, cut if fate is Fate.CUT else fate) for name, fate in self._fates.values()]
        counts = Counter(fates)
        names = sorted({operator for operator, _ in counts})
        return tuple(_use(name, {fate: counts[name, fate] for fate in Fate}) for name in names)


def _use(name: str, counts: Mapping[Fate, int]) -> OperatorUse:
    by_name = {fate.name.lower(): count for fate, count in counts.items()}
    return OperatorUse(name, sum(counts.values()), **by_name)


def outlines_of(infos: Sequence[TensorInfo]) -> tuple[TensorOutline, ...]:
    return tuple(TensorOutline(info.name, tuple(map(str, info.shape)), info.dtype) for info in infos)


def survey_of(model: ImportedModel, name: str) -> Survey:
    """Of a format whose importer keeps none: what the whole import tells. Its operators came through TVM's frontend."""
    survey = Survey(name)
    survey.inputs, survey.outputs = outlines_of(model.inputs), outlines_of(model.outputs)
    for value, operator in model.values:
        survey.met(value, operator, Fate.BY_TVM)
    return survey
