"""``farm records history``: imported lines of logs that cannot be replayed."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import WholeNumber

__all__ = ["history"]


@click.command("history")
@click.option("--format", "log_format", default="", metavar="FORMAT", help='"autotvm 0.2" or "auto_scheduler 0.6".')
@click.option("--task", default="", metavar="TEXT", help="Part of the task's name and arguments.")
@click.option("--failed", is_flag=True, help="Failed ones too.")
@click.option(
    "-n", "--limit", type=WholeNumber(0), metavar="N", default=50, show_default=True, help="How many; 0: all."
)
@json_option
@connection_options()
def history(log_format: str, task: str, failed: bool, limit: int, as_json: bool, connection: Connection) -> None:
    """List imported lines of AutoTVM's and Ansor's logs, newest first.

    They are kept to be read: today's TVM cannot replay them, and no job takes them for measurements. With --json each
    comes whole, as its log had it.

    \b
    Example:
      farm records history --task conv2d_nchw --limit 0 --json
    """
    from tvm_farm.tracker.cli.terminal.formats import ago, latency
    from tvm_farm.tracker.cli.terminal.output import console, print_json_array, table
    from tvm_farm.tracker.domain.imports import HistoryFilter
    from tvm_farm.tracker.logs.history import ANSOR, AUTOTVM

    if log_format and log_format not in (AUTOTVM, ANSOR):
        raise click.BadParameter(f"there is no format '{log_format}'; there are: {AUTOTVM}, {ANSOR}")
    with connection.open() as client:
        found = client.log.history(HistoryFilter(log_format, task, failed, limit))
        if as_json:
            print_json_array(found)
            return
        now_s = client.now_s()
        rows = [
            (
                line.format,
                line.task,
                latency(line.cost_s) if line.cost_s else f"failed ({line.error_no})",
                line.target,
                line.device_class or "—",
                ago(line.measured_unix_s, now_s),
                line.imported_from,
            )
            for line in found
        ]
    if rows:
        columns = ["log", "task*", ">cost", "target*", "class", "measured", "from*"]
        console().print(table(columns, rows, spare=("from", "class", "target", "measured")))
    else:
        click.echo("No imported line matches.", err=True)
