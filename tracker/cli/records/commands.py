"""``farm records``: the tuning log, every measurement ever made. A module a command."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.groups import LazyGroup

__all__ = ["records"]


@click.group(
    cls=LazyGroup,
    lazy={
        "best": "tvm_farm.tracker.cli.records.best:best",
        "query": "tvm_farm.tracker.cli.records.query:query",
        "show": "tvm_farm.tracker.cli.records.show:show",
        "export": "tvm_farm.tracker.cli.records.export:export",
        "import": "tvm_farm.tracker.cli.records.importing:import_log",
        "history": "tvm_farm.tracker.cli.records.history:history",
        "merge": "tvm_farm.tracker.cli.records.merge:merge",
        "compact": "tvm_farm.tracker.cli.records.compact:compact",
    },
)
def records() -> None:
    """Query the tuning log: what was measured, where, how fast."""
