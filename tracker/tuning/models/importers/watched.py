"""Arguments for TVM's own converters, which overlook some: what they did not ask for, they did not convert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["WatchedDict"]


class WatchedDict(dict[str, Any]):
    """Knows which of its keys were ``asked`` for."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.asked.add(key)
        return super().pop(key, *default)
