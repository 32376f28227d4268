"""``farm bench``: time a package again, on the devices of a pool."""

from __future__ import annotations

import statistics
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracker.cli.connection import Connection, connection_options
from tracker.cli.options import json_option, priority_option
from tracker.cli.parsing import SEED
from tracker.client.errors import BadInput, FarmError, Interrupted

if TYPE_CHECKING:
    from tracker.cli.package import Package
    from tracker.client.farm_client import FarmClient
    from tracker.domain import Measurement, MeasureRequest

__all__ = ["bench"]

# Beyond this a library travels as an artifact: one gRPC message holds 64 MiB.
_INLINE_BYTES = 16 << 20


@click.command()
@click.argument("package", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--pool", required=True, help="Which devices: a pool's name, see `farm pools`.")
@click.option("--repeat", type=click.IntRange(1), metavar="N", default=10, show_default=True, help="How many timings.")
@click.option(
    "--number",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Runs of the model in a timing, at least.",
)
@click.option(
    "--min-repeat-ms",
    type=click.IntRange(0),
    metavar="MS",
    default=100,
    show_default=True,
    help="A timing lasts at least this long.",
)
@click.option(
    "--cooldown-ms", type=click.IntRange(0), metavar="MS", default=0, show_default=True, help="Rest between timings."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds on the device.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the random input.")
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
    seed: int,
    any_class: bool,
    priority: int,
    as_json: bool,
    connection: Connection,
) -> None:
    """Time the package in DIR on a device of a pool.

    \b
    Example:
      farm bench resnet50-tuned --pool arm64 --repeat 20
    """
    from tracker.cli.package import read_package
    from tracker.client.farm_client import file_digest
    from tracker.domain import TimingPlan

    found = read_package(package, file_digest)
    plan = TimingPlan(number=number, repeat=repeat, min_repeat_ms=min_repeat_ms, cooldown_ms=cooldown_ms)
    device_class = "" if any_class else str(found.manifest.get("device_class", ""))
    with connection.open() as client:
        try:
            request = _request(client, found, plan, timeout_s, seed)
            measurement = _measure(client, request, pool, device_class, priority)
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted; the measurement is given up.") from None
    _print(found, measurement, as_json)


def _request(client: FarmClient, package: Package, plan: Any, timeout_s: float, seed: int) -> MeasureRequest:
    import dataclasses

    from tracker.cli.params_file import read_param_types
    from tracker.client.farm_client import file_digest
    from tracker.domain import Argument, Artifact, Limits, MeasureRequest, Program, ProgramKind

    manifest = package.manifest
    try:
        args = [
            Argument(shape=tuple(entry["shape"]), dtype=entry["dtype"], fill_seed=seed + position)
            for position, entry in enumerate(manifest["inputs"])
        ]
        types = read_param_types(package.params) if package.params else {}
        args += [Argument(*types[name], param=name) for name in manifest["param_names"]]
    except (KeyError, TypeError) as error:
        raise BadInput(f"The manifest of {package.folder} is damaged ({type(error).__name__}: {error}).") from None
    except ValueError as error:
        raise BadInput(f"{package.params}: {error}.") from None
    digest, size = file_digest(package.library)
    if size <= _INLINE_BYTES:
        library = Artifact(digest, size, inline=package.library.read_bytes())
    else:
        library = client.put_artifact(package.library)
    program = Program(
        kind=ProgramKind.MODEL,
        library=library,
        entry=manifest["entry"],
        args=tuple(args),
        params=client.put_artifact(package.params) if package.params else None,
    )
    limits = dataclasses.replace(Limits(), run_timeout_s=timeout_s)
    return MeasureRequest(trial_id=f"bench-{uuid.uuid4().hex}", program=program, plan=plan, limits=limits)


def _measure(client: FarmClient, request: MeasureRequest, pool: str, device_class: str, priority: int) -> Measurement:
    from tracker.cli.tune import user_name
    from tracker.domain import Capacity

    user = user_name()
    replies = client.measure(
        [request],
        client=f"farm bench by {user or 'someone'}",
        pool=pool,
        device_class=device_class,
        whole_models=True,
        user=user,
        priority=priority,
    )
    for reply in replies:
        if not isinstance(reply, Capacity):
            return reply
        if not reply.devices:
            of_class = f" of class {device_class}" if device_class else ""
            raise FarmError(
                f"Pool {pool} has no connected device{of_class} that runs whole models (`farm devices show NAME`: "
                "runner in full mode) and takes your work (`farm devices`: drained, or another's under lease)."
                + (" Others may run it with --any-class." if device_class else "")
            )
    raise FarmError("The tracker ended the measurement without an answer: its log may tell why.")


def _print(package: Package, measurement: Measurement, as_json: bool) -> None:
    from tracker.cli.formats import latency, plural, speedup
    from tracker.cli.output import console, facts, print_json
    from tracker.domain import Outcome

    if measurement.outcome is not Outcome.OK:
        outcome = measurement.outcome.value if measurement.outcome else "no outcome"
        where = f" on {measurement.device_name}" if measurement.device_name else ""
        raise FarmError(f"{package.model} did not run{where}: {outcome}: {measurement.detail}")
    times = sorted(measurement.run_secs)
    median_s = statistics.median(times)
    p90_s = times[min(len(times) - 1, round(0.9 * (len(times) - 1)))]
    packaged = package.manifest.get("latency") or {}
    if as_json:
        print_json(
            {
                "model": package.model,
                "device": measurement.device_name,
                "device_class": measurement.device_class,
                "min_s": times[0],
                "median_s": median_s,
                "p90_s": p90_s,
                "run_secs": list(measurement.run_secs),
                "packaged_s": packaged.get("tuned_s", 0.0),
                "packaged_device": packaged.get("device", ""),
            }
        )
        return
    rows = [
        ("model", package.model),
        ("device", f"{measurement.device_name} ({measurement.device_class})"),
        ("median", f"{latency(median_s)} of {plural(len(times), 'timing')}"),
        ("min", latency(times[0])),
        ("p90", latency(p90_s)),
    ]
    if packaged.get("tuned_s"):
        before_s = packaged["tuned_s"]
        rows.append(
            (
                "packaged",
                f"{latency(before_s)} on {packaged.get('device', '')} (now {speedup(median_s, before_s)} as long)",
            )
        )
    console().print(facts(rows))
