"""``farm`` against a real tracker and a real agent: what the two sides must agree on."""

from __future__ import annotations

import getpass
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.farm_command import FarmTerminal, farm
from tests.support.onnx_like import onnx_like
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.discovery import announce
from tvm_farm.tracker.cli.terminal.child import Child


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """A tracker without workers, so that jobs stay queued, and one synthetic device called bench-1."""
    folder = tmp_path_factory.mktemp("farm")
    tracker = TrackerProcess(folder / "tracker", "--farm", "lab")
    options = ["--tracker", tracker.address, "--state", str(folder / "agent"), "--runner", "synthetic"]
    try:
        with Child(
            "agent", ["start", *options, "--name", "bench-1", "--label", "room=cold"], folder / "agent.log"
        ) as agent:
            wait_until(lambda: (agent.check(), tracker.devices())[1], "device")
            yield tracker
    finally:
        tracker.stop()


def ask(tracker: TrackerProcess, *arguments: str) -> Any:
    answer = farm(*arguments, "--json", "--tracker", tracker.address)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def refused(tracker: TrackerProcess, *arguments: str, code: int = 2) -> str:
    answer = farm(*arguments, "--tracker", tracker.address)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_like(100))  # no worker will ever look
    return path


def test_a_device_that_joined_is_listed_and_shown(tracker: TrackerProcess) -> None:
    [device] = ask(tracker, "devices")
    assert (device["name"], device["state"], device["labels"]["room"]) == ("bench-1", "idle", "cold")
    assert device["telemetry"]["at_unix_s"] > 0
    shown = farm("devices", "show", "bench", "--tracker", tracker.address)
    assert shown.returncode == 0, shown.stderr
    for fact in (device["id"], device["device_class"], "synthetic mode", "room=cold"):
        assert fact in shown.stdout
    assert ask(tracker, "status")["devices_connected"] == 1


def test_pools_are_made_of_labels_and_the_built_in_ones_stay(tracker: TrackerProcess) -> None:
    labels = ["--selector", "room=cold", "--selector", "runner=synthetic"]
    made = farm("pools", "create", "cold", *labels, "--tracker", tracker.address)
    assert made.stdout == "Pool cold: 1 device, 1 connected.\n"
    [cold] = [pool for pool in ask(tracker, "pools") if pool["name"] == "cold"]
    assert (cold["selector"], cold["devices"], cold["connected"], cold["built_in"]) == (
        {"room": "cold", "runner": "synthetic"},
        ["bench-1"],
        1,
        False,
    )
    assert [device["name"] for device in ask(tracker, "devices", "--pool", "cold")] == ["bench-1"]
    assert farm("pools", "delete", "cold", "--tracker", tracker.address).returncode == 0
    assert "'cold'" in refused(tracker, "pools", "delete", "cold")
    assert "arm64" in refused(tracker, "pools", "delete", "arm64")


def test_a_pool_that_cannot_work_is_explained(tracker: TrackerProcess, model: Path) -> None:
    unknown = refused(tracker, "tune", str(model), "--pool", "attic", "--detach")
    assert "no pool 'attic'" in unknown
    assert "arm64" in unknown
    empty = refused(tracker, "tune", str(model), "--pool", "arm64", "--detach", code=4)
    assert "no device of the pool 'arm64' can take work: bench-1 is in synthetic" in empty.lower()
    assert ask(tracker, "jobs") == []


