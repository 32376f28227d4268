"""Whose turn it is on a device, and which job a worker takes: by a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.support.records import make_job
from tvm_farm.tracker.domain import Job, JobKind
from tvm_farm.tracker.scheduling.fair_share import HALF_LIFE_S, LONG_WAIT_S, FairShare, aged, remembered, weight
from tvm_farm.tracker.scheduling.job_queue import TURNS

#: job -> (user, priority, seconds that its kernels take)
Jobs = dict[str, tuple[str, int, float]]


def share_of(jobs: Jobs) -> FairShare:
    share = FairShare()
    for job, (user, priority, _) in jobs.items():
        share.open(job, user, priority, 0.0)
    return share


def turn(share: FairShare, waiting: Iterable[str], now: float) -> str:
    """Whose turn it is of those who wait and were never kept waiting."""
    job = share.next(dict.fromkeys(waiting, now), now)
    assert job is not None
    return job


def run(share: FairShare, job: str, seconds: float | None, now: float) -> None:
    share.dispatched(job, now)
    share.returned(job, seconds, now)


def seconds_given(share: FairShare, jobs: Jobs, seconds: float, start: float = 0.0) -> dict[str, float]:
    """One device for so long, every job always waiting: the seconds that each got."""
    given, now = dict.fromkeys(jobs, 0.0), start
    while now < start + seconds:
        job = turn(share, jobs, now)
        share.dispatched(job, now)
        now += jobs[job][2]
        share.returned(job, jobs[job][2], now)
        given[job] += jobs[job][2]
    return given


@pytest.mark.parametrize(
    ("jobs", "parts"),
    [
        ({"a": ("u", 0, 1.0), "b": ("u", 0, 1.0)}, {"a": 1, "b": 1}),
        ({"slow": ("u", 0, 4.0), "quick": ("u", 0, 1.0)}, {"slow": 1, "quick": 1}),
        ({"slow": ("u", 0, 4.0), "quick": ("v", 0, 0.1)}, {"slow": 1, "quick": 1}),
        ({"a": ("u", 1, 1.0), "b": ("u", 0, 1.0)}, {"a": 2, "b": 1}),
        ({"a": ("u", 4, 0.1), "b": ("v", 0, 0.1)}, {"a": 16, "b": 1}),
        ({"a": ("u", -1, 1.0), "b": ("v", 1, 1.0)}, {"a": 1, "b": 4}),
        ({"a": ("u", 0, 1.0), "b": ("u", 0, 1.0), "c": ("v", 0, 1.0)}, {"a": 1, "b": 1, "c": 2}),
        ({f"a{n}": ("u", 0, 0.5) for n in range(5)} | {"b": ("v", 0, 0.5)}, {"a0": 1, "a4": 1, "b": 5}),
        ({"a": ("u", 1, 1.0), "b": ("u", 0, 1.0), "c": ("v", 0, 1.0)}, {"a": 2, "b": 1, "c": 2}),
    ],
    ids=[
        "equal jobs", "equal seconds, not turns", "and between users", "a step is twice", "four steps are 16 times",
        "down as well as up", "users first", "however many jobs", "a user's jobs make up that user's weight",
    ],
)  # fmt: skip
def test_device_time_is_shared(jobs: Jobs, parts: dict[str, float]) -> None:
    given = seconds_given(share_of(jobs), jobs, 2000.0)
    unit = sum(given[job] for job in parts) / sum(parts.values())
    for job, part in parts.items():
        assert given[job] == pytest.approx(part * unit, rel=0.1), given


@pytest.mark.parametrize(
    ("used_s", "ago_s", "left_s"),
    [(8.0, 0.0, 8.0), (8.0, HALF_LIFE_S, 4.0), (8.0, 3 * HALF_LIFE_S, 1.0), (8.0, -5.0, 8.0), (0.0, 9.0, 0.0)],
)
def test_what_was_used_is_forgotten(used_s: float, ago_s: float, left_s: float) -> None:
    assert remembered(used_s, ago_s) == pytest.approx(left_s)


@pytest.mark.parametrize(
    ("waited_s", "left_s"),
    [(0.0, 8.0), (LONG_WAIT_S, 8.0), (LONG_WAIT_S + HALF_LIFE_S, 4.0), (LONG_WAIT_S + 3 * HALF_LIFE_S, 1.0)],
)
def test_who_waits_long_is_forgiven(waited_s: float, left_s: float) -> None:
    assert aged(8.0, waited_s) == pytest.approx(left_s)


def test_a_step_of_priority_doubles_the_weight() -> None:
    assert [weight(p) for p in (-4, -1, 0, 1, 4)] == [1 / 16, 0.5, 1.0, 2.0, 16.0]


@pytest.mark.parametrize(("priority", "others"), [(0, 0), (-4, 4), (-4, 0)])
def test_who_waits_gets_a_turn_at_last(priority: int, others: int) -> None:
    """The worst case: a long trial, charged at the least priority, beside jobs that never pause."""
    jobs: Jobs = {"long": ("u", priority, 100.0), **{f"o{n}": (f"v{n}", others, 1.0) for n in range(3)}}
    share = share_of(jobs)
    run(share, "long", 100.0, 0.0)
    now, turns = 0.0, 0
    while (job := turn(share, jobs, now)) != "long":
        now += 1.0
        run(share, job, 1.0, now)
        turns += 1
        # Without forgetting, 100 s at weight 1/16 are 25,600 s of one job at weight 16.
        assert now < HALF_LIFE_S * 15
    assert turns > 0


@pytest.mark.parametrize(("later_s", "first"), [(HALF_LIFE_S - 1.0, "high"), (HALF_LIFE_S + 1.0, "low")])
def test_a_minute_of_waiting_is_worth_a_step_of_priority(later_s: float, first: str) -> None:
    """A second of the low one counts twice as much; it was used so much earlier."""
    jobs: Jobs = {"low": ("u", 0, 1.0), "high": ("v", 1, 1.0)}
    share = share_of(jobs)
    for name, at in (("low", 0.0), ("high", later_s)):
        run(share, name, 1.0, at)
    assert turn(share, jobs, 2 * HALF_LIFE_S) == first


def test_a_job_on_few_boards_does_not_wait_for_its_users_many() -> None:
    """Its user has a hundred other boards at work all the time, and so always used more than who wants this one."""
    share = share_of({"many": ("u", 0, 1.0), "few": ("u", 0, 1.0), "other": ("v", 0, 1.0)})
    run(share, "many", 100.0, 0.0)
    now = 0.0
    while share.next({"few": 0.0, "other": now}, now) == "other":
        now += 1.0
        run(share, "other", 1.0, now)
        run(share, "many", 100.0, now)
        assert now < LONG_WAIT_S + 15 * HALF_LIFE_S
    assert now > LONG_WAIT_S


def test_what_is_in_flight_counts() -> None:
    jobs: Jobs = {"a": ("u", 0, 1.0), "b": ("u", 0, 1.0), "c": ("v", 0, 1.0)}
    share = share_of(jobs)
    order = []
    for _ in range(4):
        job = turn(share, jobs, 0.0)
        share.dispatched(job, 0.0)
        order.append(job)
    assert order == ["a", "c", "b", "c"]


def test_what_is_in_flight_counts_as_long_as_trials_took_lately() -> None:
    share = share_of({"a": ("u", 0, 0.1), "b": ("v", 0, 0.1)})
    run(share, "a", 0.1, 0.0)
    assert turn(share, "ab", 0.0) == "b"
    share.dispatched("b", 0.0)
    assert turn(share, "ab", 0.0) == "a"
    # It took no time, and so do those that follow it.
    share.returned("b", 0.0, 0.0)
    for _ in range(100):
        run(share, "b", 0.0, 0.0)
    share.dispatched("b", 0.0)
    assert turn(share, "ab", 0.0) == "b"


def test_a_newcomer_starts_level() -> None:
    jobs: Jobs = {"old": ("u", 0, 1.0), "new": ("v", 0, 1.0)}
    share = FairShare()
    share.open("old", "u", 0, 0.0)
    seconds_given(share, {"old": jobs["old"]}, 50.0)
    share.open("new", "v", 0, 50.0)
    assert seconds_given(share, jobs, 20.0, 50.0)["new"] == pytest.approx(10.0, abs=1.0)


def test_leaving_and_coming_back_makes_no_newcomer() -> None:
    jobs: Jobs = {"a": ("u", 0, 1.0), "b": ("v", 0, 1.0)}
    share = share_of(jobs)
    run(share, "a", 5.0, 5.0)
    share.close("a")
    share.open("a", "u", 0, 5.0)
    assert list(seconds_given(share, jobs, 4.0, 5.0).values()) == [0.0, 4.0]
    # Nor does another job of the same user.
    share.close("a")
    share.open("c", "u", 0, 9.0)
    assert turn(share, "bc", 9.0) == "b"


def test_who_paused_is_not_owed_the_pause() -> None:
    jobs: Jobs = {"a": ("u", 0, 1.0), "b": ("v", 0, 1.0)}
    share = share_of(jobs)
    seconds_given(share, {"a": jobs["a"]}, 3600.0)
    got = seconds_given(share, jobs, 300.0, 3600.0)
    assert got["a"] > 75.0


def test_a_trial_that_never_ran_costs_nothing() -> None:
    share = share_of({"a": ("u", 0, 1.0), "b": ("u", 0, 1.0)})
    run(share, "a", None, 0.0)
    run(share, "b", 0.1, 0.0)
    assert turn(share, "ab", 0.0) == "a"


def test_a_job_that_opens_twice_goes_on_as_it_was() -> None:
    share = share_of({"a": ("u", 0, 1.0), "b": ("u", 0, 1.0)})
    share.dispatched("a", 0.0)
    share.open("a", "u", 0, 0.0)
    assert turn(share, "ab", 0.0) == "b"
    share.returned("a", 1.0, 1.0)
    assert turn(share, "ab", 1.0) == "b"


def test_what_comes_back_after_its_job_closed_is_ignored() -> None:
    share = share_of({"a": ("u", 0, 1.0), "b": ("u", 0, 1.0)})
    share.dispatched("a", 0.0)
    share.close("a")
    share.close("never seen")
    share.returned("a", 9.0, 9.0)
    share.open("a", "u", 0, 9.0)
    run(share, "b", 0.1, 9.0)
    assert turn(share, "ab", 9.0) == "a"


def test_those_who_left_are_forgotten() -> None:
    share = share_of({"a": ("u", 0, 1.0)})
    run(share, "a", 1.0, 0.0)
    share.close("a")
    share.open("b", "v", 0, 5.0)
    assert share._jobs.keys() == {"a", "b"}
    share.open("c", "v", 0, 20 * HALF_LIFE_S)
    assert (share._jobs.keys(), share._users.keys()) == ({"b", "c"}, {"v"})


def test_nobody_waits() -> None:
    assert FairShare().next({}, 0.0) is None


def job(name: str, submitted_s: float, priority: int = 0) -> Job:
    made = make_job(name, created_unix_s=submitted_s)
    return replace(made, spec=replace(made.spec, priority=priority))


def estimate(name: str, submitted_s: float, kind: JobKind = JobKind.ESTIMATE) -> Job:
    made = job(name, submitted_s)
    return replace(made, spec=replace(made.spec, kind=kind))


@pytest.mark.parametrize(
    ("jobs", "order"),
    [
        ([job("a", 0.0), job("b", 1.0)], "ab"),
        ([job("a", 0.0), job("b", 1.0, 1)], "ba"),
        ([job("a", 0.0, -1), job("b", TURNS.step_s - 1.0)], "ba"),
        ([job("a", 0.0, -1), job("b", TURNS.step_s + 1.0)], "ab"),
        ([job("a", 0.0, -4), job("b", 8 * TURNS.step_s + 1.0, 4)], "ab"),
        ([job("a", 0.0, 4), estimate("b", 2.0), estimate("c", 1.0, JobKind.CHECK)], "bca"),
    ],
    ids=[
        "in their order",
        "urgent ones first",
        "not yet aged",
        "aged by a step",
        "nobody waits for ever",
        "what takes seconds before all",
    ],
)
def test_queued_jobs(jobs: list[Job], order: str) -> None:
    assert "".join(j.id for j in sorted(jobs, key=TURNS.unix_s)) == order
