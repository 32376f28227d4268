"""The untuned and the tuned model on one device: the same random input, outputs compared, both timed."""

from __future__ import annotations

import hashlib
import queue
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tvm_farm.tracker.client.measure_stream import MeasureStream, StreamRefused
from tvm_farm.tracker.domain import (
    Argument,
    Artifact,
    Capacity,
    Limits,
    Measurement,
    MeasureRequest,
    Outcome,
    Program,
    ProgramKind,
    TimingPlan,
    Trial,
)
from tvm_farm.tracker.tuning.errors import FarmFailure, SessionOver
from tvm_farm.tracker.tuning.judging.comparison import Tolerance, arrays_of, compare
from tvm_farm.tracker.tuning.judging.reference import Reference
from tvm_farm.tracker.tuning.search.task_state import median

__all__ = [
    "Verdict",
    "artifact_of",
    "model_request",
    "run_beside",
    "uploaded_inputs",
    "verify",
]

#: A device that takes no work for so long is given up and another one sought.
_AWAY_S = 20.0
#: What a request carries itself of its library: it is one message.
_INLINE_BYTES = 8 << 20
#: Of a model's inputs. What a board's stream brings keeps its pings waiting; files come beside it.
_INLINE_INPUT_BYTES = 256 << 10
#: Beyond what the tasks' own timings let expect: what a task takes may be unknown.
_BEYOND_EXPECTED_S = 600.0


@dataclass(frozen=True)
class Verdict:
    """What the device said. Latencies in seconds; ``rtol`` and ``atol`` are the loosest that were applied.

    ``compared``: the reference had a finite value, so that something was.
    """

    untuned_s: float
    tuned_s: float
    max_abs_diff: float
    rtol: float
    atol: float
    equal: bool
    device_name: str
    compared: bool = True

    @property
    def keep_untuned(self) -> bool:
        """Whether the untuned model is the one to ship: the tuned one is slower, or answers differently."""
        return self.tuned_s > self.untuned_s or not self.equal

    @property
    def shipped_s(self) -> float:
        return self.untuned_s if self.keep_untuned else self.tuned_s


def model_request(
    library: Artifact,
    params: Artifact,
    values: Mapping[str, tuple[tuple[int, ...], str]],
    inputs: Sequence[np.ndarray],
    plan: TimingPlan,
    expected_s: float,
) -> MeasureRequest:
    """A request that runs a whole model.

    ``values``: shape and dtype of each parameter by its name, in the order in which ``main`` takes
    them after ``inputs``. ``expected_s``: about what one run takes; the time limit follows from it. Those of
    ``uploaded_inputs`` lie among ``params``.
    """
    uploaded = uploaded_inputs(inputs)
    arguments = [
        Argument(tuple(x.shape), x.dtype.name, param=uploaded[number])
        if number in uploaded
        else Argument(tuple(x.shape), x.dtype.name, data=x.tobytes())
        for number, x in enumerate(inputs)
    ]
    arguments += [Argument(shape, dtype, param=name) for name, (shape, dtype) in values.items()]
    return MeasureRequest(
        trial_id=uuid.uuid4().hex,
        program=Program(ProgramKind.MODEL, library, "main", tuple(arguments), params, outputs=(0,)),
        plan=plan,
        limits=Limits(run_timeout_s=_BEYOND_EXPECTED_S + 4 * expected_s * (2 + plan.repeat)),
    )


