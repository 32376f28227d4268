"""The tracker's composition root: the only place that picks concrete parts and ties them together."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.protos.address import joined
from tvm_farm.protos.names import nearest_name
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.domain.errors import CannotStart, TrackerError
from tvm_farm.tracker.metrics import MetricsEndpoint, Snapshots
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.device_orders import OrderBook
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.local_workers import LocalWorkers
from tvm_farm.tracker.services.log_upkeep import LogUpkeep
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.questions import Questions
from tvm_farm.tracker.services.recall import Recall
from tvm_farm.tracker.services.records import Records
from tvm_farm.tracker.services.runtimes import Runtimes
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.services.upgrades import Upgrades
from tvm_farm.tracker.services.workers import Workers
from tvm_farm.tracker.store import StateFolder, open_store, sqlite_url
from tvm_farm.tracker.wire.announcement import addresses, announced, check, is_everywhere, local_host
from tvm_farm.tracker.wire.artifacts import ArtifactsServicer
from tvm_farm.tracker.wire.devices import DevicesServicer
from tvm_farm.tracker.wire.farm import FarmServicer
from tvm_farm.tracker.wire.fleet import FleetServicer
from tvm_farm.tracker.wire.jobs import JobsServicer
from tvm_farm.tracker.wire.log import LogServicer
from tvm_farm.tracker.wire.measuring import MeasuringServicer
from tvm_farm.tracker.wire.server import Services, serve
from tvm_farm.tracker.wire.work import WorkServicer

__all__ = ["Endpoint", "Settings", "default_farm", "run", "worker_command"]

log = logging.getLogger(__name__)

#: Calls in progress get this long when the tracker stops.
_STOP_S = 0.3
#: How often the tracker looks for devices that were lost long ago.
_FORGET_EVERY_S = 3600.0
#: Container objects that are made before the collector looks at the young ones, and rounds until it looks at older
#: ones. What a trial is made of ends by its reference counts; with Python's 700 the search for cycles among the trials
#: and boards that live took a fifth of the CPU under a thousand boards.
_COLLECT_AFTER = (50_000, 20, 50)
#: The store's thread and the event loop wait this long for each other's interpreter lock. Python's 5 ms, once for each
#: statement of a group, kept answers under load for a quarter of a second.
_SWITCH_S = 0.0005


@dataclass(frozen=True)
class Settings:
    """What ``tracker start`` was told. ``interface``: IP address for mDNS alone; ``workers`` processes on this host;
    ``forget_lost_after_s``: lost devices stay so long, infinite for ever.
    """

    host: str
    port: int
    metrics_port: int
    farm: str
    state: Path
    workers: int
    forget_lost_after_s: float = math.inf
    mdns: bool = True
    interface: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where a running tracker is. ``address`` works on this host, ``addresses`` from the network."""

    farm: str
    address: str
    addresses: tuple[str, ...]
    metrics: str
    pid: int

    def write(self, path: Path) -> None:
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(self.__dict__, indent=2) + "\n")
        os.replace(temporary, path)


def worker_command(
    address: str, worker_id: str, builders: int | None = None, *, farm: str = "", interface: str = ""
) -> list[str]:
    """The command line of a tuning worker. A process of its own: the tracker never loads TVM.

    Without ``address`` it hears its tracker by mDNS, that of ``farm`` where one is named.
    """
    options = {
        "--tracker": address,
        "--worker-id": worker_id,
        "--builders": builders and str(builders),
        "--farm": farm,
        "--mdns-interface": interface,
    }
    given = [word for option, value in options.items() if value for word in (option, value)]
    return [sys.executable, "-m", "tvm_farm.tracker.tuning.process.worker", *given]


