"""``farm bench``: time a package again, on the devices of a pool."""

from __future__ import annotations

import dataclasses
import statistics
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tvm_farm.tracker.cli.terminal.completing import pool_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option, priority_option
from tvm_farm.tracker.cli.terminal.parsing import SEED, WholeNumber
from tvm_farm.tracker.cli.terminal.waiting import once_there_is_a_board, wait_option
from tvm_farm.tracker.client.errors import BadInput, FarmError, Interrupted, NoBoard

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.packages.arrays import Array, Difference
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.client.packages.package import Package
    from tvm_farm.tracker.domain import Argument, Artifact, Measurement, MeasureRequest, Program, TimingPlan

__all__ = ["bench"]

# Beyond this a library travels as an artifact: one gRPC message holds 64 MiB.
_INLINE_BYTES = 16 << 20


@click.command()
@click.argument("package", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--pool", required=True, shell_complete=pool_names, help="Which devices: a pool's name, see `farm pools`."
)
@click.option("--repeat", type=WholeNumber(1), metavar="N", default=10, show_default=True, help="How many timings.")
@click.option(
    "--number",
    type=WholeNumber(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Runs of the model in a timing, at least.",
)
@click.option(
    "--min-repeat-ms",
    type=WholeNumber(0),
    metavar="MS",
    default=100,
    show_default=True,
    help="A timing lasts at least this long.",
)
@click.option(
    "--cooldown-ms", type=WholeNumber(0), metavar="MS", default=0, show_default=True, help="Rest between timings."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds on the device.",
)
@click.option(
    "--seed",
    type=SEED,
    help="Of a random input, also where the package holds one with its answers. [default: that one, else 0]",
)
@wait_option
@click.option("--any-class", is_flag=True, help="Also on device classes the package was not made for.")
@priority_option
@json_option
@connection_options()
def bench(
    package: Path,
    pool: str,
    repeat: int,
    number: int,
    min_repeat_ms: int,
    cooldown_ms: int,
    timeout_s: float,
    seed: int | None,
    wait_s: float | None,
    any_class: bool,
    priority: int,
    as_json: bool,
    connection: Connection,
) -> None:
    """Time the package in DIR on a device of a pool.

    A model's package holds the inputs that it was judged on and the judge's answers, unless they are large. It is run
    on them, and what the device answers is held against those: exit code 1 where it is different.

    \b
    Example:
      farm bench resnet50-tuned --pool arm64 --repeat 20
    """
    from tvm_farm.tracker.client.artifacts import file_digest
    from tvm_farm.tracker.client.packages.package import read_package
    from tvm_farm.tracker.domain import TimingPlan

    found = read_package(package, file_digest)
    plan = TimingPlan(number=number, repeat=repeat, min_repeat_ms=min_repeat_ms, cooldown_ms=cooldown_ms)
    device_class = "" if any_class else str(found.manifest.get("device_class", ""))
    where = pool, device_class, priority
    with connection.open() as client:
        try:
            timed = [
                _Timed(name, packaged, once_there_is_a_board(partial(_measure, client, request, *where), wait_s))
                for name, packaged, request in _requests(client, found, plan, timeout_s, seed)
            ]
            if not found.kernels and seed is None:
                timed = [_judged(timed[0], found)]
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted; the measurement is given up.") from None
    _print(found, timed, as_json)
    if any(each.difference is not None and not each.difference.equal for each in timed):
        raise SystemExit(1)


@dataclass(frozen=True)
class _Timed:
    """What came of the model, or of one kernel of an operator. ``packaged``: its latency in the manifest.

    ``difference``: to the answers of ``judge``, which the package holds; None where they were not compared.
    """

    name: str
    packaged: dict[str, Any]
    measurement: Measurement
    judge: str = ""
    difference: Difference | None = None


def _judged(timed: _Timed, package: Package) -> _Timed:
    from tvm_farm.tracker.cli.packages.arrays import Array, Difference, difference

    judged, answers = package.manifest.get("judged"), package.answers
    if judged is None or answers is None or not timed.measurement.run_secs:
        return timed
    try:
        expected = list(_read(answers, package.manifest["outputs"]).values())
        limits = float(judged["rtol"]), float(judged["atol"])
        judge = str(judged["by"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(package, error) from None
    given = [Array(each.shape, each.dtype, each.data) for each in timed.measurement.outputs]
    if len(given) != len(expected):
        raise FarmError(f"{timed.name} gave {len(given)} outputs, and its package has {len(expected)} answers.")
    each = [difference(*pair, *limits) for pair in zip(expected, given, strict=True)]
    whole = Difference(
        max((one.largest for one in each), default=0.0),
        all(one.equal for one in each),
        any(one.finite for one in each),
    )
    return dataclasses.replace(timed, judge=judge, difference=whole)


def _read(path: Path, infos: Sequence[dict[str, Any]]) -> dict[str, Array]:
    from tvm_farm.tracker.cli.packages.arrays import read_arrays

    try:
        return read_arrays(path, infos)
    except ValueError as error:
        raise BadInput(f"{path}: {error}.") from None
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.") from None


def _damaged(package: Package, error: Exception) -> BadInput:
    return BadInput(f"The manifest of {package.folder} is damaged ({type(error).__name__}: {error}).")


def _requests(
    client: Farm, package: Package, plan: TimingPlan, timeout_s: float, seed: int | None
) -> Iterator[tuple[str, dict[str, Any], MeasureRequest]]:
    """What is to be timed, one after another: its name, its latency in the manifest, the request."""
    from tvm_farm.tracker.domain import Limits, MeasureRequest

    limits = dataclasses.replace(Limits(), run_timeout_s=timeout_s)
    for described in package.kernels or (package.manifest,):
        program = _kernel(client, package, described, seed) if package.kernels else _model(client, package, seed)
        request = MeasureRequest(trial_id=f"bench-{uuid.uuid4().hex}", program=program, plan=plan, limits=limits)
        yield described["name"] if package.kernels else package.model, described.get("latency") or {}, request


def _kernel(client: Farm, package: Package, described: dict[str, Any], seed: int | None) -> Program:
    from tvm_farm.tracker.domain import Program, ProgramKind

    try:
        # Values that index something, and those that a person gave: any others might read beyond a tensor.
        mine = [entry for entry in described["arguments"] if not entry.get("filled", True)]
        infos = [{**entry, "name": f"{described['name']}.{entry['name']}"} for entry in mine]
        if mine and package.inputs is None:
            raise BadInput(
                f"{package.folder} lacks the values of {mine[0]['name']}, which were too large for it, and "
                f"{described['name']} cannot do with random ones."
            )
        arrays = _read(package.inputs, infos) if mine and package.inputs else {}
        names = [f"{described['name']}.{entry['name']}" for entry in described["arguments"]]
        args = _arguments(described["arguments"], [arrays.get(name) for name in names], seed)
    except (KeyError, TypeError) as error:
        raise _damaged(package, error) from None
    library = _sent(client, package.folder / described["library"])
    return Program(kind=ProgramKind.KERNEL, library=library, entry=described["entry"], args=args)


def _arguments(
    infos: Sequence[dict[str, Any]], values: Sequence[Array | None], seed: int | None
) -> tuple[Argument, ...]:
    """With those of ``values`` that are known; the board fills the others at random."""
    from tvm_farm.tracker.domain import Argument

    return tuple(
        Argument(shape=tuple(info["shape"]), dtype=info["dtype"], fill_seed=(seed or 0) + position)
        if array is None
        else Argument(shape=array.shape, dtype=array.dtype, data=array.data)
        for position, (info, array) in enumerate(zip(infos, values, strict=True))
    )


def _model(client: Farm, package: Package, seed: int | None) -> Program:
    from tvm_farm.tracker.cli.models.params_file import read_param_types
    from tvm_farm.tracker.domain import Argument, Program, ProgramKind

    manifest = package.manifest
    try:
        infos = manifest["inputs"]
        mine = seed is None and package.inputs is not None and package.answers is not None
        arrays = _read(package.inputs, infos) if mine and package.inputs else {}
        args = [*_arguments(infos, [arrays.get(info["name"]) for info in infos], seed)]
        types = read_param_types(package.params) if package.params else {}
        args += [Argument(*types[name], param=name) for name in manifest["param_names"]]
    except (KeyError, TypeError) as error:
        raise _damaged(package, error) from None
    except ValueError as error:
        raise BadInput(f"{package.params}: {error}.") from None
    return Program(
        kind=ProgramKind.MODEL,
        library=_sent(client, package.library),
        entry=manifest["entry"],
        args=tuple(args),
        params=client.artifacts.put(package.params) if package.params else None,
        outputs=(0,) if mine else (),
    )


def _sent(client: Farm, library: Path) -> Artifact:
    from tvm_farm.tracker.client.artifacts import file_digest
    from tvm_farm.tracker.domain import Artifact

    digest, size = file_digest(library)
    return (
        Artifact(digest, size, inline=library.read_bytes()) if size <= _INLINE_BYTES else client.artifacts.put(library)
    )


def _measure(client: Farm, request: MeasureRequest, pool: str, device_class: str, priority: int) -> Measurement:
    from tvm_farm.tracker.client.user import user_name
    from tvm_farm.tracker.domain import Capacity, ProgramKind

    user = user_name()
    whole_models = request.program.kind is ProgramKind.MODEL
    replies = client.measuring.measure(
        [request],
        client=f"farm bench by {user or 'someone'}",
        pool=pool,
        device_class=device_class,
        whole_models=whole_models,
        user=user,
        priority=priority,
    )
    for reply in replies:
        if not isinstance(reply, Capacity):
            return reply
        if not reply.devices:
            of_class = f" of class {device_class}" if device_class else ""
            able = "runs whole models (`farm devices show NAME`: runner in full mode) and " if whole_models else ""
            raise NoBoard(
                f"Pool {pool} has no connected device{of_class} that {able}takes your work (`farm devices`: drained, "
                "or another's under lease)." + (" Others may run it with --any-class." if device_class else "")
            )
    raise FarmError("The tracker ended the measurement without an answer: its log may tell why.")


def _print(package: Package, timed: Sequence[_Timed], as_json: bool) -> None:
    from tvm_farm.tracker.cli.terminal.output import console, facts, print_json
    from tvm_farm.tracker.domain import Outcome

    for each in timed:
        measurement = each.measurement
        if measurement.outcome is not Outcome.OK:
            outcome = measurement.outcome.value
            where = f" on {measurement.device_name}" if measurement.device_name else ""
            raise FarmError(f"{each.name} did not run{where}: {outcome}: {measurement.detail}")
    if as_json:
        told = [_told(each) for each in timed]
        print_json({"model": package.model, "kernels": told} if package.kernels else told[0])
        return
    for each in timed:
        console().print(facts(_rows(each, "kernel" if package.kernels else "model")))


def _p90_s(times: Sequence[float]) -> float:
    return times[min(len(times) - 1, round(0.9 * (len(times) - 1)))]


def _told(timed: _Timed) -> dict[str, Any]:
    times = sorted(timed.measurement.run_secs)
    return {
        "model": timed.name,
        "device": timed.measurement.device_name,
        "device_class": timed.measurement.device_class,
        "min_s": times[0],
        "median_s": statistics.median(times),
        "p90_s": _p90_s(times),
        "run_secs": list(timed.measurement.run_secs),
        "packaged_s": timed.packaged.get("tuned_s", 0.0),
        "packaged_device": timed.packaged.get("device", ""),
        **_verdict(timed),
    }


def _verdict(timed: _Timed) -> dict[str, Any]:
    found = timed.difference
    if found is None:
        return {}
    return {"judge": timed.judge, "outputs_equal": found.equal, "max_abs_diff": found.largest}


def _rows(timed: _Timed, kind: str) -> list[tuple[str, str]]:
    from tvm_farm.tracker.cli.terminal.formats import latency, plural, speedup

    times = sorted(timed.measurement.run_secs)
    median_s = statistics.median(times)
    rows = [
        (kind, timed.name),
        ("device", f"{timed.measurement.device_name} ({timed.measurement.device_class})"),
        ("median", f"{latency(median_s)} of {plural(len(times), 'timing')}"),
        ("min", latency(times[0])),
        ("p90", latency(_p90_s(times))),
    ]
    if timed.packaged.get("tuned_s"):
        before_s = timed.packaged["tuned_s"]
        there = f" on {timed.packaged['device']}" if timed.packaged.get("device") else ""
        rows.append(("packaged", f"{latency(before_s)}{there} (now {speedup(median_s, before_s)} as long)"))
    if (found := timed.difference) is not None:
        equal = "equal to" if found.equal else "DIFFERENT from"
        told = f"max |diff| {found.largest:.0e}" if found.finite else "none is finite"
        rows.append(("answers", f"{equal} those of {timed.judge} ({told})"))
    return rows
