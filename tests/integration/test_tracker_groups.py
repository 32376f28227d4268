"""A job for a pool of unlike boards on a real tracker process: one job a class, in turn, and what they learn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.measure_client import MeasureClient, context
from tests.support.stand_in_agent import StandInAgent, fingerprint
from tests.support.stand_in_worker import StandInWorker, submit, task_plans
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import job_pb2, jobs_pb2, log_pb2

DONE, QUEUED, RUNNING = job_pb2.JOB_STATE_DONE, job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING
CANCELLED, FAILED = job_pb2.JOB_STATE_CANCELLED, job_pb2.JOB_STATE_FAILED


class Lab:
    """A tracker with three classes of device: two boards of one, one of each other."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.tracker = TrackerProcess(folder / "state")
        closing.callback(lambda: self.tracker.stop())
        self.closing = closing
        self.boards = [self.board(name, model) for name, model in BOARDS]

    def board(self, name: str, model: str) -> StandInAgent:
        made = StandInAgent(self.tracker.address, name, fingerprint=replace(fingerprint(name), board_model=model))
        self.closing.callback(made.cut)
        return made

    def worker(self, worker_id: str = "w1", running_job: str = "") -> StandInWorker:
        made = StandInWorker(self.tracker.address, worker_id, running_job)
        self.closing.callback(made.cut)
        return made

    def group(self, name: str) -> list[job_pb2.Job]:
        return list(self.tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest(group=name)).jobs)

    def states(self, name: str) -> list[int]:
        return [job.state for job in self.group(name)]

    def classes(self) -> list[str]:
        """In the order of their turn: that with two boards, then by name."""
        joined = {name: board.joined for (name, _), board in zip(BOARDS, self.boards, strict=True)}
        return [str(answer.device_class) for name in ("pi-1", "ant", "bee") if (answer := joined[name])]


BOARDS = (("bee", "Bee"), ("pi-1", "Pi"), ("pi-2", "Pi"), ("ant", "Ant"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as closing:
        yield Lab(tmp_path, closing)


def test_each_class_has_a_job_with_its_share_of_the_budget(lab: Lab) -> None:
    first = submit(lab.tracker, "r1", max_trials=8, budget_s=90.0, user="ada", priority=1)
    assert (first.id, first.group) == (f"{first.group}.1", first.id[:-2])
    jobs = lab.group(first.group)
    assert [job.id for job in jobs] == [f"{first.group}.{n}" for n in (1, 2, 3)]
    assert [job.device_class for job in jobs] == lab.classes()
    assert [job.spec.device_class for job in jobs] == lab.classes()
    assert [(job.spec.max_trials, job.spec.budget_s) for job in jobs] == [(3, 30.0), (3, 30.0), (2, 30.0)]
    assert [job.devices for job in jobs] == [2, 1, 1]
    assert {(job.spec.user, job.spec.priority, job.spec.model.digest) for job in jobs} == {
        ("ada", 1, first.spec.model.digest)
    }
    assert f"its turn comes after {jobs[0].id}" in jobs[1].phase
    # Asked again, it is the same group; another one's jobs are not listed with it.
    assert submit(lab.tracker, "r1", max_trials=8, budget_s=90.0).id == first.id
    other = submit(lab.tracker, "r2", max_trials=9)
    assert len(lab.tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs) == 6
    assert [job.id for job in lab.group(other.group)] == [f"{other.group}.{n}" for n in (1, 2, 3)]
    assert (lab.group("nothing"), lab.group(first.id)) == ([], [])


def test_one_class_may_be_chosen(lab: Lab) -> None:
    chosen = lab.classes()[2]
    alone = submit(lab.tracker, device_class=chosen)
    assert (alone.device_class, alone.group, alone.spec.max_trials) == (chosen, "", 8)
    assert "." not in alone.id


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"max_trials": 2}, grpc.StatusCode.INVALID_ARGUMENT, "2 trials cannot be shared by the 3 device classes"),
        ({"device_class": "pi9"}, grpc.StatusCode.FAILED_PRECONDITION, "is of class pi9: it has "),
    ],
)
def test_what_cannot_be_shared_makes_no_job(
    lab: Lab, changes: dict[str, Any], code: grpc.StatusCode, sentence: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        submit(lab.tracker, **changes)
    assert caught.value.code() is code
    assert sentence in caught.value.details()
    assert not lab.tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs


def test_a_job_whose_boards_change_their_class_says_so(lab: Lab) -> None:
    """As when the tracker gets their runtime while it runs: they come back in full mode."""
    old = lab.classes()[0]
    job = submit(lab.tracker, device_class=old).id
    worker = lab.worker()
    worker.wait_for_start(job)
    worker.progress(job, "tuning")

    def seen() -> job_pb2.Job:
        return lab.tracker.calls.jobs.GetJob(jobs_pb2.GetJobRequest(id=job))

    wait_until(lambda: seen().phase == "tuning", "progress")
    full = lab.board("pi-1", "Pi Full")
    assert full.joined is not None
    wait_until(lambda: seen().devices == 1, "the first board's new class")
    assert seen().phase == "tuning"
    lab.board("pi-2", "Pi Full")
    wait_until(lambda: seen().devices == 0, "the second board's new class")
    said = seen().phase
    assert said.startswith(f"no board of the pool 'x86_64' is of class {old} any more: ")
    assert f"pi-1 is now of class {full.joined.device_class}; pi-2 is now of class" in said
    assert said.endswith("cancel this job and tune again")
    # One comes back as it was, and the job goes on.
    lab.board("pi-2", "Pi")
    wait_until(lambda: seen().phase == "tuning", "the job to go on")


def test_classes_take_turns_and_one_watch_sees_all_of_them(lab: Lab) -> None:
    group = submit(lab.tracker, max_trials=9).group
    seen: list[job_pb2.Job] = []
    watching = threading.Thread(
        target=lambda: seen.extend(lab.tracker.calls.jobs.WatchJob(jobs_pb2.GetJobRequest(id=group[:-1])))
    )
    watching.start()
    first, second = lab.worker("w1"), lab.worker("w2")
    ids = [f"{group}.{n}" for n in (1, 2, 3)]
    for number, job_id in enumerate(ids):
        wait_until(lambda i=job_id: i in (*first.starts, *second.starts), f"start of {job_id}")  # type: ignore[misc]
        # The free worker takes another job rather than the next class of this one.
        if number == 0:
            other = submit(lab.tracker, model_name="other", device_class=lab.classes()[0]).id
            wait_until(lambda i=other: i in (*first.starts, *second.starts), "start of another job")  # type: ignore[misc]
        assert lab.states(group)[number + 1 :] == [QUEUED] * (2 - number)
        mine = first if job_id in first.starts else second
        assert mine.started[job_id].device_class == lab.classes()[number]
        if number == 1:
            mine.fail(job_id, "the worker's disk is full")
        else:
            mine.finish(job_id)
    watching.join(20)
    assert not watching.is_alive()
    ends = {job.id: job.state for job in seen}
    assert ends == dict(zip(ids, (DONE, FAILED, DONE), strict=True))
    assert {job.id for job in seen if job.state == RUNNING} <= set(ids)
    # A group that has ended is watched as its last snapshots.
    again = list(lab.tracker.calls.jobs.WatchJob(jobs_pb2.GetJobRequest(id=group)))
    assert [(job.id, job.state) for job in again] == list(ends.items())


def test_a_group_is_cancelled_as_a_whole_and_frees_its_boards(lab: Lab) -> None:
    for board in lab.boards:
        board.run = lambda request: None
    worker = lab.worker()
    group = submit(lab.tracker, max_trials=9).group
    job = worker.wait_for_start(f"{group}.1")
    stream = MeasureClient(lab.tracker.address, job_id=job.id, device_class=job.device_class)
    for n in range(4):
        stream.trial(f"t{n}", context())
    wait_until(lambda: any(board.received for board in lab.boards), "a trial on a board")
    cancelled = lab.tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=group))
    assert (cancelled.id, cancelled.state) == (f"{group}.1", CANCELLED)
    assert lab.states(group) == [CANCELLED] * 3
    stream.wait_for(*(f"t{n}" for n in range(4)))
    stream.close()
    wait_until(lambda: worker.cancelled == [f"{group}.1"], "cancel order")
    wait_until(lambda: all(device.held == 0 for device in lab.tracker.devices()), "free boards")
    assert worker.starts == [f"{group}.1"], "a class that was cancelled with the group began"
    # What has ended is not cancelled: a second time there is nothing left.
    assert lab.tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=group)).state == CANCELLED


