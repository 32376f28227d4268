"""MetaSchedule's database on the farm's tuning log."""

from __future__ import annotations

import importlib
import logging
import weakref
from collections.abc import Iterator
from itertools import islice

import tvm
import tvm_ffi
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.retry import until_answered
from tvm_farm.tracker.domain import Outcome, Record, RecordFilter, Workload
from tvm_farm.tracker.domain.fast_replace import fast_replace
from tvm_farm.tracker.script.chosen_class import ChosenClass
from tvm_farm.tracker.script.ledger import LEDGER, Entry
from tvm_farm.tracker.tuning.building.builder import RECIPE
from tvm_farm.tracker.tuning.engines.traces import apply_trace, trace_json

__all__ = ["ENGINE", "FarmDatabase"]

log = logging.getLogger(__name__)

ENGINE = "metaschedule"
#: What TVM's own callbacks write for a candidate that failed (AddToDatabase in measure_callback/add_to_database.cc).
_FAILED_S = 1e10
#: Untuned baselines stand among a workload's records; so many more are asked for at first.
_BASELINES = 16


@derived_object
class FarmDatabase(ms.database.PyDatabase):  # type: ignore[misc]
    """What was measured on one class of device of ``pool``: by this script, by others, and by the farm's own jobs.

    ``tracker``, ``pool``, ``device_class`` and ``user`` as FarmRunner takes them. Workloads are told apart by their
    structural hash. It may stand wherever MetaSchedule takes a database, ``compile_relax`` included.

    What is committed to it enters the log once, under ``user`` and with the engine "metaschedule", as the board
    answered it: outcome, device, telemetry. So it takes what FarmBuilder built and FarmRunner measured in this
    process, and refuses the timings of anybody else with BadInput; ``farm records`` lists it.

    A tracker that is lost is waited for.
    """

    def __init__(self, tracker: str | None = None, *, pool: str, device_class: str = "", user: str = "") -> None:
        super().__init__()
        self._class = ChosenClass.open(tracker, pool, device_class, user)
        self._client = self._class.client
        self._end = weakref.finalize(self, self._client.close)
        self._workloads: dict[str, ms.database.Workload] = {}
        self._descriptions: dict[str, Workload] = {}
        self._known: set[str] = set()  # to the farm
        self._records: dict[str, ms.database.TuningRecord] = {}
        self._misfits: set[str] = set()
        self._versions = {"tvm": tvm.__version__, "tvm_ffi": tvm_ffi.__version__, "build": RECIPE}

    @property
    def device_class(self) -> str:
        """Whose timings these are."""
        return self._class.device_class

    @property
    def target(self) -> tvm.target.Target:
        """That of its devices. Raises InputError for one that this TVM does not know."""
        return self._class.tvm_target()

    def close(self) -> None:
        """Leave the tracker. May be called again."""
        self._end()

    # -- what MetaSchedule asks

    def has_workload(self, mod: tvm.ir.IRModule) -> bool:
        """Whether the farm has met it, on any class of device, or this script committed it."""
        key = _key(mod)
        if key not in self._workloads and key not in self._known:
            if until_answered(lambda: self._client.log.find_workload(key)) is None:
                return False
            self._known.add(key)
        return True

    def commit_workload(self, mod: tvm.ir.IRModule) -> ms.database.Workload:
        """The same object for every module of its structure. The farm is told of it with its first record."""
        key = _key(mod)
        if key not in self._workloads:
            self._workloads[key] = ms.database.Workload(mod)
        return self._workloads[key]

    def commit_tuning_record(self, record: ms.database.TuningRecord) -> None:
        """Returns when it is in the farm's log. Raises BadInput for what no board of this class measured."""
        module = record.workload.mod
        key, trace = _key(module), trace_json(record.trace)
        scheduled = _key(record.as_measure_candidate().sch.mod)
        entry = LEDGER.take(scheduled)
        if entry is None:
            raise BadInput(
                "FarmDatabase keeps what the farm measured for this script, once: give the same call "
                "builder=FarmBuilder() and runner=FarmRunner(...) with it."
            )
        workload = self._described(key, module)
        kept = self._record_of(entry, workload, trace, record)
        until_answered(lambda: self._client.log.add([kept], [] if key in self._known else [workload]))
        self._known.add(key)
        self._records[kept.trial_id] = record

    def get_top_k(self, workload: ms.database.Workload, top_k: int) -> list[ms.database.TuningRecord]:
        """The fastest on this class, whoever measured them; an untuned baseline is none of them."""
        key, asked = _key(workload.mod), top_k + _BASELINES
        while True:
            found = until_answered(
                lambda count=asked: self._client.log.best(  # type: ignore[misc]
                    [key], device_class=self.device_class, per_workload=count
                )
            )
            made = (self._tuning_record(record, workload) for record in found if record.trace)
            fitting = list(islice((record for record in made if record is not None), top_k))
            if len(fitting) == top_k or len(found) < asked:
                return fitting
            asked *= 2

    def get_all_tuning_records(self) -> list[ms.database.TuningRecord]:
        """Of this class, failed ones as well, which TVM marks with a run time of 1e10 s. Reads all of their log."""
        records = []
        for record in self._all():
            workload = self._workload(record.workload)
            made = None if workload is None else self._tuning_record(record, workload)
            if made is not None:
                records.append(made)
        return records

    def __len__(self) -> int:
        """Candidates measured on this class. Reads all of their log."""
        return sum(1 for _ in self._all())

    # -- from the farm

    def _all(self) -> Iterator[Record]:
        # In one piece: a connection that breaks half-way is begun again.
        wanted = RecordFilter(device_class=self.device_class)
        records = until_answered(lambda: list(self._client.log.records(wanted)))
        return (record for record in records if record.trace)

    def _workload(self, key: str) -> ms.database.Workload | None:
        if key not in self._workloads:
            found = until_answered(lambda: self._client.log.find_workload(key))
            if found is None:
                return None
            self._known.add(key)
            self._workloads[key] = ms.database.Workload(tvm.ir.load_json(found.module))
        return self._workloads[key]

    def _tuning_record(self, record: Record, workload: ms.database.Workload) -> ms.database.TuningRecord | None:
        """None, and once a warning, for a trace that this TVM cannot apply."""
        if record.trial_id in self._misfits:
            return None
        if record.trial_id not in self._records:
            if "Tensorize" in record.trace:
                importlib.import_module("tvm.s_tir.tensor_intrin")  # 10 s, for schedules that name an intrinsic
            try:
                schedule = apply_trace(workload.mod, record.trace)
                target = tvm.target.Target(record.target)
            except Exception as error:  # noqa: BLE001 - what another TVM or engine wrote fails in whatever way
                self._misfits.add(record.trial_id)
                log.warning("trial %s of %s is left out: %s", record.trial_id, record.workload_name, _last_line(error))
                return None
            ok = record.measurement.outcome is Outcome.OK
            self._records[record.trial_id] = ms.database.TuningRecord(
                schedule.trace,
                workload,
                list(record.measurement.run_secs) if ok else [_FAILED_S],
                target,
                ms.arg_info.ArgInfo.from_entry_func(workload.mod, remove_preproc=True),
            )
        return self._records[record.trial_id]

    # -- to the farm

    def _described(self, key: str, module: tvm.ir.IRModule) -> Workload:
        """As the farm has it, or shall have it."""
        if key not in self._descriptions:
            found = until_answered(lambda: self._client.log.find_workload(key))
            if found is not None:
                self._known.add(key)
            else:
                flops = float(tvm.s_tir.analysis.estimate_tir_flops(module))
                found = Workload(key, _name_of(module), tvm.ir.save_json(module), flops)
            self._descriptions[key] = found
        return self._descriptions[key]

    def _record_of(self, entry: Entry, workload: Workload, trace: str, record: ms.database.TuningRecord) -> Record:
        measurement = entry.measurement
        if not measurement.device_class:  # it was never on a board
            measurement = fast_replace(measurement, device_class=self.device_class)
        if measurement.device_class != self.device_class:
            raise BadInput(
                f"FarmRunner measured on class {measurement.device_class}, this FarmDatabase is of class "
                f"{self.device_class}: give both the same pool and device_class."
            )
        return Record(
            trial_id=measurement.trial_id,
            job_id="",
            task_id="",
            workload=workload.key,
            workload_name=workload.name,
            target=self._target_text(record.target),
            engine=ENGINE,
            trace=trace,
            measurement=measurement,
            plan=entry.plan,
            versions=self._versions,
            user=entry.user or self._class.user,
        )

    def _target_text(self, target: tvm.target.Target) -> str:
        """As the farm writes it where it is the class's own, so that the farm's jobs find these records as theirs."""
        text = str(target)
        return self._class.target if text == str(tvm.target.Target(self._class.target)) else text


def _key(module: tvm.ir.IRModule) -> str:
    """As tracker/tuning/models/graph.py has it, which would load all that imports models."""
    return str(ms.utils.shash2hex(module))


def _name_of(module: tvm.ir.IRModule) -> str:
    """A workload that comes without a name is called by what it computes: "conv2d_nchw_add_relu"."""
    schedule = tvm.s_tir.Schedule(module)
    blocks = [schedule.get(block).name_hint for block in schedule.get_child_blocks(schedule.get_sblock("root"))]
    return "_".join(map(str, blocks[-4:])) or "main"


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
