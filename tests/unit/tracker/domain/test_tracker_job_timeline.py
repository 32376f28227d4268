"""Where a job's time went: which spans a trial has, and what they add up to."""

from __future__ import annotations

import pytest

from tvm_farm.protos.measurement import Outcome, Timeline
from tvm_farm.tracker.domain import DeviceTime, JobTimeline, OutcomeCount, Step, StepTime, TimelineSums, TrialTimes
from tvm_farm.tracker.domain.job_timeline import spans

#: Each step half a second longer than the one before; the board's clock is a thousand seconds behind.
WHOLE = Timeline(
    searched_s=100.0,
    proposed_s=100.5,
    building_s=101.5,
    compiled_s=103.0,
    built_s=105.0,
    queued_s=107.5,
    sent_s=110.5,
    received_s=-889.0,
    started_s=-888.0,
    finished_s=-884.0,
    answered_s=117.0,
    stored_s=122.0,
)


def changed(timeline: Timeline, **times: float) -> Timeline:
    return Timeline(**{**timeline.__dict__, **times})


def test_every_step_of_a_whole_trial() -> None:
    assert list(spans(WHOLE)) == [
        (Step.SEARCH, 100.0, 100.5),
        (Step.AWAIT_BUILDER, 100.5, 101.5),
        (Step.BUILD, 101.5, 103.0),
        (Step.LINK, 103.0, 105.0),
        (Step.HAND_OVER, 105.0, 107.5),
        (Step.QUEUE, 107.5, 110.5),
        # 6.5 s from order to answer, 1 s of waiting and 4 s of executing: 0.75 s each way.
        (Step.TRANSFER, 110.5, 111.25),
        (Step.AWAIT_BOARD, 111.25, 112.25),
        (Step.DEVICE, 112.25, 116.25),
        (Step.TRANSFER, 116.25, 117.0),
        (Step.STORE, 117.0, 122.0),
    ]


@pytest.mark.parametrize("offset_s", [-1e6, 2000.0, 1e9])
def test_the_boards_clock_may_be_anywhere(offset_s: float) -> None:
    moved = changed(
        WHOLE,
        received_s=WHOLE.received_s + offset_s,
        started_s=WHOLE.started_s + offset_s,
        finished_s=WHOLE.finished_s + offset_s,
    )
    assert list(spans(moved)) == list(spans(WHOLE))


@pytest.mark.parametrize(
    ("timeline", "steps"),
    [
        (Timeline(), []),
        # A baseline is not searched.
        (changed(WHOLE, searched_s=0.0), [step for step in Step if step is not Step.SEARCH]),
        # A failed build: nothing was linked, no board had it.
        (
            Timeline(searched_s=1, proposed_s=2, building_s=3, built_s=4, stored_s=5),
            [Step.SEARCH, Step.AWAIT_BUILDER, Step.BUILD],
        ),
        # An agent that does not say when it had everything: it waited on the way.
        (changed(WHOLE, received_s=0.0), [step for step in Step if step is not Step.AWAIT_BOARD]),
        # The tuning worker's clock is ahead of the tracker's.
        (changed(WHOLE, queued_s=104.0), [step for step in Step if step is not Step.HAND_OVER]),
        # A board took it at once.
        (changed(WHOLE, queued_s=WHOLE.sent_s), list(Step)),
        # No board could run it.
        (Timeline(proposed_s=1, queued_s=2, sent_s=3, stored_s=9), [Step.QUEUE]),
    ],
)
def test_steps_that_did_not_happen(timeline: Timeline, steps: list[Step]) -> None:
    assert list(dict.fromkeys(step for step, _, _ in spans(timeline))) == steps


def test_a_board_that_claims_more_time_than_there_was_transfers_in_none() -> None:
    assert Step.TRANSFER not in [step for step, _, _ in spans(changed(WHOLE, finished_s=-800.0))]


def test_nothing_adds_up_to_nothing() -> None:
    assert TimelineSums().result() == JobTimeline()


def step_of(result: JobTimeline, step: Step) -> StepTime:
    return next(each for each in result.steps if each.step is step)


