"""Why an operator could not be searched, as a person reads it."""

from tvm_farm.tracker.tuning.search.search import _reason


def test_of_tvms_errors_the_sentence_is_told() -> None:
    error = RuntimeError(
        "ScheduleError: An error occurred in the schedule primitive 'compute-at'.\n"
        "    T.writes(T_add_intermediate[v_i0, v_i1])\n"
        "Error message: The primitive requires all the producer(s) of the given block to be present under the target "
        "loop. However, there are 1 producer(s) not satisfying the constraint. List of the producer(s):s_tir.SBlock#0\n"
    )
    assert _reason(error) == (
        "The primitive requires all the producer(s) of the given block to be present under the target loop. However, "
        "there are 1 producer(s) not satisfying the constraint"
    )
    assert _reason(ValueError("\n no such axis. \n")) == "no such axis"
    assert _reason(AssertionError()) == "no reason given"
