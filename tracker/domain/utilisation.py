"""How much of the last minute a device spent executing."""

from __future__ import annotations

from collections import deque

__all__ = ["WINDOW_S", "Utilisation"]

WINDOW_S = 60.0


class Utilisation:
    """Executing intervals of one device, by the tracker's clock. Amortised O(1) a measurement."""

    def __init__(self, since: float, window_s: float = WINDOW_S) -> None:
        self._since = since
        self._window_s = window_s
        self._spans: deque[tuple[float, float]] = deque()
        self._total_s = 0.0

    def add(self, end: float, seconds: float) -> None:
        """The device executed for ``seconds`` until ``end``. Calls come in order of ``end``."""
        start = max(end - seconds, self._spans[-1][1] if self._spans else self._since)
        if end > start:
            self._spans.append((start, end))
            self._total_s += end - start
        self._forget(end)

    def share(self, now: float, executing_since: float | None = None) -> float:
        """Share of the window (or of the time since it joined, when shorter) spent executing, 0..1.

        ``executing_since``: when the execution began that is not over.
        """
        self._forget(now)
        begin = now - self._window_s
        total_s = self._total_s
        if self._spans and self._spans[0][0] < begin:
            total_s -= begin - self._spans[0][0]
        if executing_since is not None:
            total_s += max(0.0, now - max(begin, executing_since))
        length_s = min(self._window_s, now - self._since)
        return min(1.0, max(0.0, total_s / length_s)) if length_s > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._spans and self._spans[0][1] <= now - self._window_s:
            start, end = self._spans.popleft()
            self._total_s -= end - start
