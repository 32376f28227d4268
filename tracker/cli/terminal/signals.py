"""Signals that end a command the way Ctrl-C does, so that screens are restored and children stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ignored", "raised_as_interrupt"]


@contextmanager
def raised_as_interrupt(*numbers: signal.Signals) -> Iterator[None]:
    """Each of ``numbers`` raises KeyboardInterrupt in the main thread."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with _handled(dict.fromkeys(numbers, interrupt)):
        yield


@contextmanager
def ignored(*numbers: signal.Signals) -> Iterator[None]:
    """None of ``numbers`` has an effect: for work that must be finished once begun."""
    with _handled(dict.fromkeys(numbers, signal.SIG_IGN)):
        yield


@contextmanager
def _handled(handlers: dict[signal.Signals, object]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
