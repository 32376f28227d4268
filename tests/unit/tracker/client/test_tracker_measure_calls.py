"""A client's calls: what gathers leaves in one message, within its size."""

from __future__ import annotations

from tests.support.measure_client import request
from tvm_farm.protos.farm.v1 import measuring_pb2
from tvm_farm.tracker.client.measure_calls import MeasureCalls

OPENING = measuring_pb2.OpenMeasure(client="c", pool="p")


def trial(trial_id: str, library: bytes = b"x") -> measuring_pb2.MeasureCall:
    return measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=request(trial_id, library))])


def test_the_opening_is_alone_and_the_rest_together() -> None:
    calls = MeasureCalls(OPENING)
    failed = measuring_pb2.MeasureCall(failed_builds=[measuring_pb2.FailedBuild(trial_id="b")])
    for call in (trial("a"), failed, trial("c"), None):
        calls.put(call)
    opening, together = list(calls)
    assert opening == measuring_pb2.MeasureCall(open=OPENING)
    assert [each.request.trial_id for each in together.trials] == ["a", "c"]
    assert [each.trial_id for each in together.failed_builds] == ["b"]


def test_what_comes_later_comes_alone_and_what_was_put_stays_as_it_is() -> None:
    calls = MeasureCalls(OPENING)
    coming = iter(calls)
    next(coming)
    first, second = trial("a"), trial("b")
    calls.put(first)
    assert [each.request.trial_id for each in next(coming).trials] == ["a"]
    calls.put(second)
    calls.put(None)
    assert [each.request.trial_id for each in next(coming).trials] == ["b"]
    assert list(coming) == []
    assert (first, second) == (trial("a"), trial("b"))


def test_large_trials_are_parted_in_their_order() -> None:
    calls = MeasureCalls(OPENING)
    for number in range(7):
        calls.put(trial(f"t{number}", b"x" * 100_000))
    calls.put(None)
    _, *messages = list(calls)
    assert [len(message.trials) for message in messages] == [2, 2, 2, 1]
    assert [each.request.trial_id for message in messages for each in message.trials] == [f"t{n}" for n in range(7)]
