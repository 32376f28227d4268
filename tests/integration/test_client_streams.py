"""A client's streams end with it, though an error's traceback, say, still holds them.

Once the interpreter goes down, gRPC's threads stand still, maybe with the lock that a stream's end would take.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.farm_command import environment
from tests.support.records import make_job, make_record
from tests.support.stand_in_farm import StandInFarm
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.client.measure_stream import StreamRefused
from tvm_farm.tracker.domain import (
    Artifact,
    JobState,
    MeasureRequest,
    OpenMeasure,
    Program,
    ProgramKind,
    RecordFilter,
)

JOB = "squeezenet-ab2cde"
PROGRAM = Program(ProgramKind.KERNEL, Artifact("", 0, inline=b"library"), "main", ())


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        control.put_job(make_job(JOB, state=JobState.RUNNING))
        control.records = [make_record(f"t{number}") for number in range(2000)]
        control.put_file("", b"weights" * 1_000_000)
        yield control


def measured(client: Farm, control: StandInFarm) -> Iterator[Any]:
    return client.measuring.measure([MeasureRequest("t", PROGRAM)], client="test", pool="arm64")


@pytest.mark.parametrize(
    "begin",
    [
        lambda client, control: client.jobs.watch(JOB),
        lambda client, control: client.log.records(RecordFilter()),
        lambda client, control: client.artifacts._download(*control.artifacts),
        measured,
    ],
    ids=["watch", "records", "artifact", "measure"],
)
def test_a_stream_that_was_left_is_at_its_end_when_its_client_is_closed(
    control: StandInFarm, begin: Callable[[Farm, StandInFarm], Iterator[Any]]
) -> None:
    with Farm(control.address) as client:
        left = begin(client, control)
        next(left)
    assert inspect.getgeneratorstate(left) == inspect.GEN_CLOSED


def test_a_stream_that_another_thread_reads_ends_with_an_error_there(control: StandInFarm) -> None:
    client = Farm(control.address)
    watched = client.jobs.watch(JOB)
    next(watched)
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(next, watched)
        client.close()
        assert "No tracker answers" in str(reading.exception(20))


def test_no_stream_of_the_client_is_missed(control: StandInFarm) -> None:
    with Farm(control.address) as client:
        parts = [part for part in vars(client).values() if not isinstance(part, Link)]
        for part in parts:
            methods = inspect.getmembers(type(part), inspect.isfunction)
            given = [name for name, method in methods if inspect.isgeneratorfunction(method)]
            assert [name for name in given if not name.startswith("_")] == [], type(part)
        assert len(parts) == 6


#: A person's script that leaves a stream and its Farm open, while a thread has the stream's lock nine tenths of the
#: time, as gRPC's own may: once the interpreter goes down, that thread has it for ever.
SCRIPT = """
import sys
import held
from tvm_farm import Farm
from tvm_farm.tracker.domain import Artifact, MeasureRequest, Program, ProgramKind, RecordFilter

_, address, digest, kind, ending = sys.argv
farm = Farm(address)
program = Program(ProgramKind.KERNEL, Artifact("", 0, inline=b"library"), "main", ())
requests = [MeasureRequest(f"t{number}", program) for number in range(50)]
stream = {
    "watch": lambda: farm.jobs.watch("squeezenet-ab2cde"),
    "records": lambda: farm.log.records(RecordFilter()),
    "artifact": lambda: farm.artifacts._download(digest),
    "measure": lambda: farm.measuring.measure(requests, client="test", pool="arm64"),
}[kind]()
next(stream)
held.hold(stream.gi_frame.f_locals["call"]._state.condition)

def fail(what):
    raise ValueError("of the script")

if ending == "raises":
    fail(stream)
"""
HELD = """
import threading, time

def hold(lock):
    threading.Thread(target=_hold, args=(lock,), daemon=True).start()

def _hold(lock):
    while True:
        with lock:
            time.sleep(0.05)
        time.sleep(0.005)
"""


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("watch", "ends"), ("records", "ends"), ("artifact", "ends"), ("measure", "ends"), ("measure", "raises")],
)
def test_a_script_that_leaves_its_farm_open_ends(control: StandInFarm, tmp_path: Path, kind: str, ending: str) -> None:
    (tmp_path / "held.py").write_text(HELD)
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), control.address, next(iter(control.artifacts)), kind, ending],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == (ending == "raises")
    last = ended.stderr.splitlines()[-1:]
    assert last == (["ValueError: of the script"] if ending == "raises" else [])


def test_a_stream_of_trials_ends_with_its_farm(control: StandInFarm) -> None:
    heard: list[Any] = []
    with Farm(control.address) as client:
        stream = client.measuring.open(heard.append, OpenMeasure("test", "", "arm64", "", False))
    assert not stream._thread.is_alive()
    assert not [each for each in heard if isinstance(each, StreamRefused)]
