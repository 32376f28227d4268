"""``farm records export``: the log for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.records.filters import of_class, of_pool
from tvm_farm.tracker.cli.terminal.completing import device_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.formats import plural
from tvm_farm.tracker.cli.terminal.parsing import DURATION
from tvm_farm.tracker.client.errors import BadInput, FarmError

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import RecordFilter
    from tvm_farm.tracker.logs.metaschedule import FolderWriter

__all__ = ["export"]


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    type=click.Choice(["metaschedule"]),
    default="metaschedule",
    show_default=True,
    help="What reads it: metaschedule is a folder for tvm.s_tir.meta_schedule.database.JSONDatabase.",
)
@click.option("--job", "job_id", default="", metavar="ID", help="Records of this job.")
@click.option("--workload", default="", metavar="KEY", help="Of this workload.")
@click.option("--operator", "--name", "workload_name", default="", metavar="TEXT", help="Part of the operator's name.")
@of_pool
@click.option("--device", default="", shell_complete=device_names, metavar="NAME", help="Measured on this device.")
@of_class
@click.option("--target", default="", metavar="JSON", help="Built for exactly this target.")
@click.option("--engine", default="", help="Proposed by this engine.")
@click.option("--since", "since_s", type=DURATION, metavar="TIME", help="Stored since then, as 90m or 2h.")
@connection_options()
def export(
    folder: Path,
    format: str,
    job_id: str,
    workload: str,
    workload_name: str,
    pool: str,
    device: str,
    device_class: str,
    target: str,
    engine: str,
    since_s: float | None,
    connection: Connection,
) -> None:
    """Write records to a new FOLDER that stock TVM opens.

    Only what ran, has a schedule, and is of one device class and target: the folder has no place to tell times of two
    boards apart. Choose one with --job or --class.

    \b
    Example:
      farm records export resnet50-log --job resnet50-ab2c --operator conv2d
    """
    from tvm_farm.tracker.cli.records.device import logged_device
    from tvm_farm.tracker.domain import Outcome, RecordFilter
    from tvm_farm.tracker.logs.metaschedule import FolderWriter

    with connection.open() as client:
        wanted = RecordFilter(
            job_id=client.jobs.get(job_id).id if job_id else "",
            workload=workload,
            workload_name=workload_name,
            pool=pool,
            device=logged_device(client, device) if device else "",
            device_class=device_class,
            target=target,
            engine=engine,
            outcome=Outcome.OK,
            since_unix_s=client.now_s() - since_s if since_s else 0.0,
        )
        try:
            writer = FolderWriter(folder)
        except FileExistsError as error:
            raise BadInput(f"{error}: name another folder.") from None
        except OSError as error:
            raise BadInput(f"{folder} cannot be written: {error.strerror}.") from None
        try:
            records = _write(client, wanted, writer)
            if not records:
                raise BadInput("No record matches that ran and has a schedule.")
            writer.close()
        except OSError as error:
            raise FarmError(f"{folder} cannot be written: {error.strerror}.") from None
        finally:
            writer.discard()
    click.echo(f"Wrote {plural(records, 'record')} of {plural(writer.workloads, 'workload')} to {folder}. In Python:")
    click.echo(f'  tvm.s_tir.meta_schedule.database.JSONDatabase(work_dir="{folder}")')


def _write(client: Farm, wanted: RecordFilter, writer: FolderWriter) -> int:
    """How many records were written. Raises BadInput where they are of several classes or targets."""
    from tvm_farm.tracker.cli.terminal.counting import counting

    classes: set[str] = set()
    targets: set[str] = set()
    written = unreadable = 0
    missing: set[str] = set()
    seen: set[str] = set()
    with counting("exporting", None) as counted:
        for record in client.log.records(wanted):
            if not record.trace or not record.measurement.run_secs or record.workload in missing:
                continue
            # A copy and what it was copied from are one measurement.
            if (source := record.copied_from or record.trial_id) in seen:
                continue
            seen.add(source)
            classes.add(record.measurement.device_class)
            targets.add(record.target)
            if len(classes) > 1 or len(targets) > 1:
                continue
            if not writer.knows(record.workload):
                workload = client.log.find_workload(record.workload)
                try:
                    if workload is None:
                        raise ValueError("it is not kept")
                    writer.add_workload(workload)
                except ValueError:
                    missing.add(record.workload)
                    unreadable += 1
                    continue
            writer.add_record(record)
            written += 1
            counted(written)
    for option, found in (("--class", classes), ("--target", targets)):
        if len(found) > 1:
            shown = " or ".join(f"{option} '{each}'" for each in sorted(found))
            raise BadInput(f"The records are of several kinds, whose times must not be mixed: choose {shown}.")
    if unreadable:
        click.echo(f"{plural(unreadable, 'workload')} left out, not in TVM's form.", err=True)
    return written
