"""What all builders promise, kept by each kind of them: real candidates, and builders that are late or killed."""

import functools
import queue
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

pytest.importorskip("tvm")

from tests.support.candidates import TARGET, matmul, unrolled
from tests.support.waiting import wait_until
from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.tuning.building.base import Builders, BuildersEnded, BuildRequest, Built
from tvm_farm.tracker.tuning.building.batch import build_all
from tvm_farm.tracker.tuning.building.detached import DetachedBuilders
from tvm_farm.tracker.tuning.building.forked import ForkedBuilders
from tvm_farm.tracker.tuning.errors import SessionOver

pytestmark = pytest.mark.system
KINDS = {"forked": ForkedBuilders, "detached": functools.partial(DetachedBuilders, yielding=True)}

Make = Callable[..., Builders]
Events = queue.SimpleQueue


@pytest.fixture(scope="module", params=KINDS)
def make(request) -> Make:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def shared(make) -> Iterator[Builders]:
    """Of the tests that leave them as they were."""
    builders = make(workers=2, timeout_s=20.0)
    yield builders
    builders.close()


@pytest.fixture
def own(make) -> Iterator[Builders]:
    builders = make(workers=1, timeout_s=3.0)
    yield builders
    builders.close()


def heard(builders: Builders) -> Events:
    events: Events = queue.SimpleQueue()
    builders.deliver_to(events.put)
    return events


def processes_of(builders: Builders) -> list[psutil.Process]:
    parent = psutil.Process(builders.parent_pid)
    return wait_until(
        lambda: found if len(found := parent.children()) == builders.workers else None, "set of builders", 60
    )


def test_candidates_are_built_side_by_side_by_processes_that_stay(shared):
    events, before = heard(shared), {process.pid for process in processes_of(shared)}
    for number in range(6):
        shared.submit(BuildRequest(str(number), matmul(16 + number), TARGET))
    built = [events.get(timeout=60) for _ in range(6)]
    assert {b.id for b in built} == {str(n) for n in range(6)}
    assert all(b.outcome is Outcome.OK and not b.detail for b in built), built
    assert all(0 < b.steps.building_s <= b.steps.compiled_s <= b.steps.built_s for b in built)
    assert all(0 < b.cpu_s < 60 for b in built), "what a search weighs against what it promises"
    assert {process.pid for process in processes_of(shared)} == before


def test_a_library_is_named_by_what_it_holds(shared):
    built = build_all(shared, [BuildRequest("t", matmul(16), TARGET)])["t"]
    assert built.library is not None
    assert built.library.inline[:4] == b"\x7fELF"
    assert built.library == Artifact.of(built.library.inline)


def test_a_module_that_cannot_be_built_is_an_outcome_with_the_compilers_words(shared):
    requests = [BuildRequest("bad", '{"not": "a module"}', TARGET), BuildRequest("good", matmul(16), TARGET)]
    built = build_all(shared, requests)
    assert (built["bad"].outcome, built["bad"].library) == (Outcome.BUILD_ERROR, None)
    assert built["bad"].detail
    assert built["good"].outcome is Outcome.OK


def test_a_new_receiver_does_not_get_what_was_queued_for_the_one_before(shared):
    heard(shared)
    processes = processes_of(shared)
    for process in processes:
        process.suspend()
    for number in range(8):
        shared.submit(BuildRequest(f"old {number}", matmul(16), TARGET))
    events = heard(shared)
    shared.submit(BuildRequest("new", matmul(16), TARGET))
    for process in processes:
        process.resume()
    seen = []
    while "new" not in seen:
        seen.append(events.get(timeout=60).id)
    assert len(seen) <= 3, "at most the two at work may still arrive"


def test_a_builder_killed_at_work_costs_its_candidate_alone(shared):
    events, stopped = heard(shared), processes_of(shared)
    for process in stopped:
        process.suspend()  # whoever takes the candidate is surely at work on it when it dies
    shared.submit(BuildRequest("lost", matmul(16), TARGET))
    shared.submit(BuildRequest("also lost", matmul(17), TARGET))
    time.sleep(0.3)  # not for timing: lets the parent hand both out, else the deaths find idle builders
    for process in stopped:
        process.kill()
    built = [events.get(timeout=60) for _ in range(2)]
    assert {b.outcome for b in built} == {Outcome.HOST_FAULT}
    assert built[0].detail.startswith("the builder died of signal 9")
    shared.submit(BuildRequest("next", matmul(16), TARGET))
    assert events.get(timeout=60).outcome is Outcome.OK


def test_a_candidate_that_takes_too_much_cpu_time_is_given_up(own):
    events = heard(own)
    own.submit(BuildRequest("huge", unrolled(64), TARGET))
    own.submit(BuildRequest("next", matmul(16), TARGET))
    huge, following = events.get(timeout=100), events.get(timeout=100)
    assert (huge.id, huge.outcome) == ("huge", Outcome.BUILD_TIMEOUT), huge.detail
    assert huge.cpu_s > 0
    assert (following.id, following.outcome) == ("next", Outcome.OK)


def test_a_host_without_time_to_spare_is_to_blame_itself(make):
    builders = make(workers=1, timeout_s=0.25)
    try:
        events = heard(builders)
        for process in processes_of(builders):
            process.suspend()
        builders.submit(BuildRequest("slow", matmul(16), TARGET))
        slow: Built = events.get(timeout=60)
        assert (slow.id, slow.outcome) == ("slow", Outcome.HOST_FAULT)
        assert slow.detail == "the builder's host had not 0.25 s of CPU time to spare in 5 s"
        assert len(processes_of(builders)) == 1
    finally:
        builders.close()


def test_without_their_parent_nothing_is_built_and_the_session_is_over(own):
    events = heard(own)
    processes_of(own)
    psutil.Process(own.parent_pid).kill()
    assert isinstance(events.get(timeout=10), BuildersEnded)
    with pytest.raises(SessionOver):
        own.submit(BuildRequest("late", matmul(16), TARGET))


def test_closing_tells_the_receiver_and_leaves_no_process(own):
    events = heard(own)
    processes = [psutil.Process(own.parent_pid), *processes_of(own)]
    own.close()
    own.close()
    assert isinstance(events.get(timeout=10), BuildersEnded)
    wait_until(
        lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes),
        "end of every process",
    )