def test_a_queued_job_is_watched_left_shown_and_cancelled(tracker: TrackerProcess, model: Path) -> None:
    command = ["tune", str(model), "--pool", "synthetic", "--trials", "8", "--tracker", tracker.address]
    with FarmTerminal(*command, cwd=model.parent) as terminal:
        terminal.await_text("no tuning worker")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
        job_id = terminal.await_text(r"farm jobs watch (\S+)")[1]
    [job] = ask(tracker, "jobs", "--state", "queued")
    assert (job["id"], job["spec"]["max_trials"], job["spec"]["pool"]) == (job_id, 8, "synthetic")
    assert ask(tracker, "jobs", "show", job_id[:6])["spec"]["model_name"] == "net"
    times = ask(tracker, "jobs", "show", job_id[:6], "--timeline")
    assert (times["trials"], times["steps"], times["wall_s"]) == (0, [], 0)
    shown = farm("jobs", "show", job_id[:6], "--timeline", "--tracker", tracker.address).stdout
    assert [line.split() for line in shown.splitlines()] == [["job", job_id], ["tuning", "0", "trials", "in", "0s"]]
    assert ask(tracker, "jobs", "--state", "done") == []
    cancelled = farm("jobs", "cancel", job_id[:6], "--tracker", tracker.address)
    assert cancelled.stdout == f"Job {job_id} is cancelled.\n"
    assert "was cancelled" in refused(tracker, "jobs", "watch", job_id, code=1)
    assert ask(tracker, "jobs", "--limit", "1")[0]["state"] == "cancelled"
    assert "farm jobs resume" in refused(tracker, "jobs", "watch", job_id, code=1)


def test_ctrl_c_cancels_a_check(tracker: TrackerProcess, model: Path) -> None:
    """Nobody comes back for its answer."""
    with FarmTerminal("check", str(model), "--tracker", tracker.address, cwd=model.parent) as terminal:
        terminal.await_text("no tuning worker")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
        assert "Interrupted; its job is cancelled." in terminal.text
    [job] = ask(tracker, "jobs", "--state", "cancelled", "--limit", "1")
    assert (job["spec"]["kind"], ask(tracker, "jobs", "--state", "queued")) == ("check", [])


def test_a_list_that_ends_before_the_end_says_so(tracker: TrackerProcess, model: Path) -> None:
    for _ in range(2):
        farm("tune", str(model), "--pool", "synthetic", "--trials", "8", "--detach", "--tracker", tracker.address)
    short = farm("jobs", "--limit", "1", "--tracker", tracker.address)
    assert "There are more jobs than these 1: --limit 0 lists all." in short.stderr
    assert len(short.stdout.splitlines()) == 2
    assert len(ask(tracker, "jobs", "--limit", "1")) == 1
    assert farm("jobs", "--limit", "0", "--tracker", tracker.address).stderr == ""


def test_a_submission_sent_twice_is_one_job(tracker: TrackerProcess, model: Path) -> None:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import JobKind, JobSpec

    with Farm(tracker.address) as client:
        spec = JobSpec(JobKind.TUNE, "twice", client.artifacts.put(model), "synthetic", max_trials=1, user="ada")
        request_id = uuid.uuid4().hex
        first, second = client.jobs.submit(spec, request_id), client.jobs.submit(spec, request_id)
        assert first.id == second.id
        client.jobs.cancel(first.id)


def test_names_that_do_not_exist_are_refused(tracker: TrackerProcess) -> None:
    assert "no job" in refused(tracker, "jobs", "show", "zzz").lower()
    assert "no job" in refused(tracker, "jobs", "watch", "zzz").lower()
    assert "no job" in refused(tracker, "jobs", "cancel", "zzz").lower()
    assert "no pool" in refused(tracker, "devices", "--pool", "attic").lower()


def test_an_artifact_of_many_chunks_comes_back_as_it_was_sent(tracker: TrackerProcess, tmp_path: Path) -> None:
    from tvm_farm.tracker.client.farm import Farm

    sent, received = tmp_path / "sent", tmp_path / "received"
    sent.write_bytes(bytes(range(256)) * 20_000)
    with Farm(tracker.address) as client:
        client.artifacts.get(client.artifacts.put(sent), received)
    assert received.read_bytes() == sent.read_bytes()


def test_an_empty_log_is_an_empty_answer(tracker: TrackerProcess) -> None:
    assert ask(tracker, "records", "query", "--outcome", "run timeout", "--since", "1h") == []
    assert ask(tracker, "records", "best", "--pool", "synthetic") == []


