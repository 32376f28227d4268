"""Which task gets the next trials, as tables."""

import pytest

from tvm_farm.tracker.tuning.search.task_budget import TaskProgress, expected_gain, first_round_trials, next_task


def task(weight=1, untuned=1.0, history=(), pending=0, exhausted=False):
    return TaskProgress(weight, untuned, tuple(history), pending, exhausted)


@pytest.mark.parametrize(
    ("tasks", "chosen"),
    [
        pytest.param([], None, id="no tasks"),
        pytest.param([task(exhausted=True)], None, id="all exhausted"),
        pytest.param([task(untuned=1.0), task(untuned=3.0)], 1, id="the largest share of the model first"),
        pytest.param([task(weight=4, untuned=1.0), task(untuned=3.0)], 0, id="weight counts into the share"),
        pytest.param([task(untuned=9.0, history=[5.0]), task(untuned=0.1)], 1, id="an untouched task before any other"),
        pytest.param([task(untuned=9.0, pending=16), task(untuned=0.1)], 1, id="trials under way count as touched"),
        pytest.param([task(untuned=1.0), task(untuned=1.0)], 0, id="ties go to the first"),
        pytest.param(
            [task(history=[0.5] * 16), task(history=[0.5] * 64)], 0, id="equal latency: the one with fewer trials"
        ),
        pytest.param(
            [task(history=[0.9] * 16, pending=64), task(history=[0.5] * 16)],
            1,
            id="a task with many trials under way waits for them",
        ),
        pytest.param(
            [task(history=[0.5] * 64), task(history=[0.9] * 32 + [0.5] * 32)],
            1,
            id="equal latency and trials: the one that fell lately",
        ),
        pytest.param([task(history=[0.5] * 16, exhausted=True), task(history=[0.001] * 99)], 1, id="exhausted is out"),
        pytest.param(
            [task(untuned=0.0, history=[float("inf")] + [1e-3] * 30), task(weight=50, untuned=4.0, history=[4.0] * 30)],
            1,
            id="a failed first trial of a task without baseline is no slope",
        ),
        pytest.param(
            [task(untuned=0.0, history=[float("inf")] * 16), task(untuned=0.2, history=[0.1] * 16)],
            1,
            id="nothing ever ran: no gain to expect",
        ),
    ],
)
def test_next_task(tasks, chosen):
    assert next_task(tasks) == chosen


def test_a_task_whose_candidates_all_failed_still_has_something_to_gain():
    failed = task(untuned=1.0, history=[float("inf")] * 16)
    assert 0 < expected_gain(failed) < expected_gain(task(untuned=1.0, history=[float("inf")] * 4))


def test_every_task_gets_its_first_round_before_any_gets_a_second():
    tasks = [task(untuned=float(n + 1)) for n in range(30)]
    order = []
    for _ in range(30):
        chosen = next_task(tasks)
        order.append(chosen)
        tasks[chosen] = task(untuned=tasks[chosen].untuned_s, pending=16)
    assert sorted(order) == list(range(30))
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize(
    ("tasks", "max_trials", "batch", "trials"),
    [(30, 0, 16, 16), (30, 480, 16, 16), (30, 100, 16, 3), (30, 10, 16, 1), (1, 7, 16, 7), (0, 10, 16, 16)],
)
def test_first_round_reaches_every_task(tasks, max_trials, batch, trials):
    assert first_round_trials(tasks, max_trials, batch) == trials
