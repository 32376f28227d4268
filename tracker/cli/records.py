"""``farm records``: the tuning log, every measurement ever made. A module a command."""

from __future__ import annotations

import click

from tracker.cli.records_best import best
from tracker.cli.records_query import query
from tracker.cli.records_show import show

__all__ = ["records"]


@click.group()
def records() -> None:
    """Query the tuning log: what was measured, where, how fast."""


for command in (best, query, show):
    records.add_command(command)
