"""``farm records``: the tuning log, every measurement ever made. A module a command."""

from __future__ import annotations

import click

from tracker.cli.groups import LazyGroup

__all__ = ["records"]


@click.group(
    cls=LazyGroup,
    lazy={
        "best": "tracker.cli.records_best:best",
        "query": "tracker.cli.records_query:query",
        "show": "tracker.cli.records_show:show",
        "export": "tracker.cli.records_export:export",
        "import": "tracker.cli.records_import:import_log",
        "history": "tracker.cli.records_history:history",
        "merge": "tracker.cli.records_merge:merge",
        "compact": "tracker.cli.records_compact:compact",
    },
)
def records() -> None:
    """Query the tuning log: what was measured, where, how fast."""
