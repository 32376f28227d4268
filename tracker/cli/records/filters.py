"""Options that several commands over the log have."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.completing import class_names, pool_names

__all__ = ["of_class", "of_pool"]

of_pool = click.option("--pool", default="", shell_complete=pool_names, help="Measured on device classes of this pool.")
of_class = click.option(
    "--class",
    "--device-class",
    "device_class",
    default="",
    shell_complete=class_names,
    metavar="CLASS",
    help="Measured on this class of device.",
)