@pytest.mark.own_network
def test_trackers_are_found_by_mdns_and_chosen_by_name(tmp_path: Path) -> None:
    here = ["--mdns-interface", "127.0.0.1"]
    names = [f"farm-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    with ExitStack() as running:
        for name in names:
            options = ["--host", "127.0.0.1", "--port", "0", "--metrics-port", "0", "--workers", "0", "--farm", name]
            log = tmp_path / f"{name}.log"
            child = running.enter_context(
                Child("tracker", ["start", *options, *here, "--state", str(tmp_path / name)], log)
            )
            endpoint = tmp_path / name / "endpoint.json"
            wait_until(lambda c=child, e=endpoint: (c.check(), e.exists())[1], f"{name} serving")  # type: ignore[misc]
        for name in names:
            chosen = farm("status", "--json", "--farm", name, *here)
            assert chosen.returncode == 0, chosen.stderr
            assert json.loads(chosen.stdout)["farm"] == name
        asked = farm("status", *here)
        assert asked.returncode == 2
        assert "--farm NAME" in asked.stderr
        for name in names:
            assert name in asked.stderr
        missing = farm("status", "--farm", "nowhere", *here)
        assert missing.returncode == 3
        assert "No farm named nowhere" in missing.stderr


@pytest.mark.own_network
def test_of_all_addresses_that_are_announced_one_has_the_farm(tmp_path: Path) -> None:
    """The first is another farm's, as 172.17.0.1 is on every host with Docker; nobody listens at the second."""
    name = f"farm-{uuid.uuid4().hex[:8]}"
    with ExitStack() as running:
        mine = TrackerProcess(tmp_path / "mine", "--farm", name, reached=["--host", "127.0.0.9", "--no-mdns"])
        running.callback(mine.stop)
        port = mine.address.rpartition(":")[2]
        theirs = ["--host", "127.0.0.2", "--port", port, "--no-mdns"]
        other = TrackerProcess(tmp_path / "other", "--farm", "other", reached=theirs)
        running.callback(other.stop)
        hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.9"]
        running.enter_context(announce(name, int(port), "1", hosts, interface="127.0.0.1"))
        found = farm("status", "--json", "--mdns-interface", "127.0.0.1")
        assert found.returncode == 0, found.stderr
        assert json.loads(found.stdout)["farm"] == name
        mine.stop()
        gone = farm("status", "--json", "--mdns-interface", "127.0.0.1")
        assert (gone.returncode, f"is the farm other, not {name}" in gone.stderr) == (2, True)


def order(tracker: TrackerProcess, *arguments: str) -> str:
    answer = farm(*arguments, "--tracker", tracker.address)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_device_is_leased_shown_and_given_back(tracker: TrackerProcess) -> None:
    user = getpass.getuser()
    said = order(tracker, "lease", "bench", "--for", "30m")
    assert re.fullmatch(r"bench-1 is yours until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, for (30m 00s|29m 5\ds)\.\n", said)
    listed = order(tracker, "devices").splitlines()
    assert listed[0].split()[:3] == ["device", "state", "order"]
    assert re.search(rf"^bench-1 +idle +{user}'s for (30m 00s|29m \d\ds) ", listed[1])
    shown = order(tracker, "devices", "show", "bench")
    assert re.search(rf"lease +{user}'s until .+, for ", shown)
    [device] = ask(tracker, "devices")
    assert device["lease"]["user"] == user
    longer = ask(tracker, "lease", "bench-1", "--for", "2h")
    assert longer["lease"]["until_unix_s"] > device["lease"]["until_unix_s"] + 5000
    somebody = farm("lease", "bench-1", "--for", "1h", "--tracker", tracker.address, LOGNAME="somebody-else")
    assert somebody.returncode == 2
    assert f"Device bench-1 is leased to {user} until " in somebody.stderr
    assert order(tracker, "lease", "bench-1", "--release") == "bench-1 is back in the farm.\n"
    assert "not leased" in refused(tracker, "lease", "bench-1", "--release")
    assert "order" not in order(tracker, "devices")
    for options in ([], ["--for", "1h", "--release"]):
        assert "--for 30m" in refused(tracker, "lease", "bench-1", *options)
    assert "at most 7 days" in refused(tracker, "lease", "bench-1", "--for", "8d")


def test_a_device_is_drained_shown_and_resumed(tracker: TrackerProcess, model: Path) -> None:
    said = order(tracker, "drain", "bench", "--reason", "new fan")
    assert said == "bench-1 takes no new work until `farm resume bench-1`.\n"
    assert "drained: new fan" in order(tracker, "devices")
    assert re.search(rf"drained +(now|\ds ago) by {getpass.getuser()}: new fan", order(tracker, "devices", "show", "b"))
    refusal = refused(tracker, "tune", str(model), "--pool", "synthetic", "--detach", code=4)
    assert "bench-1 is draining (new fan)" in refusal
    assert "nor do your jobs run on it before `farm resume bench-1`" in order(tracker, "lease", "bench", "--for", "1m")
    assert order(tracker, "resume", "bench") == f"bench-1 takes work of {getpass.getuser()} alone again.\n"
    order(tracker, "lease", "bench", "--release")
    assert "Nobody drained bench-1" in refused(tracker, "resume", "bench")


def test_a_device_is_labelled_into_a_pool_and_out_of_it(tracker: TrackerProcess) -> None:
    order(tracker, "pools", "create", "top", "--selector", "shelf=top", "--selector", "runner=synthetic")
    said = order(tracker, "devices", "label", "bench", "shelf=top", "room=warm")
    assert said == "bench-1: room=warm  shelf=top\nIn synthetic, top.\n"
    assert re.search("set by hand +room=warm  shelf=top", order(tracker, "devices", "show", "bench"))
    device = ask(tracker, "devices", "label", "bench", "shelf-", "room-")
    assert (device["labels"]["room"], device["hand_labels"], device["pools"]) == ("cold", {}, ["synthetic"])
    order(tracker, "pools", "delete", "top")
    assert "'room' comes from the agent" in refused(tracker, "devices", "label", "bench", "room-")
    assert "'arch' is set by the tracker" in refused(tracker, "devices", "label", "bench", "arch=z80")
    assert "given twice" in refused(tracker, "devices", "label", "bench", "a=1", "a-")
    assert "is not a label" in refused(tracker, "devices", "label", "bench", "a b=1")


def test_a_cancelled_job_goes_on(tracker: TrackerProcess, model: Path) -> None:
    job = ask(tracker, "tune", str(model), "--pool", "synthetic", "--trials", "8", "--fresh", "--detach")
    assert job["spec"]["fresh"] is True
    assert f"job {job['id']} is queued: it can go on once it has ended" in refused(
        tracker, "jobs", "resume", job["id"]
    ).lower().replace(job["id"].lower(), job["id"])
    farm("jobs", "cancel", job["id"], "--tracker", tracker.address)
    resumed = farm("jobs", "resume", job["id"], "--detach", "--tracker", tracker.address)
    assert resumed.returncode == 0, resumed.stderr
    assert f"Job {job['id']} goes on." in resumed.stdout
    assert f"farm jobs watch {job['id']}" in resumed.stdout
    farm("jobs", "cancel", job["id"], "--tracker", tracker.address)
    more = ask(tracker, "jobs", "resume", job["id"], "--trials", "+500", "--budget", "+10m", "--detach")
    assert (more["state"], more["spec"]["max_trials"], more["spec"]["budget_s"]) == ("queued", 500, 600.0)
    assert "nothing is answered from the log" in farm("jobs", "show", job["id"], "--tracker", tracker.address).stdout
    farm("jobs", "cancel", job["id"], "--tracker", tracker.address)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nobody"], "no job 'nobody'"),
        (["nobody", "--trials", "+0"], "not in 1.."),
        (["nobody", "--trials", "many"], "not a whole number"),
        (["nobody", "--budget", "+soon"], "not a duration"),
        (["nobody", "--detach", "-o", "there"], "--detach returns before there is a package"),
        (["nobody", "--force"], "it needs -o DIR"),
    ],
)
def test_what_cannot_go_on(tracker: TrackerProcess, options: list[str], said: str) -> None:
    assert said in refused(tracker, "jobs", "resume", *options)