def verify(
    untuned: MeasureRequest,
    tuned: MeasureRequest,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
    reference: Reference,
    tolerance: Tolerance,
    names: Sequence[str] = (),
) -> Verdict:
    """Runs ``untuned``, then ``tuned`` on one device; waits for one as long as it takes.

    Both are held against ``reference``; where nobody could judge, the tuned one against the untuned one. ``names``: of
    the outputs. ``find_device`` gives the id of a connected one, "" while there is none. ``open_stream`` takes
    what receives the events, and that id. Raises FarmFailure when the tracker refuses, a model
    failed on the device, or the untuned one answers differently there than the judge, saying how.
    """
    first, second = run_beside(untuned, tuned, find_device, open_stream)
    for name, answer in (("untuned", first), ("tuned", second)):
        if answer.outcome is not Outcome.OK:
            outcome = answer.outcome.value
            if answer.outcome is Outcome.UNPLACEABLE:
                raise FarmFailure(f"the {name} model could not be run: {answer.detail}")
            raise FarmFailure(f"the {name} model failed on {answer.device_name}: {outcome} {answer.detail}".strip())
    expected, given = reference.expected, arrays_of(first.outputs)
    if expected is not None and not (before := compare(expected, given, tolerance, names, reference.floors)).equal:
        raise FarmFailure(
            f"the untuned model answers differently on {first.device_name} than {reference.judge}: {before.wrong}"
        )
    found = compare(
        given if expected is None else expected, arrays_of(second.outputs), tolerance, names, reference.floors
    )
    return Verdict(
        untuned_s=median(first.run_secs),
        tuned_s=median(second.run_secs),
        max_abs_diff=found.max_abs_diff,
        rtol=found.rtol,
        atol=found.atol,
        equal=found.equal,
        device_name=second.device_name,
        compared=found.finite,
    )


def run_beside(
    untuned: MeasureRequest,
    tuned: MeasureRequest,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
) -> tuple[Measurement, Measurement]:
    """The answers to ``untuned``, then ``tuned`` on one device; arguments and errors are those of ``verify``.

    Where the first has no place on any board, neither has the second: its answer stands for both.
    """
    while True:
        device_id = find_device()
        answers = _run_both(untuned, tuned, device_id, open_stream) if device_id else None
        if answers is not None:
            return answers
        time.sleep(1.0)


def _run_both(
    untuned: MeasureRequest,
    tuned: MeasureRequest,
    device_id: str,
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
) -> tuple[Measurement, Measurement] | None:
    """Both answers of one device; None when it stayed away in between. Raises FarmFailure when the tracker refuses."""
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    stream = open_stream(events.put, device_id)
    answers = []
    try:
        for request in (untuned, tuned):
            turn = replace(request, trial_id=uuid.uuid4().hex)
            stream.measure(Trial(turn))
            answer = _answer_to(turn.trial_id, events)
            if answer is None:
                return None
            answers.append(answer)
            if answer.outcome is Outcome.UNPLACEABLE:
                break
    finally:
        stream.close()
    return answers[0], answers[-1]


def _answer_to(trial_id: str, events: queue.SimpleQueue[object]) -> Measurement | None:
    away_since: float | None = None
    while away_since is None or time.monotonic() - away_since < _AWAY_S:
        try:
            event = events.get(timeout=1.0)
        except queue.Empty:
            continue
        if isinstance(event, StreamRefused):
            raise FarmFailure(f"the tracker refused to run the model: {event.reason}")
        if isinstance(event, Capacity):
            away_since = None if event.devices else time.monotonic()
        elif isinstance(event, Measurement) and event.trial_id == trial_id:
            if event.outcome is Outcome.CANCELLED:
                raise SessionOver("the tracker cancelled this job's trials")
            return event
    return None


def uploaded_inputs(inputs: Sequence[np.ndarray], inline_bytes: int = _INLINE_INPUT_BYTES) -> dict[int, str]:
    """Positions of the inputs that a request cannot carry itself, and what each is called among the parameters.

    The smallest travel inline, as many as fit into ``inline_bytes`` together.
    """
    uploaded, left = {}, inline_bytes
    for number in sorted(range(len(inputs)), key=lambda number: inputs[number].nbytes):
        left -= inputs[number].nbytes
        if left < 0:
            uploaded[number] = f"input {number}"
    return uploaded


def artifact_of(path: Path, inline_bytes: int = _INLINE_BYTES) -> Artifact:
    """``path`` as an artifact, with its bytes where they are few enough to be sent with a request."""
    data = path.read_bytes()
    return Artifact(hashlib.sha256(data).hexdigest(), len(data), data if len(data) <= inline_bytes else b"")