def test_overlapping_trials_add_up_in_the_sum_and_lie_over_each_other_in_the_wall() -> None:
    sums = TimelineSums()
    sums.add([trial(queued_s=10 + n, sent_s=14 + n, stored_s=30) for n in range(3)])
    assert step_of(sums.result(), Step.QUEUE) == StepTime(Step.QUEUE, 3, 12.0, 4.0, 4.0, 6.0)


def test_a_gap_is_no_part_of_the_wall() -> None:
    sums = TimelineSums()
    sums.add([trial(queued_s=at, sent_s=at + 1, stored_s=at + 2) for at in (50, 10, 10.5)])
    assert step_of(sums.result(), Step.QUEUE).wall_s == 2.5


def test_a_search_shared_out_over_its_batch_is_counted_once() -> None:
    sums = TimelineSums()
    sums.add([trial(searched_s=11.0, proposed_s=12.0, stored_s=30) for _ in range(4)])
    assert step_of(sums.result(), Step.SEARCH) == StepTime(Step.SEARCH, 4, 4.0, 1.0, 1.0, 4.0)


def test_median_and_p95_are_of_one_trial() -> None:
    sums = TimelineSums()
    sums.add([trial(queued_s=1, sent_s=1 + n, stored_s=200) for n in range(100, 0, -1)])
    step = step_of(sums.result(), Step.QUEUE)
    assert (step.median_s, step.p95_s) == (50.5, 96.0)


def test_the_way_there_and_back_is_one_transfer_of_a_trial() -> None:
    sums = TimelineSums()
    sums.add([TrialTimes(WHOLE, Outcome.OK, device_name="pi")])
    assert step_of(sums.result(), Step.TRANSFER) == StepTime(Step.TRANSFER, 1, 1.5, 1.5, 1.5, 1.5)


def trial(outcome: Outcome = Outcome.OK, tuned: bool = True, **times: float) -> TrialTimes:
    return TrialTimes(Timeline(**times), outcome, tuned=tuned)


def test_counts_and_windows() -> None:
    sums = TimelineSums()
    sums.add(
        [
            trial(tuned=False, proposed_s=5.0, stored_s=9.0),
            trial(searched_s=8.0, proposed_s=10.0, stored_s=20.0),
            trial(Outcome.CRASH, searched_s=10.0, proposed_s=11.0, stored_s=18.0),
            TrialTimes(Timeline(proposed_s=12.0, stored_s=25.0), Outcome.OK, cut_short=True),
        ]
    )
    result = sums.result()
    assert (result.wall_s, result.tuning_s) == (20.0, 17.0)
    assert (result.trials, result.baselines, result.cut_short) == (3, 1, 1)
    assert result.outcomes == (OutcomeCount(Outcome.OK, 2), OutcomeCount(Outcome.CRASH, 1))


def test_the_days_before_it_was_resumed_are_no_time_of_a_job() -> None:
    sums = TimelineSums()
    sums.add([trial(proposed_s=at, queued_s=at + 1, stored_s=at + 2.0) for at in (5.0, 6.0, 3 * 86400.0)])
    assert (sums.result().wall_s, sums.result().tuning_s) == (5.0, 5.0)


def test_devices_are_told_apart() -> None:
    sums = TimelineSums()
    for name, length in (("pi-2", 3.0), ("pi-1", 1.0), ("pi-2", 2.0), ("", 0.0)):
        timeline = Timeline(started_s=50.0, finished_s=50.0 + length, stored_s=99.0) if name else Timeline()
        sums.add([TrialTimes(timeline, Outcome.OK, device_name=name)])
    assert sums.result().devices == (DeviceTime("pi-1", 1, 1.0), DeviceTime("pi-2", 2, 5.0))


@pytest.mark.parametrize(
    ("builds", "builders"),
    [
        ([(1, 2)], 1),
        ([(1, 2), (2, 3), (3, 4)], 1),
        ([(1, 9), (2, 3), (3, 4)], 2),
        ([(1, 5), (2, 5), (3, 5), (6, 7)], 3),
    ],
)
def test_builders_are_the_most_seen_at_work_at_once(builds: list[tuple[float, float]], builders: int) -> None:
    sums = TimelineSums()
    sums.add([trial(building_s=begin, built_s=end) for begin, end in builds])
    result = sums.result()
    assert (result.builders, result.building_s) == (builders, sum(end - begin for begin, end in builds))
