"""``farm records``: the tuning log, every measurement ever made. A module a command."""

from __future__ import annotations

import click

from tracker.cli.terminal.groups import LazyGroup

__all__ = ["records"]


@click.group(
    cls=LazyGroup,
    lazy={
        "best": "tracker.cli.records.best:best",
        "query": "tracker.cli.records.query:query",
        "show": "tracker.cli.records.show:show",
        "export": "tracker.cli.records.export:export",
        "import": "tracker.cli.records.importing:import_log",
        "history": "tracker.cli.records.history:history",
        "merge": "tracker.cli.records.merge:merge",
        "compact": "tracker.cli.records.compact:compact",
    },
)
def records() -> None:
    """Query the tuning log: what was measured, where, how fast."""
