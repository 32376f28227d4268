"""``farm records import``: logs of other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tvm_farm.tracker.cli.terminal.completing import class_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.formats import count, plural
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Record
    from tvm_farm.tracker.domain.imports import HistoryLine, ImportPart
    from tvm_farm.tracker.logs.lines import BadLine
    from tvm_farm.tracker.logs.metaschedule import FolderWorkload

__all__ = ["import_log"]

#: Lines that are named one by one; a whole log of another version is not.
_NAMED = 20


@click.command("import")
@click.argument("log", type=click.Path(path_type=Path))
@click.option(
    "--class",
    "--device-class",
    "device_class",
    shell_complete=class_names,
    default="",
    metavar="CLASS",
    help="The log was measured on this class of device, see `farm devices show`. Default: on a machine that the farm "
    "does not know.",
)
@connection_options()
def import_log(log: Path, device_class: str, connection: Connection) -> None:
    """Take over a log that another program wrote: a file or folder LOG.

    A folder of MetaSchedule's JSONDatabase becomes records: searches begin with them, and with --class
    `farm compile` uses them as measurements of that class. Lines of AutoTVM (v0.2) and Ansor (v0.6), gzip-ed or not,
    are kept as history: see `farm records history`. What is known is not doubled.

    \b
    Example: a folder of tune_tir or tune_relax, measured on a board like ours
      farm records import tune_tmp --class CLASS
    """
    if not log.exists():
        raise BadInput(f"There is no file or folder {log}.")
    with connection.open() as client:
        if device_class:
            _check_class(client, device_class)
        try:
            if log.is_dir():
                _import_folder(client, log, device_class)
            else:
                _import_lines(client, log, device_class)
        except OSError as error:
            raise BadInput(f"{error.filename or log} cannot be read: {error.strerror or error}.") from None


def _check_class(client: Farm, device_class: str) -> None:
    from tvm_farm.tracker.domain import RecordFilter

    known = sorted({device.device_class for device in client.devices.list()})
    if device_class in known or any(client.log.records(RecordFilter(device_class=device_class, limit=1))):
        return
    raise BadInput(
        f"--device-class: no device of this farm was ever of class {device_class}; "
        f"there are: {', '.join(known) or 'none yet'}."
    )


class _Broken:
    """Lines that cannot be read: named, and never the end of an import."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines = 0
        self.first = ""

    def tell(self, number: int, error: BadLine) -> None:
        self.lines += 1
        said = f"{self._path.name} line {number}: {error}"
        self.first = self.first or said
        if self.lines <= _NAMED:
            click.echo(f"{said}.", err=True)

    def close(self) -> None:
        if self.lines > _NAMED:
            click.echo(f"{self._path.name}: {count(self.lines - _NAMED)} more lines cannot be read.", err=True)


