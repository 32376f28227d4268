"""Waiting for a board that may take the work: ``--wait``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

import click

from tvm_farm.tracker.cli.terminal.formats import duration
from tvm_farm.tracker.cli.terminal.parsing import DURATION
from tvm_farm.tracker.client.errors import ConnectionLost, NoBoard

__all__ = ["once_there_is_a_board", "wait_option"]

T = TypeVar("T")

_LOOK_EVERY_S = 2.0

wait_option = click.option(
    "--wait",
    "wait_s",
    type=DURATION,
    is_flag=False,
    flag_value=math.inf,
    default=None,
    metavar="[DURATION]",
    help="Where no board of the pool may take the work now, wait until one may: so long at most, or for as long as it "
    "takes. Ctrl-C ends it.",
)


def once_there_is_a_board(
    attempt: Callable[[], T],
    wait_s: float | None,
    ready: Callable[[], bool] = lambda: True,
    *,
    look_every_s: float = _LOOK_EVERY_S,
) -> T:
    """What ``attempt`` gives. Where it raises NoBoard, it is made again once ``ready``, for ``wait_s`` seconds at most.

    ``wait_s`` None: it is made once. What it waits for is said on standard error, and again when that changes.
    A tracker that goes away meanwhile is waited for, too. Raises NoBoard when the time is over.
    """
    until_s = time.monotonic() + (wait_s or 0.0)
    said = ""
    while True:
        try:
            return attempt()
        except NoBoard as error:
            if wait_s is None:
                raise NoBoard(f"{error.message} Wait for one with --wait.") from None
            reason = error.message
        except ConnectionLost as error:
            if not said:
                raise
            reason = error.message
        while True:
            if reason != said:
                click.echo(f"Waiting for a board. {reason}", err=True)
                said = reason
            if time.monotonic() >= until_s:
                raise NoBoard(f"{reason} Waited {duration(wait_s or 0.0)}.")
            time.sleep(min(look_every_s, max(0.0, until_s - time.monotonic())))
            try:
                if ready():
                    break
            except ConnectionLost as error:
                reason = error.message
