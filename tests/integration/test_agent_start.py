"""``agent start`` as a process, against a stand-in tracker over real gRPC, with the synthetic runner."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.own_network import is_apart
from tests.support.service_manager import ServiceManager
from tests.support.stand_in_tracker import StandInTracker, make_request
from tvm_farm.protos.discovery import PROTOCOL_VERSION, announce
from tvm_farm.protos.farm.v1 import fleet_pb2
from tvm_farm.protos.measurement import Artifact, Outcome, TimingPlan

#: A kernel that runs long enough to do something to it meanwhile.
SLOW = TimingPlan(number=1, repeat=1, min_repeat_ms=1500)
ENDLESS = TimingPlan(number=1, repeat=1, min_repeat_ms=50_000)


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


def agent(tracker: StandInTracker, state: Path, *more: str) -> AgentProcess:
    return AgentProcess("start", "--tracker", tracker.address, "--state", str(state), "--runner", "synthetic", *more)


async def test_joins_and_says_what_it_is(tracker: StandInTracker, tmp_path: Path) -> None:
    options = ("--name", "bench-7", "--label", "rack=3", "--prefetch", "4")
    async with agent(tracker, tmp_path, *options) as process:
        join = await tracker.joined()
        assert join.name == "bench-7"
        assert dict(join.labels) == {"rack": "3"}
        assert (join.slots, join.short_slots) == (5, 29)
        assert join.protocol_version == PROTOCOL_VERSION
        assert join.device_id == (tmp_path / "device-id").read_text().strip()
        assert join.fingerprint.arch
        assert join.fingerprint.clusters[0].cpus
        assert join.telemetry.at_unix_s > 0
        await process.says("joined farm stand-in")
        beats = await tracker.until(lambda: len(beats := tracker.all("heartbeat")) >= 3 and beats)
        assert beats[-1].telemetry.at_unix_s > beats[0].telemetry.at_unix_s


async def test_measures_with_files_inline_and_fetched(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path):
        await tracker.joined()
        library = tracker.put_artifact(b"library" * 30_000)
        params = tracker.put_artifact(b"params")
        tracker.measure(make_request("inline"))
        tracker.measure(make_request("fetched", library, params=params))
        tracker.measure(make_request("again", library))
        for trial in ("inline", "fetched", "again"):
            measured = await tracker.measurement(trial)
            assert measured.outcome is Outcome.OK, measured.detail
            assert measured.run_secs
            assert measured.before is not None
            assert measured.after is not None
            timeline = measured.timeline
            times = (measured.before.at_unix_s, timeline.started_s, timeline.finished_s, measured.after.at_unix_s)
            assert list(times) == sorted(times)
            assert 0 < timeline.received_s <= timeline.started_s
        assert sorted(tracker.started()) == ["again", "fetched", "inline"]
        assert sorted(tracker.fetched) == sorted([library.digest, params.digest])


async def test_damaged_and_missing_files_go_back_and_the_agent_goes_on(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path):
        await tracker.joined()
        missing = Artifact(hashlib.sha256(b"nowhere").hexdigest(), 7)
        damaged = tracker.put_artifact(b"as it was")
        tracker.artifacts[damaged.digest] = b"as it is!"
        tracker.measure(make_request("missing", missing))
        tracker.measure(make_request("damaged", damaged))
        await tracker.until(lambda: len(tracker.given_back()) == 2)
        assert "no artifact" in tracker.given_back()["missing"]
        assert "damaged" in tracker.given_back()["damaged"]
        tracker.measure(make_request("good"))
        assert (await tracker.measurement("good")).outcome is Outcome.OK


async def test_cancel_ends_the_running_kernel_and_drops_a_queued_one(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path):
        await tracker.joined()
        tracker.measure(make_request("endless", plan=ENDLESS))
        tracker.measure(make_request("queued"))
        tracker.measure(make_request("wanted"))
        await tracker.until(lambda: tracker.started() == ["endless"])
        tracker.say(cancelled=["endless", "queued"])
        assert (await tracker.measurement("wanted")).outcome is Outcome.OK
        assert tracker.started() == ["endless", "wanted"]
        assert tracker.measured() == ["wanted"]


async def test_a_killed_tracker_that_comes_back_gets_every_result_once(tracker: StandInTracker, tmp_path: Path) -> None:
    tracker.acknowledge = False
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        tracker.measure(make_request("unacknowledged"))
        await tracker.measurement("unacknowledged")
        running = make_request("running", plan=TimingPlan(min_repeat_ms=2500))
        tracker.measure(running)
        tracker.measure(make_request("queued"))
        await tracker.until(lambda: "running" in tracker.started())
        await tracker.stop()
        await process.says("lost the tracker")
        tracker.acknowledge = True
        await tracker.start()
        await tracker.joined(times=2)
        tracker.measure(running)  # a tracker that restarted places it again, here of all places
        await tracker.measurement("running")
        await tracker.until(lambda: tracker.measured().count("unacknowledged") == 2)
        assert tracker.started().count("unacknowledged") == 1
        assert tracker.started().count("running") == 1
        assert "queued" not in tracker.started()
        tracker.measure(make_request("queued"))
        await tracker.measurement("queued")


async def test_a_result_that_waits_answers_a_second_request(tracker: StandInTracker, tmp_path: Path) -> None:
    tracker.acknowledge = False
    tracker.heartbeat_s = 5.0  # long enough that a lost link is not what makes it answer again
    async with agent(tracker, tmp_path):
        await tracker.joined()
        tracker.measure(make_request("once"))
        await tracker.measurement("once")
        tracker.measure(make_request("once"))
        await tracker.until(lambda: tracker.measured() == ["once", "once"])
        assert tracker.started() == ["once"]
        assert len(tracker.all("join")) == 1


async def test_a_tracker_that_hangs_is_left_and_tried_again(tracker: StandInTracker, tmp_path: Path) -> None:
    tracker.acknowledge = False  # it owes an acknowledgement for ever: the link counts as lost after 3 heartbeats
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        tracker.measure(make_request("unanswered"))
        await tracker.measurement("unanswered")
        await process.says("owes an answer")
        await tracker.joined(times=2)


async def test_sigterm_finishes_the_kernel_at_hand_and_gives_back_the_rest(
    tracker: StandInTracker, tmp_path: Path
) -> None:
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        tracker.measure(make_request("running", plan=SLOW))
        tracker.measure(make_request("queued"))
        await tracker.until(lambda: tracker.started() == ["running"])
        process.signal(signal.SIGTERM)
        await tracker.until(lambda: "queued" in tracker.given_back())
        assert (await tracker.measurement("running")).outcome is Outcome.OK
        assert await process.ended() == 0
        others = {"heartbeat", "sent_unix_s"}
        kinds = [sorted({field.name for field, _ in message.ListFields()} - others) for message in tracker.heard]
        assert [kind for kind in kinds if kind] == [
            ["join"],
            ["started"],
            ["draining", "given_back"],
            ["measurements"],
        ]
        await tracker.until(lambda: tracker.streams_ended == 1)


async def test_a_second_signal_ends_it_at_once(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        tracker.measure(make_request("endless", plan=ENDLESS))
        await tracker.until(lambda: tracker.started() == ["endless"])
        process.signal(signal.SIGINT)
        await process.says("a second signal ends it")
        process.signal(signal.SIGINT)
        assert await process.ended() == 130


async def test_refused_for_good(tracker: StandInTracker, tmp_path: Path) -> None:
    tracker.refusal = fleet_pb2.Refused(reason="this agent is too old: upgrade it to 0.2")
    async with agent(tracker, tmp_path) as process:
        assert await process.ended() == 3
        assert "this agent is too old: upgrade it to 0.2" in process.text
        assert len(tracker.all("join")) == 1


async def test_refused_for_now(tracker: StandInTracker, tmp_path: Path) -> None:
    tracker.refusal = fleet_pb2.Refused(reason="the name vm is still in use", retry_after_s=0.1)
    async with agent(tracker, tmp_path) as process:
        await process.says("the name vm is still in use")
        tracker.refusal = None
        await process.says("joined farm")


async def test_a_tracker_that_is_not_there_yet(tmp_path: Path) -> None:
    tracker = StandInTracker()
    async with tracker:
        pass  # its port is free again, and known
    async with agent(tracker, tmp_path) as process:
        line = await process.says("cannot reach the tracker")
        assert "Connection refused" in line
        async with tracker:
            await process.says("joined farm")


async def test_two_agents_on_one_state_folder(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path) as first:
        await tracker.joined()
        async with agent(tracker, tmp_path) as second:
            assert await second.ended() == 5
            assert second.lines == [
                f"agent: another agent (pid {first.pid}) works with {tmp_path}: "
                "stop it, or give this one its own with --state DIR"
            ]


async def test_metrics(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path, "--metrics-port", "0") as process:
        url = (await process.says("metrics at")).rpartition(" ")[2]
        name = (await tracker.joined()).name
        tracker.measure(make_request("one"))
        await tracker.measurement("one")
        page = (await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())).decode()
        assert f'tvmfarm_agent_trials_total{{device="{name}",outcome="ok"}} 1.0' in page
        assert f'tvmfarm_agent_trials_total{{device="{name}",outcome="crash"}} 0.0' in page
        assert f'tvmfarm_agent_phase{{device="{name}",phase="idle"}} 1.0' in page
        port = url.rpartition(":")[2].split("/")[0]
        async with agent(tracker, tmp_path / "other", "--metrics-port", port) as second:
            assert await second.ended() == 2
            assert f"port {port}" in second.text


async def test_the_environment_sets_options(tracker: StandInTracker, tmp_path: Path) -> None:
    environ = {
        "TVMFARM_AGENT_START_TRACKER": tracker.address,
        "TVMFARM_AGENT_START_STATE": str(tmp_path),
        "TVMFARM_AGENT_START_NAME": "from-env",
        "TVMFARM_AGENT_START_RUNNER": "synthetic",
    }
    async with AgentProcess("start", **environ):
        assert (await tracker.joined()).name == "from-env"


@contextlib.asynccontextmanager
async def announced(farm: str, port: int) -> AsyncIterator[None]:
    """A real mDNS announcement on the loopback interface. zeroconf brings its own thread."""
    context = announce(farm, port, "0.1.0", ["127.0.0.1"], interface="127.0.0.1")
    await asyncio.to_thread(context.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def by_mdns(state: Path, *more: str) -> AgentProcess:
    options = ("--state", str(state), "--runner", "synthetic", "--mdns-interface", "127.0.0.1")
    return AgentProcess("start", *options, *more)


@pytest.mark.own_network
async def test_mdns_nobody_answers_and_then_somebody_does(tracker: StandInTracker, tmp_path: Path) -> None:
    farm = f"late-{uuid.uuid4().hex[:8]}"
    async with by_mdns(tmp_path, "--farm", farm) as process:
        await process.says(f"no mDNS answer from a tracker of farm {farm}.*still listening")
        async with announced(farm, tracker.port):
            await process.says(f"found farm {farm} at 127.0.0.1:{tracker.port}")
            await tracker.joined()


@pytest.mark.own_network
async def test_mdns_several_farms_need_a_choice(tracker: StandInTracker, tmp_path: Path) -> None:
    mine, other = f"mine-{uuid.uuid4().hex[:8]}", f"other-{uuid.uuid4().hex[:8]}"
    async with announced(mine, tracker.port), announced(other, 9):
        async with by_mdns(tmp_path) as process:
            assert await process.ended() == 4
            assert f"{mine} at 127.0.0.1:{tracker.port}" in process.text
            assert f"{other} at 127.0.0.1:9" in process.text
            assert "--farm NAME" in process.text
        async with by_mdns(tmp_path, "--farm", mine):
            await tracker.joined()


@pytest.mark.own_network
async def test_a_board_whose_network_comes_up_later(tmp_path: Path) -> None:
    """As a service that starts before any interface is there."""
    if not is_apart():
        pytest.skip("only a network of one's own can be switched off: see tests/support/own_network.py")
    switch(False)
    farm = f"late-{uuid.uuid4().hex[:8]}"
    options = ("start", "--state", str(tmp_path), "--runner", "synthetic", "--farm", farm)
    async with ServiceManager(tmp_path / "notify") as manager, AgentProcess(*options, **manager.environ) as process:
        await manager.hears("READY=1")
        await process.says(r"mDNS is not possible here \(no network interface has an address\); still listening")
        switch(True)
        async with StandInTracker() as tracker, announced(farm, tracker.port):
            await tracker.joined()
        assert "Traceback" not in process.text


def switch(up: bool) -> None:
    """The network of this test, which is the loopback."""
    words = [["link", "set", "lo", "up"], ["route", "replace", "224.0.0.0/4", "dev", "lo"]]
    for each in words if up else [["link", "set", "lo", "down"], ["address", "flush", "dev", "lo"]]:
        subprocess.run(["ip", *each], check=True)
