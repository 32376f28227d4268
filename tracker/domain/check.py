"""What ``farm check`` tells of a model before a board is asked for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CheckReport", "Obstacle", "OperatorUse", "Peaks", "TaskOutlook", "TensorOutline"]


@dataclass(frozen=True)
class TensorOutline:
    """An input or output. ``dims``: sizes as text, "?" or a name where the file leaves one open.

    ``("...",)``: not even their number is known. ``dtype``: "" where it is not known.
    """

    name: str
    dims: tuple[str, ...] = ()
    dtype: str = ""


@dataclass(frozen=True)
class OperatorUse:
    """One operator and what became of its ``nodes``, which the other counts add up to.

    ``folded``: computed while importing. ``by_farm`` or ``by_tvm``: converted; ``expanded``: as the function of simpler
    operators that its schema gives. ``cut``: off the model's end, left to ONNX Runtime. ``unknown``: behind a refused
    node, without which nothing can be said of it.
    """

    name: str
    nodes: int = 0
    folded: int = 0
    by_farm: int = 0
    by_tvm: int = 0
    expanded: int = 0
    cut: int = 0
    refused: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Obstacle:
    """Why the model will not be tuned: a sentence without its end. ``node`` ("node conv1 (Conv)") and ``operator``
    are "" where it is none's.
    """

    node: str
    operator: str
    reason: str


@dataclass(frozen=True)
class TaskOutlook:
    """A task as it will be. ``flops`` and ``bytes_touched`` are of one call, which reads or writes of each
    argument once what it touches.

    ``dtype``: of its largest argument.
    """

    name: str
    weight: int
    flops: float
    bytes_touched: int
    dtype: str = ""


@dataclass(frozen=True)
class Peaks:
    """What a device class computes (float32) and moves at most, as kernels of the farm measured it on ``device_name``.

    ``from_log``: measured before, no board was asked.
    """

    flops_per_s: float
    bytes_per_s: float
    device_name: str = ""
    from_log: bool = False


@dataclass(frozen=True)
class CheckReport:
    """Without ``obstacles`` the model will be tuned; with some the figures below them may be missing, which is 0.

    ``parameters`` and their bytes are of the package, or ``in_file`` of the file, where nothing was made of it.
    ``activation_bytes``: the most that inputs and computed values take at one time, at the call of ``activation_at``.
    ``judge``: who confirmed on the original file that the import answers the same, "" where nobody could; ``notes``:
    sentences. ``peaks``: None where no pool was named, or a note says why.
    """

    inputs: tuple[TensorOutline, ...] = ()
    outputs: tuple[TensorOutline, ...] = ()
    operators: tuple[OperatorUse, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    parameters: int = 0
    parameter_bytes: int = 0
    in_file: bool = False
    flops: float = 0.0
    activation_bytes: int = 0
    activation_at: str = ""
    tasks: tuple[TaskOutlook, ...] = ()
    peaks: Peaks | None = None
    notes: tuple[str, ...] = ()
    judge: str = ""
