"""MetaSchedule's JSONDatabase: a folder of two files, of workloads and of what was measured of them.

A line of the first is ``[structural hash, decimal; base64]`` of eight bytes of length and ``tvm.ir.save_json``'s text;
one of the second ``[number of the workload's line, [trace, run_secs, target, arguments]]``
(src/s_tir/meta_schedule/database in TVM 0.27). The hash is what the farm's workloads are named by.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tvm_farm.tracker.domain import Measurement, Outcome, Record, TimingPlan, Workload
from tvm_farm.tracker.logs.lines import BadLine, numbered_lines
from tvm_farm.tracker.logs.module_graph import ModuleGraph, OtherForm
from tvm_farm.tracker.logs.targets import plain_target

__all__ = ["ENGINE", "RECORDS", "WORKLOADS", "FolderWorkload", "FolderWriter", "read_records",
    "read_workloads", "source_name"]  # fmt: skip

WORKLOADS, RECORDS = "database_workload.json", "database_tuning_record.json"
#: Of records that come from such a folder.
ENGINE = "metaschedule"
#: MetaSchedule's time of what failed (SortTuningRecordByMeanRunSecs::kMaxMeanTime).
_FAILED_S = 1e10


Spell = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class FolderWorkload:
    """A workload of a folder. ``tvm_version`` wrote it."""

    workload: Workload
    tvm_version: str


def source_name(folder: Path) -> str:
    """The name of what was measured there, as a device class: equal when the folder grew or was moved.

    Timings of two folders are not of one machine unless a person says so.
    """
    with (folder / RECORDS).open("rb") as file:
        first = hashlib.blake2b(file.readline(), digest_size=3).hexdigest()
    return f"imported-{folder.resolve().name}-{first}"


def read_workloads(folder: Path) -> Iterator[FolderWorkload | tuple[int, BadLine]]:
    """One for each line, for records name it by its place; what is wrong with one that is none. Raises OSError."""
    for number, line in numbered_lines(folder / WORKLOADS):
        try:
            yield _workload(_json(line))
        except BadLine as error:
            yield number, error


def _json(line: str | BadLine) -> Any:
    if isinstance(line, BadLine):
        raise line
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"it is no JSON ({error})") from None


def _workload(fields: Any) -> FolderWorkload:
    try:
        shash, packed = fields
        key = f"0x{int(shash):016x}"
        data = base64.b64decode(packed, validate=True)
    except (ValueError, TypeError, binascii.Error):
        raise BadLine("it is not a hash and a module in base64, as MetaSchedule writes them") from None
    try:
        (length,) = struct.unpack_from("<Q", data)
        text = data[8 : 8 + length].decode()
        graph = ModuleGraph(text)
        name = graph.name()
    except OtherForm as error:
        raise BadLine(str(error)) from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, RecursionError):
        raise BadLine("its module is damaged, or of no TVM that the farm understands") from None
    return FolderWorkload(Workload(key, name, text, 0.0), graph.tvm_version)


def read_records(
    folder: Path, workloads: list[FolderWorkload | None], device_class: str, spell: Spell, user: str
) -> Iterator[Record | tuple[int, BadLine] | None]:
    """A record for each line, None for one that failed, as MetaSchedule does not keep why. Raises OSError.

    ``spell``: how the farm spells a target, as JSON.
    """
    for number, line in numbered_lines(folder / RECORDS):
        try:
            yield _record(_json(line), workloads, device_class, spell, user)
        except BadLine as error:
            yield number, error


def _record(
    fields: Any, workloads: list[FolderWorkload | None], device_class: str, spell: Spell, user: str
) -> Record | None:
    try:
        index, (trace, run_secs, target, _) = fields
        instructions, decisions = trace
        fits = isinstance(instructions, list) and isinstance(decisions, list) and bool(instructions)
    except (ValueError, TypeError):
        fits = False
    if not fits or not isinstance(index, int) or not isinstance(target, dict):
        raise BadLine("it is not a workload's number with trace, times and target, as MetaSchedule writes them")
    if not 0 <= index < len(workloads):
        raise BadLine(f"there is no workload {index} in {WORKLOADS}")
    its = workloads[index]
    if its is None:
        raise BadLine(f"its workload, line {index + 1} of {WORKLOADS}, cannot be read")
    seconds = _seconds(run_secs)
    if not seconds:
        return None
    farms = spell(target)
    text = json.dumps(trace, separators=(",", ":"))
    trial_id = _trial_id(device_class, its.workload.key, plain_target(json.loads(farms)), text, seconds)
    return Record(
        trial_id=trial_id,
        job_id="",
        task_id="",
        workload=its.workload.key,
        workload_name=its.workload.name,
        target=farms,
        engine=ENGINE,
        trace=text,
        measurement=Measurement(trial_id, Outcome.OK, run_secs=seconds, device_class=device_class),
        # What its timing plan was is not told: no plan of the farm's has no calls, so it answers for none.
        plan=TimingPlan(number=0, repeat=len(seconds)),
        versions={"tvm": its.tvm_version},
        user=user,
    )


def _seconds(run_secs: Any) -> tuple[float, ...]:
    """None of one that failed. Raises BadLine."""
    if run_secs is None:
        return ()
    if not isinstance(run_secs, list) or not all(type(s) in (int, float) for s in run_secs):
        raise BadLine("its times are no numbers")
    fine = all(math.isfinite(s) and 0 < s < _FAILED_S for s in run_secs)
    return tuple(map(float, run_secs)) if fine else ()


def _trial_id(*parts: Any) -> str:
    """Equal for the same measurement, so that a folder may be imported again when it grew."""
    return f"ms-{hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()}"


class FolderWriter:
    """Writes a folder that ``tvm.s_tir.meta_schedule.database.JSONDatabase`` opens; whole only after ``close``."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError, FileExistsError where there is such a folder already."""
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / WORKLOADS, folder / RECORDS]
        for path in self._paths:
            if path.exists():
                raise FileExistsError(f"{path} exists")
        self._workloads: IO[str] = self._new(self._paths[0])
        self._records: IO[str] = self._new(self._paths[1])
        self._known: dict[str, tuple[int, Any]] = {}

    @staticmethod
    def _new(path: Path) -> IO[str]:
        return path.with_name(f"{path.name}.part").open("w", encoding="utf-8")

    @property
    def workloads(self) -> int:
        return len(self._known)

    def knows(self, key: str) -> bool:
        return key in self._known

    def add_workload(self, workload: Workload) -> None:
        """Raises ValueError for a module that is none of TVM's JSON, or a key that is no structural hash."""
        data = workload.module.encode()
        packed = base64.b64encode(struct.pack("<Q", len(data)) + data).decode()
        arguments = ModuleGraph(workload.module).arguments()
        info = None if arguments is None else [["TENSOR", dtype, shape] for dtype, shape in arguments]
        line = json.dumps([str(int(workload.key, 16)), packed], separators=(",", ":"))
        self._known[workload.key] = (len(self._known), info)
        self._workloads.write(line + "\n")

    def add_record(self, record: Record) -> None:
        """Of a workload that was added: one with a trace and times."""
        index, info = self._known[record.workload]
        measured = [json.loads(record.trace), list(record.measurement.run_secs), json.loads(record.target), info]
        self._records.write(json.dumps([index, measured], separators=(",", ":")) + "\n")

    def close(self) -> None:
        for file, path in zip((self._workloads, self._records), self._paths, strict=True):
            file.close()
            path.with_name(f"{path.name}.part").replace(path)

    def discard(self) -> None:
        for file, path in zip((self._workloads, self._records), self._paths, strict=True):
            file.close()
            path.with_name(f"{path.name}.part").unlink(missing_ok=True)
