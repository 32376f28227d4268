"""Options that several commands share."""

from __future__ import annotations

import click

from tvm_farm.tracker.client.asking.names import Names
from tvm_farm.tracker.domain.job import MAX_PRIORITY

__all__ = ["OPTIONS", "json_option", "priority_option"]

#: What the commands' options are called in errors of the client.
OPTIONS = Names(
    pool="--pool",
    budget="--budget",
    trials="--trials",
    tuner="--tuner",
    templates="--template",
    shapes="--shape",
    fix="--fix",
    parameters="--with",
    inputs="--inputs",
    target="--target",
    seed="--seed",
    priority="--priority",
    one_parameter="--with NAME=VALUE",
    other_folder="Name another folder with -o",
    anyway="add --force",
)

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for programs.")
priority_option = click.option(
    "--priority",
    type=click.IntRange(-MAX_PRIORITY, MAX_PRIORITY),
    metavar="N",
    default=0,
    show_default=True,
    help="Each step doubles its part of the boards' time beside others.",
)
