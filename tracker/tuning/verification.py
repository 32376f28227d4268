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

from tracker.domain import (
    Argument,
    Artifact,
    Capacity,
    Limits,
    Measurement,
    MeasureRequest,
    Outcome,
    OutputTensor,
    Program,
    ProgramKind,
    TimingPlan,
    Trial,
)
from tracker.tuning.errors import FarmFailure, SessionOver
from tracker.tuning.measuring import MeasureStream, StreamRefused
from tracker.tuning.models.importers import TensorInfo
from tracker.tuning.task_state import median

__all__ = [
    "TOLERANCES",
    "Verdict",
    "artifact_of",
    "compare",
    "model_request",
    "random_inputs",
    "run_beside",
    "verify",
]

#: A device that takes no work for so long is given up and another one sought.
_AWAY_S = 20.0
#: Larger inputs are filled on the board: a request is one message.
_LARGEST_INLINE_BYTES = 8 << 20
#: Beyond what the tasks' own timings let expect: what a task takes may be unknown.
_PATIENCE_S = 600.0
#: Relative tolerance, and absolute tolerance as a share of the largest value of the reference, by dtype.
TOLERANCES = {
    "float64": (1e-8, 1e-10),
    "float32": (1e-4, 1e-5),
    "float16": (1e-2, 2e-3),
    "bfloat16": (5e-2, 1e-2),
}


@dataclass(frozen=True)
class Verdict:
    """What the device said. Latencies in seconds; ``rtol`` and ``atol`` are the loosest that were applied."""

    untuned_s: float
    tuned_s: float
    max_abs_diff: float
    rtol: float
    atol: float
    equal: bool
    device_name: str

    @property
    def keep_untuned(self) -> bool:
        """Whether the untuned model is the one to ship: the tuned one is slower, or answers differently."""
        return self.tuned_s > self.untuned_s or not self.equal

    @property
    def shipped_s(self) -> float:
        return self.untuned_s if self.keep_untuned else self.tuned_s


def random_inputs(inputs: Sequence[TensorInfo], seed: int) -> list[np.ndarray]:
    """One array an input: floats uniform in [0, 1), integers 0 or 1 (they are often indices), booleans."""
    random = np.random.default_rng(seed)
    arrays = []
    for info in inputs:
        if np.issubdtype(np.dtype(info.dtype), np.floating):
            arrays.append(random.random(info.shape).astype(info.dtype))
        else:
            arrays.append(random.integers(0, 2, info.shape).astype(info.dtype))
    return arrays


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
    them after ``inputs``. ``expected_s``: about what one run takes; the time limit follows from it.
    """
    arguments = []
    for number, x in enumerate(inputs):
        large = x.nbytes > _LARGEST_INLINE_BYTES
        content = None if large else np.ascontiguousarray(x).tobytes()
        arguments.append(Argument(tuple(x.shape), x.dtype.name, fill_seed=number if large else None, data=content))
    arguments += [Argument(shape, dtype, param=name) for name, (shape, dtype) in values.items()]
    return MeasureRequest(
        trial_id=uuid.uuid4().hex,
        program=Program(ProgramKind.MODEL, library, "main", tuple(arguments), params, outputs=(0,)),
        plan=plan,
        limits=Limits(run_timeout_s=_PATIENCE_S + 4 * expected_s * (2 + plan.repeat)),
    )


def verify(
    untuned: MeasureRequest,
    tuned: MeasureRequest,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
) -> Verdict:
    """Runs ``untuned``, then ``tuned`` on one device; waits for one as long as it takes.

    ``find_device`` gives the id of a connected one, "" while there is none. ``open_stream`` takes
    what receives the events, and that id. Raises FarmFailure when the tracker refuses or a model
    failed on the device, saying how.
    """
    first, second = run_beside(untuned, tuned, find_device, open_stream)
    for name, answer in (("untuned", first), ("tuned", second)):
        if answer.outcome is not Outcome.OK:
            outcome = answer.outcome.value if answer.outcome else "no outcome"
            if answer.outcome is Outcome.UNPLACEABLE:
                raise FarmFailure(f"the {name} model could not be run: {answer.detail}")
            raise FarmFailure(f"the {name} model failed on {answer.device_name}: {outcome} {answer.detail}".strip())
    difference, rtol, atol, equal = compare(first.outputs, second.outputs)
    return Verdict(median(first.run_secs), median(second.run_secs), difference, rtol, atol, equal, second.device_name)


def run_beside(
    untuned: MeasureRequest,
    tuned: MeasureRequest,
    find_device: Callable[[], str],
    open_stream: Callable[[Callable[[object], None], str], MeasureStream],
) -> tuple[Measurement, Measurement]:
    """The answers to ``untuned``, then ``tuned`` on one device; arguments and errors are those of ``verify``."""
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
    finally:
        stream.close()
    return answers[0], answers[1]


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


def compare(reference: Sequence[OutputTensor], other: Sequence[OutputTensor]) -> tuple[float, float, float, bool]:
    """Largest absolute difference, the tolerances that applied (the loosest of all outputs), and whether all hold.

    Non-finite values must stand in the same places; outputs without any finite value prove nothing
    and are not equal. Raises FarmFailure when the number of outputs differs.
    """
    if len(reference) != len(other) or not reference:
        raise FarmFailure(f"the untuned model gave {len(reference)} outputs and the tuned one {len(other)}")
    largest, rtol, atol, equal = 0.0, 0.0, 0.0, True
    for a, b in zip(reference, other, strict=True):
        left, right = _array(a), _array(b)
        finite = np.isfinite(left)
        relative, absolute = TOLERANCES.get(a.dtype, (0.0, 0.0))
        absolute *= float(np.max(np.abs(left[finite]), initial=0.0)) or 1.0
        rtol, atol = max(rtol, relative), max(atol, absolute)
        same = left.shape == right.shape and bool(np.allclose(right, left, relative, absolute, equal_nan=True))
        equal = equal and same and (bool(finite.any()) or not left.size)
        if left.shape == right.shape:
            largest = max(largest, float(np.max(np.abs(left - right)[finite & np.isfinite(right)], initial=0.0)))
    return largest, rtol, atol, equal


def _array(tensor: OutputTensor) -> np.ndarray:
    import ml_dtypes  # noqa: F401 - teaches numpy the name bfloat16

    return np.frombuffer(tensor.data, dtype=np.dtype(tensor.dtype)).reshape(tensor.shape).astype(np.float64)


def artifact_of(path: Path, *, inline: bool) -> Artifact:
    """``path`` as an artifact; ``inline`` sends its bytes with the request."""
    data = path.read_bytes()
    return Artifact(hashlib.sha256(data).hexdigest(), len(data), data if inline else b"")
