"""Agents upgraded by a real tracker: real processes, from an installation that stays as it is, by wheels as built."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.agent_process import AgentProcess
from tests.support.agent_wheels import built, changed, installed
from tests.support.farm_command import FarmTerminal, farm
from tests.support.measure_client import MeasureClient
from tests.support.service_manager import ServiceManager
from tests.support.slow_link import SlowLink
from tests.support.stand_in_agent import StandInAgent
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.agent.runner.probe_kernel import PROBE_ENTRY, find_probe_kernel
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import device_pb2, devices_pb2, measurement_pb2, measuring_pb2
from tvm_farm.protos.version import __version__

NEW = f"{__version__}.1"
NEWER = f"{__version__}.2"
NEWEST = f"{__version__}.3"

#: How often the installed agent looks whether one on trial joins.
LOOKS = ("tvm_farm/agent/upgrade/trial.py", "_LOOK_EVERY_S = 5.0", "_LOOK_EVERY_S = 0.1")
#: That it looks once, where a test waits for what comes of that.
HASTY = ("tvm_farm/agent/upgrade/trial.py", "_JOIN_WITHIN_S = 300.0", "_JOIN_WITHIN_S = 0.1")


@dataclass(frozen=True)
class Built:
    """The project's wheel, the folder that it is installed in, and where others are made."""

    wheel: Path
    site: Path
    folder: Path

    @functools.cache  # noqa: B019 - of a module's tests
    def of(self, version: str, *edits: tuple[str, str, str]) -> str:
        """A wheel of another version. ``edits``: a file of it, what is replaced in it, and by what."""
        folder = self.folder / str(abs(hash((version, edits))))
        return str(changed(self.wheel, folder, version, *edits))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("wheels")
    wheel = built(folder / "built")
    made = Built(wheel, folder / "site", folder)
    installed(Path(made.of(__version__, LOOKS)), made.site)
    return made


@pytest.fixture(scope="module")
def large(wheels: Built) -> str:
    """A wheel that comes in many pieces."""
    copy = wheels.folder / "large" / f"tvm_farm-{NEW}-py3-none-any.whl"
    copy.parent.mkdir()
    shutil.copy(wheels.of(NEW), copy)
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("tvm_farm/agent/noise", os.urandom(4 << 20))
    return str(copy)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """The tracker of most tests, whose boards have names of their own."""
    process = TrackerProcess(tmp_path_factory.mktemp("shared") / "tracker")
    yield process
    process.stop()


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "tracker")
    yield process
    process.stop()


