"""A job is a group of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.tracker.domain import Artifact, Job, JobGroup, JobKind, JobResult, JobSpec, JobState

SPEC = JobSpec(JobKind.TUNE, "squeezenet", Artifact("d", 1), "arm64")
FIRST, SECOND, THIRD = (
    Job(f"net-1.{number}", SPEC, device_class=name, group="net-1")
    for number, name in enumerate(("pi4", "pi5", "rk"), 1)
)


def test_several_are_named_by_their_group_and_one_by_itself() -> None:
    several = JobGroup((FIRST, SECOND))
    assert (several.id, several.alone, several.first) == ("net-1", False, FIRST)
    assert [several.title(job) for job in several.jobs] == ["squeezenet on pi4", "squeezenet on pi5"]
    # Also one of several that is named by itself.
    one = JobGroup((SECOND,))
    assert (one.id, one.alone, one.title(SECOND)) == ("net-1.2", True, "squeezenet")


def test_a_group_tells_who_ended_and_who_has_a_result() -> None:
    done = replace(FIRST, state=JobState.DONE, result=JobResult())
    failed = replace(SECOND, state=JobState.FAILED)
    group = JobGroup((done, failed, THIRD))
    assert (group.ended, group.done, group.without_result) == ((done, failed), (done,), (failed, THIRD))
    # Its earlier result is not the one that it is waited for.
    again = replace(done, state=JobState.QUEUED)
    assert (JobGroup((again,)).done, JobGroup((again,)).without_result) == ((), ())


Q, R, D, F, C = JobState.QUEUED, JobState.RUNNING, JobState.DONE, JobState.FAILED, JobState.CANCELLED


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ((Q,), Q),
        ((Q, Q), Q),
        ((R, Q), R),
        ((D, Q), R),
        ((F, R), R),
        ((D, D), D),
        ((D, F), F),
        ((C, F), F),
        ((D, C), C),
        ((C, C), C),
    ],
)
def test_the_state_of_a_group(states: tuple[JobState, ...], state: JobState) -> None:
    assert JobGroup(tuple(replace(FIRST, state=each) for each in states)).state is state


def test_a_group_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one job"):
        JobGroup(())
