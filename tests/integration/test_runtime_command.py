"""``tracker runtime`` as a process against a real tracker, and what boards then get of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.farm_command import environment
from tests.support.measure_client import MeasureClient
from tests.support.runtime_wheels import library_bytes, make_wheels
from tests.support.stand_in_agent import StandInAgent, fingerprint
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.farm.v1 import fleet_pb2, measurement_pb2, runtime_pb2

NAMES = ["libtvm_ffi.so", "libtvm_runtime.so", "libtvm_runtime_extra.so"]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


def command(tracker: TrackerProcess, *arguments: str) -> list[str]:
    start = "import sys; sys.argv[0] = 'tracker'; from tvm_farm.tracker.cli import tracker; tracker()"
    return [sys.executable, "-c", start, "runtime", *arguments, "--tracker", tracker.address]


def runtime(tracker: TrackerProcess, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tracker, *arguments),
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wheels(folder: Path, arch: str = "aarch64") -> list[str]:
    return [word for path in make_wheels(folder, arch) for word in ("--wheel", str(path))]


def listed(tracker: TrackerProcess) -> list[dict[str, Any]]:
    done = runtime(tracker, "list", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def offer(tracker: TrackerProcess, arch: str, libc: str = "glibc 2.36") -> runtime_pb2.RuntimeOffer:
    return tracker.calls.fleet.GetRuntime(runtime_pb2.RuntimeRequest(arch=arch, libc=libc))


def test_what_was_added_reaches_boards_and_outlives_the_tracker(tracker: TrackerProcess, tmp_path: Path) -> None:
    assert offer(tracker, "aarch64").reason.endswith("run `tracker runtime add aarch64`")
    done = runtime(tracker, "add", "arm64", *wheels(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "TVM 0.27.0.post1 for aarch64 boards with glibc 2.27 or later: they get it when they join.\n"
    )
    assert [line.split()[0] for line in done.stderr.splitlines()] == NAMES
    tracker.stop()
    tracker.start()
    sent = offer(tracker, "aarch64").runtime
    assert [library.name for library in sent.libraries] == NAMES
    for library in sent.libraries:
        request = fleet_pb2.ArtifactRequest(digest=library.artifact.digest)
        data = b"".join(chunk.data for chunk in tracker.calls.fleet.FetchArtifact(request))
        assert data == library_bytes(library.name, "aarch64")
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (library.artifact.digest, library.artifact.size)
    old = offer(tracker, "aarch64", "glibc 2.26")
    assert not old.HasField("runtime")
    assert "needs glibc 2.27 and this board has glibc 2.26" in old.reason


def test_the_list(tracker: TrackerProcess, tmp_path: Path) -> None:
    [own] = listed(tracker)  # of the packages beside this tracker
    assert (own["tvm_version"], own["added_unix_s"]) == ("0.27.0.post1", 0.0)
    other = "x86_64" if own["arch"] == "aarch64" else "aarch64"
    assert runtime(tracker, "add", other, *wheels(tmp_path, other)).returncode == 0
    assert {each["arch"] for each in listed(tracker)} == {own["arch"], other}
    shown = runtime(tracker).stdout.splitlines()
    assert shown[0].split() == ["boards", "TVM", "tvm_ffi", "with", "size", "from"]
    assert any("glibc 2.27 or later" in line and "added 20" in line for line in shown)
    assert any("the tracker's own packages" in line for line in shown)


def test_boards_in_micro_mode_are_named(tracker: TrackerProcess, tmp_path: Path) -> None:
    board = replace(fingerprint("pi"), arch="aarch64")
    runner = RunnerInfo(RunnerMode.MICRO, 1, threads=4, full_mode_missing="this farm has none")
    agent = StandInAgent(tracker.address, "pi", fingerprint=board, runner=runner)
    [device] = tracker.devices()
    assert device.runner.full_mode_missing == "this farm has none"
    done = runtime(tracker, "add", "aarch64", *wheels(tmp_path))
    assert done.stderr.splitlines()[-1] == "In micro mode until their agents start again: pi."
    agent.cut()


def test_wheels_of_another_architecture_change_nothing(tracker: TrackerProcess, tmp_path: Path) -> None:
    before = listed(tracker)
    done = runtime(tracker, "add", "aarch64", *wheels(tmp_path, "x86_64"))
    assert done.returncode == 2
    assert "is for x86_64, not for aarch64" in done.stderr
    assert done.stdout == ""
    assert listed(tracker) == before


def test_libraries_that_were_not_sent_are_refused(tracker: TrackerProcess) -> None:
    libraries = [
        runtime_pb2.RuntimeLibrary(name=name, artifact={"digest": "0" * 64, "size": 1})  # type: ignore[arg-type]
        for name in NAMES
    ]
    half = runtime_pb2.Runtime(
        arch="aarch64",
        libc="glibc 2.28",
        tvm_version="0.27.0.post1",
        tvm_ffi_version="0.1.14.post1",
        libraries=libraries,
    )
    with pytest.raises(grpc.RpcError) as refused:
        tracker.calls.devices.PutRuntime(half)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert "libtvm_ffi.so of the runtime for 'aarch64' was not sent before" in str(refused.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_add_leaves_nothing(tracker: TrackerProcess, tmp_path: Path, number: signal.Signals) -> None:
    # A pip that has half of it, and hangs.
    begun = tmp_path / "begun"
    pip = tmp_path / "modules" / "pip"
    pip.mkdir(parents=True)
    (pip / "__init__.py").touch()
    hang = (
        "import pathlib, sys, time\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
        "(folder / 'apache_tvm.whl').write_bytes(b'half')\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    (pip / "__main__.py").write_text(hang)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    root = Path(__file__).parents[2]
    env = environment(TMPDIR=str(temporary), PYTHONPATH=f"{pip.parent}:{root}")
    before = listed(tracker)
    adding = subprocess.Popen(
        command(tracker, "add", "aarch64"),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(begun.exists, "half a download", 30)
        if number is signal.SIGINT:
            os.killpg(adding.pid, number)  # as a terminal does
        else:
            adding.send_signal(number)
        out, err = adding.communicate(timeout=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(adding.pid, signal.SIGKILL)
    assert adding.returncode not in (0, None)
    assert out == ""
    assert "Interrupted." in err
    assert list(temporary.iterdir()) == []
    assert listed(tracker) == before


def test_an_agent_one_minor_version_older_works(tracker: TrackerProcess) -> None:
    """It knows nothing of runtimes and asks for none; a release that is further away is told whom to upgrade."""
    agents = {}
    for release in ("0.1.9", "0.3.0", "0.4.0"):
        board = replace(fingerprint(release), agent_version=release)
        agents[release] = StandInAgent(tracker.address, release, fingerprint=board)
    older = agents["0.1.9"]
    assert older.joined is not None
    assert agents["0.3.0"].joined is not None
    assert agents["0.4.0"].joined is None
    assert agents["0.4.0"].refused.endswith("upgrade the tracker")
    client = MeasureClient(tracker.address, device_id="0.1.9")
    client.trial("t1")
    assert client.wait_for("t1")[0].outcome == measurement_pb2.OUTCOME_OK
    assert older.received == ["t1"]
    client.close()
    for agent in agents.values():
        agent.cut()