def _import_folder(client: Farm, folder: Path, device_class: str) -> None:
    from tvm_farm.tracker.cli.records.import_report import what_for
    from tvm_farm.tracker.cli.records.parts import batches, source_of, workload_parts
    from tvm_farm.tracker.cli.terminal.counting import counting
    from tvm_farm.tracker.client.user import user_name
    from tvm_farm.tracker.domain.imports import ImportPart
    from tvm_farm.tracker.logs import metaschedule
    from tvm_farm.tracker.logs.targets import farm_target

    for name in (metaschedule.WORKLOADS, metaschedule.RECORDS):
        if not (folder / name).is_file():
            other = (
                " `farm records merge` takes over another tracker's log." if (folder / "tracker.db").exists() else ""
            )
            raise BadInput(f"{folder} is no folder of MetaSchedule's JSONDatabase: there is no {name} in it.{other}")
    broken_workloads, broken = _Broken(folder / metaschedule.WORKLOADS), _Broken(folder / metaschedule.RECORDS)
    workloads: list[FolderWorkload | None] = []
    known = 0
    for item in metaschedule.read_workloads(folder):
        if isinstance(item, tuple):
            broken_workloads.tell(*item)
            workloads.append(None)
            continue
        here = client.log.find_workload(item.workload.key)
        known += here is not None and here.flops > 0
        workloads.append(replace(item, workload=replace(item.workload, name=here.name)) if here else item)
    broken_workloads.close()
    named = device_class or metaschedule.source_name(folder)
    devices = client.devices.list()
    known_targets = sorted({device.target for device in devices if device.target})
    own = sorted({d.target for d in devices if d.target and d.device_class == device_class})
    left_out: Counter[str] = Counter()
    targets: Counter[tuple[str, str]] = Counter()

    def spell(target: Mapping[str, Any]) -> str:
        return farm_target(target, known_targets, own)

    def good() -> Iterator[Record]:
        for item in metaschedule.read_records(folder, workloads, named, spell, user_name()):
            if isinstance(item, tuple):
                broken.tell(*item)
            elif item is None:
                left_out["failed"] += 1
            else:
                targets[item.target, item.versions.get("tvm", "")] += 1
                yield item

    def parts() -> Iterator[ImportPart]:
        yield from workload_parts(each.workload for each in workloads if each)
        for records in batches(good()):
            yield ImportPart(records=records)

    with counting("importing", None) as counted:
        done = 0

        def tell(report: object) -> None:
            nonlocal done
            done = sum(targets.values())
            counted(done)

        report = client.log.import_parts(source_of(folder), user_name(), parts(), tell)
    broken.close()
    if not targets and (broken.lines or broken_workloads.lines):
        raise BadInput(f"Nothing in {folder} could be read: {broken_workloads.first or broken.first}.")
    versions = ", ".join(sorted({each.tvm_version or "unknown version" for each in workloads if each}))
    already = f" ({count(report.known_records)} were here already)" if report.known_records else ""
    click.echo(f"Imported {plural(report.records, 'record')} of TVM {versions or '—'} as class {named}{already}.")
    if left_out["failed"]:
        click.echo(f"- {count(left_out['failed'])} that failed are left out: MetaSchedule does not keep why.")
    told = f"{count(known)} of {plural(len(workloads), 'workload')}" if known else "none of its workloads"
    click.echo(f"- In models that this farm has had: {told}.")
    for sentence in what_for(targets, own, device_class):
        click.echo(f"- {sentence}")


def _import_lines(client: Farm, path: Path, device_class: str) -> None:
    from tvm_farm.tracker.cli.records.parts import batches, source_of
    from tvm_farm.tracker.cli.terminal.counting import counting
    from tvm_farm.tracker.client.user import user_name
    from tvm_farm.tracker.domain.imports import ImportPart, ImportReport
    from tvm_farm.tracker.logs import metaschedule
    from tvm_farm.tracker.logs.history import read_history
    from tvm_farm.tracker.logs.lines import BadLine, numbered_lines

    if path.name in (metaschedule.WORKLOADS, metaschedule.RECORDS):
        raise BadInput(f"{path} is one of two files of MetaSchedule's JSONDatabase: name the folder, {path.parent}.")
    with path.open("rb") as file:
        if file.read(16) == b"SQLite format 3\0":
            raise BadInput(
                f"{path} is a database: another tracker's store is taken over by `farm records merge {path}`."
            )
    broken = _Broken(path)
    formats: Counter[str] = Counter()

    def good() -> Iterator[HistoryLine]:
        for number, line in numbered_lines(path):
            try:
                if isinstance(line, BadLine):
                    raise line
                read = read_history(line, device_class)
            except BadLine as error:
                broken.tell(number, error)
                continue
            formats[read.format] += 1
            yield read

    with counting("importing", None) as counted:
        done = 0

        def tell(report: ImportReport) -> None:
            nonlocal done
            done += report.history + report.known_history
            counted(done)

        parts = (ImportPart(history=lines) for lines in batches(good()))
        report = client.log.import_parts(source_of(path), user_name(), parts, tell)
    broken.close()
    if not formats:
        raise BadInput(f"{path} holds no log that can be read: {broken.first or 'it is empty'}.")
    kinds = " and ".join(f"{count(number)} of {name}" for name, number in sorted(formats.items()))
    already = f", {count(report.known_history)} of them known already" if report.known_history else ""
    click.echo(f"{plural(sum(formats.values()), 'line')} kept as history: {kinds}{already}.")
    click.echo("- None can be replayed: today's TVM has neither AutoTVM's templates nor Ansor's steps.")
    click.echo("- No job takes them for measurements. `farm records history` lists them.")
