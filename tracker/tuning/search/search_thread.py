"""The one thread in which a job's engines search: their cost model is shared by all tasks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

__all__ = ["SearchThread"]


class SearchThread:
    """Runs one search after another. What a search returns or raises goes to ``deliver``, from this thread."""

    def __init__(self, deliver: Callable[[object], None]) -> None:
        self._deliver = deliver
        self._orders: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()

    def start(self) -> None:
        threading.Thread(target=self._run, name="search", daemon=True).start()

    def order(self, search: Callable[[], object]) -> None:
        self._orders.put(search)

    def close(self) -> None:
        """The thread ends after the searches that were ordered."""
        self._orders.put(None)

    def _run(self) -> None:
        while (search := self._orders.get()) is not None:
            try:
                self._deliver(search())
            except Exception as error:  # noqa: BLE001 - whoever takes what is delivered raises it
                self._deliver(error)