def test_one_class_is_cancelled_alone_and_the_next_has_its_turn(lab: Lab) -> None:
    worker = lab.worker()
    group = submit(lab.tracker, max_trials=9).group
    worker.wait_for_start(f"{group}.1")
    for n in (2, 1):
        lab.tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=f"{group}.{n}"))
    worker.wait_for_start(f"{group}.3")
    assert lab.states(group) == [CANCELLED, CANCELLED, RUNNING]
    worker.finish(f"{group}.3")
    wait_until(lambda: lab.states(group)[2] == DONE, "the last one's end")
    with pytest.raises(grpc.RpcError, match=r"\.3 is done already"):
        lab.tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=f"{group}.3"))


def test_a_killed_tracker_keeps_turns_and_shares(lab: Lab) -> None:
    worker = lab.worker()
    group = submit(lab.tracker, max_trials=9).group
    worker.wait_for_start(f"{group}.1")
    lab.tracker.kill()
    lab.tracker.start()
    assert [(job.state, job.spec.max_trials) for job in lab.group(group)] == [(RUNNING, 3), (QUEUED, 3), (QUEUED, 3)]
    back = lab.worker(running_job=f"{group}.1")
    back.finish(f"{group}.1")
    back.wait_for_start(f"{group}.2")
    assert lab.states(group) == [DONE, RUNNING, QUEUED]


def test_records_of_other_classes_are_asked_for_by_leaving_out_ones_own(lab: Lab) -> None:
    worker = lab.worker()
    group = submit(lab.tracker, max_trials=30).group
    pi, ant, bee = lab.classes()
    for number, device_class in enumerate((pi, ant, bee), 1):
        job = worker.wait_for_start(f"{group}.{number}")
        worker.progress(job.id, tasks=task_plans(job.id))
        stream = MeasureClient(lab.tracker.address, job_id=job.id, device_class=device_class)
        for n in range(4):
            stream.trial(f"{job.id}/t{n}", context(f"{job.id}/0", "w0"))
        stream.wait_for(*(f"{job.id}/t{n}" for n in range(4)))
        stream.close()
        worker.finish(job.id)

    def best(**wanted: Any) -> list[tuple[str, str]]:
        request = log_pb2.BestRecordsRequest(workloads=["w0"], **wanted)
        return [
            (record.job_id, record.measurement.device_class)
            for record in lab.tracker.calls.log.BestRecords(request).records
        ]

    expected = [(f"{group}.{n}", c) for n, c in ((2, ant), (3, bee)) for _ in range(3)]
    assert sorted(best(apart_from=pi, per_workload=3)) == sorted(expected)
    assert best(apart_from=pi, pool="arm64") == []
    assert len(best(apart_from="unknown", per_workload=2)) == 6
    with pytest.raises(grpc.RpcError, match="ask for either"):
        best(apart_from=pi, device_class=ant)
