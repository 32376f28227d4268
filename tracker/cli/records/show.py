"""``farm records show``: one measurement whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option

if TYPE_CHECKING:
    from tvm_farm.tracker.domain import Record, Workload

__all__ = ["readable_trace", "show"]


@click.command("show")
@click.argument("trial_id", metavar="TRIAL")
@json_option
@connection_options()
def show(trial_id: str, as_json: bool, connection: Connection) -> None:
    """Show one measurement with its schedule.

    Also its timings, and where its time went. TRIAL may be shortened: `farm records query --csv` and the
    view `log` name trials.

    \b
    Example:
      farm records show 01a1fe73d467
    """
    from tvm_farm.tracker.cli.terminal.output import console, facts, print_json
    from tvm_farm.tracker.client.errors import BadInput

    with connection.open() as client:
        record = client.log.record(trial_id)
        if as_json:
            print_json(record)
            return
        try:
            workload = client.log.workload(record.workload)
        except BadInput:  # a log that was brought in need not have it
            workload = None
    screen = console()
    screen.print(facts(_facts(record, workload)))
    if record.trace:
        screen.print()
        for line in readable_trace(record.trace):
            screen.print(line, markup=False, soft_wrap=True)


def _facts(record: Record, workload: Workload | None) -> list[tuple[str, str]]:
    import statistics

    from tvm_farm.tracker.cli.records.table import outcome_of
    from tvm_farm.tracker.cli.terminal.formats import clock, gflops, latency, readings
    from tvm_farm.tracker.domain import ShapeKind, shapes_of

    m = record.measurement
    median_s = statistics.median(m.run_secs) if m.run_secs else 0.0
    shapes = [shape for shape in shapes_of(workload.module if workload else "") if shape.kind is ShapeKind.TENSOR]
    rate = gflops(workload.flops, median_s) if workload else ""
    versions = "  ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))
    plan = record.plan
    return [
        ("trial", record.trial_id),
        ("outcome", f"{outcome_of(m)}{f': {m.detail}' if m.detail else ''}"),
        ("latency", f"{latency(median_s)}, {rate} GFLOP/s" if median_s and workload else latency(median_s)),
        ("timings", "  ".join(latency(seconds) for seconds in m.run_secs)),
        ("operator", record.workload_name),
        ("shapes", "  ".join(f"{shape.dims} {shape.dtype}" for shape in shapes)),
        ("workload", record.workload),
        ("device", f"{m.device_name}  {m.device_class}".strip()),
        ("before", ", ".join(readings(m.before)) if m.before else ""),
        ("after", ", ".join(readings(m.after)) if m.after else ""),
        ("target", record.target),
        ("engine", record.engine),
        ("plan", f"repeat {plan.repeat}, number {plan.number}, at least {plan.min_repeat_ms} ms each"),
        ("job", f"{record.job_id or 'none'}{f', task {record.task_id}' if record.task_id else ''}"),
        ("user", record.user),
        ("versions", versions),
        ("stored", clock(m.timeline.stored_s)),
        ("imported", f"{clock(record.imported_unix_s)} from {record.imported_from}" if record.imported_from else ""),
        ("its time", _time(record)),
    ]


def _time(record: Record) -> str:
    from tvm_farm.tracker.cli.terminal.formats import latency
    from tvm_farm.tracker.domain.job_timeline import Step, spans

    words = {
        Step.SEARCH: "searched",
        Step.AWAIT_BUILDER: "waited for a builder",
        Step.BUILD: "compiled",
        Step.LINK: "linked",
        Step.HAND_OVER: "handed over",
        Step.QUEUE: "waited for a board",
        Step.TRANSFER: "travelled",
        Step.AWAIT_BOARD: "waited on the board",
        Step.DEVICE: "ran",
        Step.STORE: "stored",
    }
    taken: dict[str, float] = {}
    for step, begin, end in spans(record.measurement.timeline):
        taken[words[step]] = taken.get(words[step], 0.0) + end - begin
    return ", ".join(f"{what} {latency(seconds)}" for what, seconds in taken.items() if seconds > 0)


def readable_trace(trace: str) -> list[str]:
    """A MetaSchedule trace, ``[instructions, decisions]``, as a line an instruction; text that is none as it is.

    ``v1, v2 = SamplePerfectTile(l1, 2, 64)  -> [8, 16]``: outputs, inputs and attributes, what was decided.
    """
    try:
        instructions, decisions = json.loads(trace)
        decided = {int(at): made for at, made in decisions}
        return [_line(n, instruction, decided) for n, instruction in enumerate(instructions)]
    except (ValueError, TypeError):
        return [trace]


def _line(number: int, instruction: list[object], decided: dict[int, object]) -> str:
    name, inputs, attributes, outputs = instruction
    given = [*_listed(inputs), *_listed(attributes)]
    made = f"{', '.join(_listed(outputs))} = " if outputs else ""
    decision = f"  -> {json.dumps(decided[number])}" if number in decided else ""
    return f"{made}{name}({', '.join(given)}){decision}"


def _listed(items: object) -> list[str]:
    if not isinstance(items, list):
        raise ValueError("no list where a trace has one")
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
