"""Ctrl-C while a program starts. What is imported here is read before it can be answered: keep it little."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ended_by_interrupt", "held_back", "let_through"]


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """Ctrl-C ends the process at once and without a word, as is right while modules are read and nothing has begun.

    Nothing changes in another than the main thread, and where somebody answers SIGINT in a way of his own.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # not the main thread
        before = None
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


@contextmanager
def held_back() -> Iterator[None]:
    """SIGINT waits, here and in all processes that are started meanwhile: there until ``let_through``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_through() -> None:
    """End what ``held_back`` began in the process that started this one, or in this one before it became another."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
