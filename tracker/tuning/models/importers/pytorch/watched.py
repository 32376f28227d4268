"""A node whose arguments tell whether anybody asked for them: TVM's converters overlook some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tvm_farm.tracker.tuning.models.importers.watched import WatchedDict

__all__ = ["WatchedNode"]

#: They change where and how an answer lies in memory, or nothing; or they follow from shapes and dtypes, which are
#: held against PyTorch's anyway.
_MEANINGLESS = {
    "C", "HxW", "N", "copy", "cudnn_enabled", "device", "dtype", "enabled", "half_to_float", "implicit", "layout",
    "memory_format", "momentum", "non_blocking", "pin_memory", "requires_grad", "sorted", "stable", "training",
}  # fmt: skip


class WatchedNode:
    """``node`` of a program, for a converter to read."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.args = _Arguments(node.args)
        self.kwargs = WatchedDict(node.kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def normalized_arguments(self, root: Any) -> tuple[_Arguments, WatchedDict]:
        """As an exported program has them, which is how converters that ask want them."""
        return self.args, self.kwargs

    def overlooked(self) -> str | None:
        """Name of an argument that nobody asked for and that is not what leaving it out means."""
        schema = getattr(self._node.target, "_schema", None)
        if schema is None:
            return None
        for number, (argument, value) in enumerate(zip(schema.arguments, self._node.args, strict=False)):
            if number not in self.args.asked and _matters(argument, value):
                return str(argument.name)
        for argument in schema.arguments:
            value = self._node.kwargs.get(argument.name)
            if (
                argument.name in self._node.kwargs
                and argument.name not in self.kwargs.asked
                and _matters(argument, value)
            ):
                return str(argument.name)
        return None


def _matters(argument: Any, value: Any) -> bool:
    if argument.name in _MEANINGLESS or value is None:
        return False
    return not (argument.has_default_value() and argument.default_value == value)


class _Arguments(tuple[Any, ...]):
    asked: set[int]

    def __new__(cls, values: Any) -> _Arguments:
        made = super().__new__(cls, values)
        made.asked = set()
        return made

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.asked.update(range(len(self))[key] if isinstance(key, slice) else [range(len(self))[key]])
        return found

    def __iter__(self) -> Iterator[Any]:
        self.asked.update(range(len(self)))
        return super().__iter__()