def _allow_many_files() -> None:
    """Each board and each client is an open file; systems give 1024 unless a program asks for more."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def _collect_seldom() -> None:
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


async def run(settings: Settings, serving: Callable[[Endpoint], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``serving`` is called once when calls are answered.

    Raises CannotStart, one sentence, leaving nothing half-written.
    """
    _allow_many_files()
    _collect_seldom()
    sys.setswitchinterval(_SWITCH_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _tracker(settings) as endpoint:
        serving(endpoint)
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def _tracker(settings: Settings) -> AsyncIterator[Endpoint]:
    async with AsyncExitStack() as stack:
        check(settings.host, settings.farm, settings.interface)
        folder = StateFolder(settings.state)
        stack.callback(folder.release)
        artifacts = ArtifactStore(folder.path / "artifacts")
        runtimes = Runtimes(artifacts, folder.path / "runtimes.jsonl")
        kept = open_store(sqlite_url(folder.path / "tracker.db"))
        store = StoreThread(kept, asyncio.get_running_loop())
        stack.push_async_callback(store.stop)
        release = __version__
        fleet = Fleet(store)
        jobs = Jobs(fleet, store, artifacts, runtimes)
        measuring = Measuring(fleet, store, artifacts, release, jobs.changed)
        workers = Workers(jobs, measuring, store, artifacts)
        await fleet.load(measuring)
        questions = Questions(kept.reader())
        stack.callback(questions.stop)
        records = Records(fleet, store, questions)
        recall = Recall(fleet, store, jobs.changed)
        order_book = OrderBook(fleet)
        upgrades = Upgrades(fleet, order_book, artifacts)
        services = Services(
            FleetServicer(settings.farm, release, fleet, measuring, artifacts, runtimes, upgrades),
            FarmServicer(settings.farm, release, fleet, jobs, workers),
            DevicesServicer(fleet, order_book, upgrades, runtimes, jobs),
            JobsServicer(jobs, records),
            LogServicer(records, LogUpkeep(store, fleet.class_named), release),
            ArtifactsServicer(artifacts),
            MeasuringServicer(measuring, recall),
            WorkServicer(workers, recall),
        )
        server, port = await serve(settings.host, settings.port, services)
        stack.push_async_callback(server.stop, _STOP_S)
        await workers.load()
        stack.push_async_callback(workers.stop)
        snapshots = Snapshots(fleet, measuring, recall, jobs, workers, store)
        metrics = MetricsEndpoint(settings.host, settings.metrics_port, snapshots, asyncio.get_running_loop())
        stack.push_async_callback(metrics.stop)
        ticking = asyncio.ensure_future(_tick(fleet, measuring))
        stack.callback(ticking.cancel)
        forgetting = asyncio.ensure_future(_forget_lost(order_book, settings.forget_lost_after_s))
        stack.callback(forgetting.cancel)
        endpoint_file = folder.path / "endpoint.json"

        def look() -> list[str]:
            return addresses(settings.host, settings.interface)

        def endpoint_at(hosts: Sequence[str]) -> Endpoint:
            return Endpoint(
                farm=settings.farm,
                address=local,
                addresses=tuple(joined(host, port) for host in hosts),
                metrics=f"http://{_local_address(settings.host, metrics.port)}/metrics",
                pid=os.getpid(),
            )

        def moved(hosts: Sequence[str]) -> None:
            with suppress(OSError):  # a full disk: the first addresses stay there
                endpoint_at(hosts).write(endpoint_file)

        local = _local_address(settings.host, port)
        if settings.mdns:
            await stack.enter_async_context(announced(settings.farm, port, release, look, settings.interface, moved))
        endpoint = endpoint_at(look())
        try:
            endpoint.write(endpoint_file)
        except OSError as e:
            raise CannotStart(f"{endpoint_file} cannot be written: {e.strerror}") from e
        stack.callback(endpoint_file.unlink, missing_ok=True)
        local_workers = LocalWorkers(folder.path, settings.workers, local, lambda w: worker_command(local, w))
        await local_workers.start()
        stack.push_async_callback(local_workers.stop)
        yield endpoint


async def _tick(fleet: Fleet, measuring: Measuring) -> None:
    while True:
        await asyncio.sleep(1.0)
        try:
            fleet.tick()
            measuring.tick()
        except Exception:
            # Without it no lost board would be noticed any more.
            log.exception("a look at the boards failed")


async def _forget_lost(order_book: OrderBook, after_s: float) -> None:
    """Once an hour. Not at once: boards are to join first, and a clock that was wrong at boot to be set."""
    while math.isfinite(after_s):
        await asyncio.sleep(_FORGET_EVERY_S)
        try:
            await order_book.forget_lost(after_s)
        except TrackerError as error:
            log.warning("lost devices could not be forgotten: %s", error)
        except Exception:
            log.exception("lost devices could not be forgotten")


def _local_address(host: str, port: int) -> str:
    return joined(local_host() if is_everywhere(host) else host, port)


def default_farm() -> str:
    """This host's name without its domain."""
    return nearest_name(socket.gethostname().split(".")[0], "farm")
