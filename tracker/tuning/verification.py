"""The untuned and the tuned model on one device: the same random input, outputs compared, both timed."""

from __future__ import annotations

import hashlib
import queue
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.domain import (
    Argument,
    Artifact,
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
from tracker.tuning.errors import FarmFailure
from tracker.tuning.loop import median
from tracker.tuning.measuring import MeasureStream, StreamRefused
from tracker.tuning.models.onnx import TensorInfo

__all__ = ["TOLERANCES", "Verdict", "artifact_of", "model_request", "random_inputs", "verify"]

#: Beyond what the tasks' own timings let expect: what a task takes may be unknown.
_PATIENCE_S = 600.0
#: Relative and absolute tolerance by dtype. The absolute one is meant for values around 1 and grows with larger ones.
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
    arguments = [Argument(tuple(x.shape), x.dtype.name, data=np.ascontiguousarray(x).tobytes()) for x in inputs]
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
    open_stream: Callable[[Callable[[object], None]], MeasureStream],
) -> Verdict:
    """Runs ``untuned``, then ``tuned``; waits for a device as long as it takes.

    Raises FarmFailure when the tracker refuses or a model failed on the device, saying how.
    """
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    stream = open_stream(events.put)
    answers: dict[str, Measurement] = {}
    try:
        for turn in (untuned, tuned):
            stream.measure(Trial(turn))
            while turn.trial_id not in answers:
                event = events.get()
                if isinstance(event, StreamRefused):
                    raise FarmFailure(f"the tracker refused to run the model: {event.reason}")
                if isinstance(event, Measurement):
                    answers[event.trial_id] = event
    finally:
        stream.close()
    first, second = answers[untuned.trial_id], answers[tuned.trial_id]
    for name, answer in (("untuned", first), ("tuned", second)):
        if answer.outcome is not Outcome.OK:
            outcome = answer.outcome.value if answer.outcome else "no outcome"
            raise FarmFailure(f"the {name} model failed on {answer.device_name}: {outcome} {answer.detail}".strip())
    difference, rtol, atol, equal = _compare(first.outputs, second.outputs)
    return Verdict(median(first.run_secs), median(second.run_secs), difference, rtol, atol, equal, second.device_name)


def _compare(reference: Sequence[OutputTensor], other: Sequence[OutputTensor]) -> tuple[float, float, float, bool]:
    if len(reference) != len(other) or not reference:
        raise FarmFailure(f"the untuned model gave {len(reference)} outputs and the tuned one {len(other)}")
    largest, rtol, atol, equal = 0.0, 0.0, 0.0, True
    for a, b in zip(reference, other, strict=True):
        left, right = _array(a), _array(b)
        relative, absolute = TOLERANCES.get(a.dtype, (0.0, 0.0))
        absolute *= max(1.0, float(np.max(np.abs(left[np.isfinite(left)]), initial=0.0)))
        rtol, atol = max(rtol, relative), max(atol, absolute)
        equal = equal and left.shape == right.shape and np.allclose(right, left, relative, absolute, equal_nan=True)
        if left.shape == right.shape and left.size:
            with np.errstate(invalid="ignore"):
                gap = np.abs(left - right)
            gap[(left == right) | (np.isnan(left) & np.isnan(right))] = 0.0
            largest = max(largest, float(np.max(gap)))
    return largest, rtol, atol, bool(equal)


def _array(tensor: OutputTensor) -> np.ndarray:
    import ml_dtypes  # noqa: F401 - teaches numpy the name bfloat16

    return np.frombuffer(tensor.data, dtype=np.dtype(tensor.dtype)).reshape(tensor.shape).astype(np.float64)


def artifact_of(path: Path, *, inline: bool) -> Artifact:
    """``path`` as an artifact; ``inline`` sends its bytes with the request."""
    data = path.read_bytes()
    return Artifact(hashlib.sha256(data).hexdigest(), len(data), data if inline else b"")
