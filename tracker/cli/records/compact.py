"""``farm records compact``: a log without what nobody will ask for."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.formats import count, plural, size
from tvm_farm.tracker.cli.terminal.parsing import WholeNumber
from tvm_farm.tracker.client.errors import FarmError, Interrupted

__all__ = ["compact"]


@click.command("compact")
@click.option(
    "--keep",
    type=WholeNumber(1),
    metavar="N",
    default=100,
    show_default=True,
    help="How many stay of each workload on a device class and target.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@connection_options()
def compact(keep: int, yes: bool, connection: Connection) -> None:
    """Remove all but the best records of each task. Their room goes back to the disk.

    Beside the best N stay the fastest untuned baseline, kernels known to answer wrongly, and everything of jobs that
    have not ended. Other failures go, and would be measured again. Before anything is removed it says what that comes
    to, and asks. The farm measures on meanwhile.

    \b
    Example:
      farm records compact --keep 64
    """
    from tvm_farm.tracker.cli.terminal.counting import counting

    with connection.open() as client:
        plan = next(iter(client.log.compact(keep, dry_run=True)), None)
        if plan is None:
            raise FarmError("The tracker ended before it said what a compaction comes to. Try again.")
        if not plan.to_remove:
            click.echo(f"There is nothing to remove of {plural(plan.records, 'record')}.")
            return
        click.echo(
            f"{count(plan.to_remove)} of {plural(plan.records, 'record')} go, all but the best {keep} of each task; "
            f"about {size(plan.bytes_to_free)} of {size(plan.file_bytes)} become free."
        )
        if not plan.shrinks:
            click.echo(
                "They serve new records: the file gets smaller once a tracker starts that has room for it twice."
            )
        if not yes:
            click.confirm("Remove them for good?", abort=True)
        now = plan
        try:
            with counting("removing", plan.to_remove) as done:
                for now in client.log.compact(keep, dry_run=False):
                    done(now.removed)
        except KeyboardInterrupt:
            raise Interrupted(f"Interrupted: {plural(now.removed, 'record')} removed; the rest is as it was.") from None
    click.echo(f"Removed {plural(now.removed, 'record')}; the file has {size(now.file_bytes)} now.")