class Lab:
    """Boards of one tracker, and the command for them."""

    def __init__(self, tracker: TrackerProcess, wheels: Built, folder: Path) -> None:
        self.tracker = tracker
        self._wheels = wheels
        self.folder = folder

    def agent(
        self, name: str, *options: str, address: str = "", site: Path | None = None, **environ: str
    ) -> AgentProcess:
        start = ("start", "--tracker", address or self.tracker.address, "--state", str(self.folder / name))
        if "--runner" not in options and "--mode" not in options:
            options = ("--runner", "synthetic", *options)
        # Where Python looks first must not be this checkout, whose agent would run else.
        path = str(site or self._wheels.site)
        return AgentProcess(*start, "--name", name, *options, cwd=self.folder, PYTHONPATH=path, **environ)

    async def upgrade(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(farm, "devices", "upgrade", *arguments, "--tracker", self.tracker.address)

    async def order(self, name: str, wheel: str) -> None:
        """As the command does with --detach."""

        def order() -> None:
            digest = self.tracker.upload(Path(wheel).read_bytes()).digest
            self.tracker.calls.devices.UpgradeDevice(devices_pb2.UpgradeDeviceRequest(device=name, digest=digest))

        await asyncio.to_thread(order)

    async def device(self, name: str) -> device_pb2.Device:
        return {device.name: device for device in await asyncio.to_thread(self.tracker.devices)}[name]

    async def until(self, name: str, condition: Callable[[device_pb2.Device], object], what: str) -> None:
        def holds() -> object:
            return condition({device.name: device for device in self.tracker.devices()}[name])

        await asyncio.to_thread(wait_until, holds, what)

    def code(self, name: str) -> set[str]:
        """Versions of which code lies in the state folder."""
        infos = (self.folder / name / "code").glob("*/*.dist-info")
        return {info.name.removesuffix(".dist-info").rpartition("-")[2] for info in infos}

    def chosen(self, name: str) -> dict[str, object]:
        found = json.loads((self.folder / name / "code" / "chosen.json").read_text())
        assert isinstance(found, dict)
        return found


@pytest.fixture
def lab(shared: TrackerProcess, wheels: Built, tmp_path: Path) -> Lab:
    return Lab(shared, wheels, tmp_path)


@pytest.fixture
def own_lab(tracker: TrackerProcess, wheels: Built, tmp_path: Path) -> Lab:
    return Lab(tracker, wheels, tmp_path)


async def test_two_of_three_boards(lab: Lab, wheels: Built) -> None:
    site = {path: path.stat().st_mtime_ns for path in wheels.site.rglob("*.py")}
    async with lab.agent("pi-1") as one, lab.agent("pi-2") as two, lab.agent("rock") as rock:
        for agent in (one, two, rock):
            await agent.says("joined farm")
        done = await lab.upgrade("pi-*", "--wheel", wheels.of(NEW))
        assert done.returncode == 0, done.stderr
        assert sorted(done.stdout.splitlines()) == [f"{name}: joined with {NEW}" for name in ("pi-1", "pi-2")]
        assert f"pi-1: {__version__} -> {NEW}" in done.stderr
        for name, agent in (("pi-1", one), ("pi-2", two)):
            device = await lab.device(name)
            assert (device.fingerprint.agent_version, device.HasField("upgrade")) == (NEW, False)
            # The process is the same one: who started it has hold of it still.
            assert psutil.Process(agent.pid).is_running()
            await agent.says(f"version {NEW} of the agent stands")
        assert (await lab.device("rock")).fingerprint.agent_version == __version__
        listed = await asyncio.to_thread(farm, "devices", "--tracker", lab.tracker.address, COLUMNS="200")
        assert listed.stdout.count(NEW) == 2
        for version, kept in ((NEWER, {NEW, NEWER}), (NEWEST, {NEWER, NEWEST})):
            await lab.order("pi-1", wheels.of(version))
            await one.says(f"version {version} of the agent stands")
            assert lab.code("pi-1") == kept
        again = await lab.upgrade("pi-1", "--wheel", wheels.of(NEWEST))
        assert (again.returncode, again.stdout) == (0, f"pi-1: joined with {NEWEST}\n")
        for agent in (one, two, rock):
            agent.signal(signal.SIGTERM)
            assert await agent.ended() == 0
    assert {path: path.stat().st_mtime_ns for path in site} == site
    async with lab.agent("pi-1") as one:
        await one.says(f"running version {NEWEST} of the agent")
        await one.says("joined farm")
        assert "fetching" not in one.text
    async with lab.agent("pi-1", "--no-upgrade") as one:
        await one.says("joined farm")
        refused = await lab.upgrade("pi-1", "--wheel", wheels.of(NEW))
        assert refused.returncode == 2
        assert "Device pi-1 takes no upgrade: its agent was started with --no-upgrade" in refused.stderr
    assert (await lab.device("pi-1")).fingerprint.agent_version == __version__


#: What is wrong with a version: the text that is replaced in a file of it; and what is said of it.
FALLS = {
    "it cannot be loaded": (
        ("tvm_farm/agent/cli.py", "import click\n", "import click, nowhere\n"),
        "it cannot be loaded here, with ModuleNotFoundError: No module named 'nowhere'",
    ),
    "it crashes at its start": (
        ("tvm_farm/agent/start.py", "    _give_way()\n", "    raise OSError('no such luck')\n"),
        "it fails, with OSError: no such luck",
    ),
    "it takes an option no more": (
        ("tvm_farm/agent/commands/start.py", '    "--name",\n', '    "--named",\n'),
        "it ended with exit code 2 before it joined",
    ),
    "the tracker refuses it": (
        ("tvm_farm/agent/board/fingerprint.py", "agent_version=__version__", 'agent_version="9.0.0"'),
        "the tracker refuses this agent: the agent is of release 9.0.0",
    ),
}
#: The same of one that would never end.
HANGS = {
    "it does not join": (
        "tvm_farm/agent/driver/session_driver.py",
        "await self._link.open(",
        "await asyncio.sleep(1e6)\n        await self._link.open(",
    ),
    "it hangs, its event loop with it": (
        "tvm_farm/agent/start.py",
        "    _give_way()\n",
        "    while True:\n        pass\n",
    ),
}


async def test_what_does_not_stand_falls_back(lab: Lab, wheels: Built) -> None:
    async with lab.agent("falls-1") as agent:
        await agent.says("joined farm")
        for name, (edit, said) in FALLS.items():
            await lab.order("falls-1", wheels.of(NEWER, edit))
            await lab.until("falls-1", lambda device: device.upgrade.failure, f"end of one of which {name}")
            device = await lab.device("falls-1")
            assert device.upgrade.failure.startswith(said)
            assert (device.fingerprint.agent_version, device.state) == (__version__, device_pb2.DEVICE_STATE_IDLE)
            assert (device.code.failed_upgrade, device.code.digest) == (device.upgrade.id, "")
        # The next falls back to an upgrade that stood.
        assert (await lab.upgrade("falls-1", "--wheel", wheels.of(NEW))).returncode == 0
        edit, said = next(iter(FALLS.values()))
        done = await lab.upgrade("falls-*", "--wheel", wheels.of(NEWER, edit))
        assert done.returncode == 1
        assert f"falls-1: upgrade to {NEWER} failed: {said}; it runs {NEW} again" in done.stderr
        shown = await asyncio.to_thread(farm, "devices", "show", "falls-1", "--tracker", lab.tracker.address)
        assert f"to {NEWER} failed: it cannot be loaded here" in shown.stdout
        agent.signal(signal.SIGTERM)
        assert await agent.ended() == 0


async def test_what_hangs_falls_back(lab: Lab, wheels: Built, tmp_path: Path) -> None:
    site = await asyncio.to_thread(installed, Path(wheels.of(__version__, LOOKS, HASTY)), tmp_path / "site")
    async with lab.agent("hangs-1", site=site) as agent:
        for joins, (name, edit) in enumerate(HANGS.items(), 1):
            await agent.says("joined farm", times=joins)
            await lab.order("hangs-1", wheels.of(NEWER, edit))
            await lab.until("hangs-1", lambda device: device.upgrade.failure, f"end of one of which {name}")
            device = await lab.device("hangs-1")
            assert device.upgrade.failure == "it did not join within 0 s, though the tracker could be reached"
            assert device.fingerprint.agent_version == __version__
        agent.signal(signal.SIGTERM)
        assert await agent.ended() == 0


async def test_a_process_that_dies_is_counted_by_who_starts_it_again(lab: Lab, wheels: Built) -> None:
    """As systemd does. No code sees the end of a process by a signal."""
    wheel = wheels.of(NEW, ("tvm_farm/agent/start.py", "    _give_way()\n", "    os.kill(os.getpid(), 11)\n"))
    async with lab.agent("dies-1") as agent:
        await agent.says("joined farm")
        await lab.order("dies-1", wheel)
        assert await agent.ended() == -signal.SIGSEGV
    for _ in range(2):
        async with lab.agent("dies-1") as agent:
            assert await agent.ended() == -signal.SIGSEGV
    async with lab.agent("dies-1") as agent:
        await agent.says("joined farm")
        await agent.says("does not stand: it ended 3 times before it joined, without a word")
        await lab.until("dies-1", lambda device: device.upgrade.failure, "failure that the tracker keeps")
        device = await lab.device("dies-1")
        assert device.fingerprint.agent_version == __version__
        assert device.upgrade.failure == "it ended 3 times before it joined, without a word"


async def test_a_network_that_is_away_is_no_fault(own_lab: Lab, wheels: Built, tracker: TrackerProcess) -> None:
    # It waits for the test before it connects, so that the tracker is gone by then.
    wait = "while not os.path.exists('go'):\n            await asyncio.sleep(0.05)\n        await self._link.open("
    wheel = wheels.of(
        NEW, ("tvm_farm/agent/driver/session_driver.py", "await self._link.open(", f"import os\n        {wait}")
    )
    async with own_lab.agent("pi-1") as agent:
        await agent.says("joined farm")
        await own_lab.order("pi-1", wheel)
        await agent.says(f"running version {NEW}")
        await asyncio.to_thread(tracker.kill)
        (own_lab.folder / "go").touch()
        await agent.says("cannot reach the tracker")
        assert own_lab.chosen("pi-1")["trial"] is True
        agent.signal(signal.SIGKILL)
    async with own_lab.agent("pi-1") as agent:
        await agent.says("cannot reach the tracker")
        # However often it is switched on and off meanwhile.
        await asyncio.to_thread(wait_until, lambda: own_lab.chosen("pi-1")["starts"] == 0, "start that does not count")
        await asyncio.to_thread(tracker.start)
        await agent.says(f"version {NEW} of the agent stands")
        assert (await own_lab.device("pi-1")).fingerprint.agent_version == NEW


async def test_a_job_over_an_upgrade(lab: Lab, wheels: Built) -> None:
    """By native runners, in whose folder the new one lies: nothing is lost and nothing counted twice."""
    library = find_probe_kernel().read_bytes()
    kernel = {
        "kind": measurement_pb2.PROGRAM_KIND_KERNEL,
        "entry": PROBE_ENTRY,
        "args": [measurement_pb2.Argument(shape=[4], dtype="float32", data=bytes(16)) for _ in range(2)],
    }
    async with lab.agent("works-1", "--mode", "micro", "--prefetch", "4") as agent:
        await agent.says("joined farm")
        client = MeasureClient(lab.tracker.address)
        trials = [f"t{number}" for number in range(30)]
        for trial in trials:
            request = measurement_pb2.MeasureRequest(
                trial_id=trial,
                program=measurement_pb2.Program(**kernel),
                plan=measurement_pb2.TimingPlan(number=1, repeat=3, min_repeat_ms=40, repeats_to_cooldown=1),
                limits=measurement_pb2.Limits(run_timeout_s=10),
            )
            request.program.library.CopyFrom(lab.tracker.upload(library))
            context = measuring_pb2.RecordContext(workload="w0", workload_name=trial, target="{}", trace=f'["{trial}"]')
            client.calls.put(measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=request, context=context)]))
        await asyncio.to_thread(client.wait_for, trials[0])
        await lab.order("works-1", wheels.of(NEW))
        await agent.says("draining, to start again with the upgrade")
        at_upgrade = len(client.answers)
        answers = await asyncio.to_thread(client.wait_for, *trials)
        await agent.says(f"version {NEW} of the agent stands")
        assert at_upgrade < len(trials)
        assert {answer.outcome for answer in answers} == {measurement_pb2.OUTCOME_OK}
        assert set(client.times.values()) == {1}
        [runner] = psutil.Process(agent.pid).children()
        assert str(lab.folder / "works-1" / "code") in " ".join([runner.exe(), *runner.cmdline()])
        client.close()
        device = await lab.device("works-1")
        assert (device.measured, device.fingerprint.agent_version) == (len(trials), NEW)


