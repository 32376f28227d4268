"""Options that several commands share."""

from __future__ import annotations

import click

from tvm_farm.tracker.domain.job import MAX_PRIORITY

__all__ = ["json_option", "priority_option"]

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for programs.")
priority_option = click.option(
    "--priority",
    type=click.IntRange(-MAX_PRIORITY, MAX_PRIORITY),
    metavar="N",
    default=0,
    show_default=True,
    help="Each step doubles its part of the boards' time beside others.",
)