def wait_for_no_longer_than_it_takes(condition: Callable[[], object]) -> None:
    """What it waits for lasts for milliseconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


async def test_for_systemd_it_is_the_same_service(lab: Lab, wheels: Built, tmp_path: Path) -> None:
    """One that said that it stops would be ended after TimeoutStopSec, restarted or not."""
    async with ServiceManager(tmp_path / "notify", 10.0) as manager, lab.agent("served-1", **manager.environ) as agent:
        await manager.hears("READY=1")
        await agent.says("joined farm")
        await lab.order("served-1", wheels.of(NEW))
        await agent.says(f"version {NEW} of the agent stands")
        await manager.hears("READY=1", times=2)
        beats = manager.lines.count("WATCHDOG=1")
        await manager.hears("WATCHDOG=1", times=beats + 1)
        assert "STOPPING=1" not in manager.lines


async def test_killed_at_every_stage(lab: Lab, large: str) -> None:
    """kill -9 while it fetches, unpacks, and is about to start again: it comes back each time, whole, and goes on."""
    code = lab.folder / "killed-1" / "code"
    size = os.path.getsize(large)  # noqa: ASYNC240

    def fetched() -> int:
        return sum(path.stat().st_size for path in code.glob("wheels/incoming-*"))

    stages: list[Callable[[], object]] = [
        lambda: fetched() > size // 4,
        lambda: fetched() > size // 2,
        lambda: [path for path in code.glob("*.*/*") if path.parent.name != "chosen.json"],
        lambda: list(code.glob("*/sealed.sha256")),
        lambda: list(code.glob("chosen.json*")),
    ]
    sizes = [0]
    async with SlowLink(lab.tracker.port, 4_000_000) as link:
        address = f"127.0.0.1:{link.port}"
        for number, reached in enumerate(stages):
            async with lab.agent("killed-1", address=address) as agent:
                await agent.says("joined farm")
                assert (await lab.device("killed-1")).fingerprint.agent_version == __version__
                if not number:
                    await lab.order("killed-1", large)
                await asyncio.to_thread(wait_for_no_longer_than_it_takes, reached)
                agent.signal(signal.SIGKILL)
                await agent.ended()
            if number < 2:
                sizes.append(fetched())
        assert sizes == sorted(set(sizes)), "what had come before the kill was kept"
        async with lab.agent("killed-1", address=address) as agent:
            await agent.says(f"version {NEW} of the agent stands")
            await lab.until("killed-1", lambda device: not device.HasField("upgrade"), "order that is done")
            assert (await lab.device("killed-1")).fingerprint.agent_version == NEW
            assert lab.code("killed-1") == {NEW}


async def test_what_becomes_of_an_upgrade_that_stands(lab: Lab, wheels: Built, tmp_path: Path) -> None:
    """Its files may be lost, and an agent installed that somebody wants more."""
    async with lab.agent("stands-1") as agent:
        await agent.says("joined farm")
        await lab.order("stands-1", wheels.of(NEW))
        await agent.says(f"version {NEW} of the agent stands")
    [link] = (lab.folder / "stands-1" / "code").glob("*/tvm_farm/agent/link/link.py")
    link.write_text(link.read_text()[:1000])
    async with lab.agent("stands-1") as agent:
        await agent.says("does not stand: its files on this board are damaged")
        await agent.says("joined farm")
        assert (await lab.device("stands-1")).fingerprint.agent_version == __version__
        await lab.order("stands-1", wheels.of(NEW))
        await agent.says(f"version {NEW} of the agent stands")
    site = await asyncio.to_thread(installed, Path(wheels.of(NEWER)), tmp_path / "site")
    async with lab.agent("stands-1", site=site) as agent:
        await agent.says(f"version {NEWER} is installed: it runs, and not {NEW}, which the farm sent before")
        await agent.says("joined farm")
        assert (await lab.device("stands-1")).fingerprint.agent_version == NEWER
        await lab.order("stands-1", wheels.of(NEWEST))
        await agent.says(f"version {NEWEST} of the agent stands")


async def test_a_wheel_that_somebody_installs_wins_also_with_the_version_of_before(
    lab: Lab, wheels: Built, tmp_path: Path
) -> None:
    """As whoever builds from a checkout does: the version stays, the code does not. Also the same wheel once more."""
    mends = ("tvm_farm/agent/cli.py", '"""', '"""Mended. ')
    first, other = Path(wheels.of(__version__, LOOKS)), Path(wheels.of(__version__, LOOKS, mends))
    site = tmp_path / "site"
    await asyncio.to_thread(installed, first, site)
    for wheel in (other, other):
        async with lab.agent("mended-1", site=site) as agent:
            await agent.says("joined farm")
            await lab.order("mended-1", wheels.of(NEW))
            await agent.says(f"version {NEW} of the agent stands")
        async with lab.agent("mended-1", site=site) as agent:  # nothing was installed since
            await agent.says(f"running version {NEW} of the agent")
        shutil.rmtree(site)
        await asyncio.to_thread(installed, wheel, site)
        async with lab.agent("mended-1", site=site) as agent:
            await agent.says(f"version {__version__} is installed: it runs, and not {NEW}, which the farm sent before")
            await agent.says("joined farm")
            assert (await lab.device("mended-1")).fingerprint.agent_version == __version__


async def test_devices_of_one_board_share_its_process(lab: Lab, wheels: Built, tmp_path: Path) -> None:
    parts = (
        "tvm_farm/agent/start.py",
        "parts_of(device.fingerprint, settings.cluster)",
        "[Part(device.fingerprint, name, (0,)) for name in ('a72', 'a53')]",
    )
    site = await asyncio.to_thread(installed, Path(wheels.of(NEW, parts)), tmp_path / "site")
    async with lab.agent("rock", site=site) as agent:
        await agent.says("joined farm", times=2)
        done = await lab.upgrade("rock-*", "--wheel", wheels.of(NEWER, parts))
        assert done.returncode == 0, done.stderr
        assert sorted(done.stdout.splitlines()) == [f"rock-{part}: joined with {NEWER}" for part in ("a53", "a72")]
        assert agent.text.count(f"running version {NEWER}") == 1


async def test_what_cannot_be_ordered(own_lab: Lab, wheels: Built, tracker: TrackerProcess) -> None:
    speaks = ("tvm_farm/protos/discovery.py", f"PROTOCOL_VERSION = {PROTOCOL_VERSION}", "PROTOCOL_VERSION = 99")
    lacks = ("METADATA", "Requires-Dist: grpcio>=1.76", "Requires-Dist: grpcio>=99")
    none = own_lab.folder / "none.whl"
    none.write_bytes(b"no zip")
    async with own_lab.agent("pi-1") as agent:
        await agent.says("joined farm")
        old = await asyncio.to_thread(StandInAgent, tracker.address, "old-1")
        for arguments, code, said in (
            (["pi-1", "--wheel", wheels.of(NEW, speaks)], 2, "that wheel speaks protocol version 99"),
            (["pi-1", "--wheel", wheels.of("9.0.0")], 2, "The agent is of release 9.0.0 and this tracker of"),
            (["pi-1", "--wheel", str(none)], 2, "none.whl cannot be sent to boards: it is no wheel"),
            (["pi-1", "--wheel", "nowhere.whl"], 2, "nowhere.whl cannot be read: No such file"),
            (["po-*", "--wheel", wheels.of(NEW)], 2, "No device is called po-*. The farm has: old-1, pi-1."),
            (
                ["old-1", "--wheel", wheels.of(NEW)],
                2,
                "The agent of device old-1, version 0.1.0, is too old to be",
            ),
            (["pi-1", "--wheel", wheels.of(NEW, lacks)], 1, "failed: it needs grpcio>=99 and this board has grpcio 1."),
            (["pi-1"], 2, "Say either which agent, with --wheel FILE, or --cancel."),
            (["*", "--wheel", wheels.of(NEW)], 1, f"Not upgraded to {NEW}: old-1"),
        ):
            done = await own_lab.upgrade(*arguments)
            assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert done.stdout == f"pi-1: joined with {NEW}\n"
        assert agent.text.count("joined farm") == 2, "it started again for the last one alone"
        old.cut()


async def test_a_board_that_is_lost_is_upgraded_when_it_is_back(lab: Lab, wheels: Built) -> None:
    async with lab.agent("away-1") as agent:
        await agent.says("joined farm")
    await lab.until("away-1", lambda device: device.state == device_pb2.DEVICE_STATE_LOST, "lost device")
    for _ in range(2):
        done = await lab.upgrade("away-1", "--wheel", wheels.of(NEW))
        assert done.returncode == 1
        assert f"away-1: {__version__} -> {NEW}, as soon as it is back: it is lost" in done.stderr
        assert "Lost, and upgraded when they are back: away-1. Take it back with --cancel." in done.stderr
    cancelled = await lab.upgrade("away-1", "--cancel")
    assert (cancelled.returncode, cancelled.stdout) == (0, "away-1: no upgrade is ordered.\n")
    assert (await lab.upgrade("away-1", "--detach", "--wheel", wheels.of(NEW))).returncode == 0
    async with lab.agent("away-1") as agent:
        await agent.says(f"version {NEW} of the agent stands")


async def test_who_watches_may_leave(lab: Lab, large: str) -> None:
    async with (
        SlowLink(lab.tracker.port, 100_000) as link,
        lab.agent("slow-1", address=f"127.0.0.1:{link.port}") as agent,
    ):
        await agent.says("joined farm")
        arguments = ("devices", "upgrade", "slow-1", "--wheel", large, "--tracker", lab.tracker.address)

        def watch() -> tuple[int, str]:
            with FarmTerminal(*arguments) as terminal:
                terminal.await_text("slow-1: fetching, 0 %")
                terminal.press_ctrl_c()
                return terminal.await_exit(), terminal.text

        code, text = await asyncio.to_thread(watch)
        assert code == 130
        assert "No longer watching; what was ordered stands." in text
        assert (await lab.device("slow-1")).upgrade.version == NEW
        hurried = await lab.upgrade("slow-1", "--wheel", large, "--wait", "1s")
        assert hurried.returncode == 1
        assert f"Not upgraded to {NEW}: slow-1" in hurried.stderr
        assert (await lab.upgrade("slow-1", "--cancel")).returncode == 0
        await lab.until("slow-1", lambda device: not device.HasField("upgrade"), "order that is taken back")
        assert "draining" not in agent.text
