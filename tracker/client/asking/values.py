"""What people write for durations, shapes, parameters and targets, as texts; and the same as a script's values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tvm_farm.tracker.domain.job import MAX_TRIALS, Dims, Parameter, Shape

__all__ = [
    "MAX_MORE_TRIALS",
    "MAX_SEED",
    "MAX_TRIALS",
    "Fixed",
    "Parameters",
    "Shapes",
    "fixed_of",
    "parameters_of",
    "parse_duration",
    "parse_fixed",
    "parse_parameter",
    "parse_shape",
    "parse_target",
    "parse_whole",
    "seconds_of",
    "shapes_of",
    "target_of",
]

#: What the wire has room for.
MAX_MORE_TRIALS, MAX_SEED = 2**31 - 1, 2**63 - 1

T = TypeVar("T")

#: Sizes by the names of inputs, {"x": (1, 3, 224, 224)}, or of dimensions, {"batch": 4}; several shapes of one input
#: are a list of them. Or texts as `farm tune --shape` takes them, "x=1,3,224,224".
Shapes = str | Mapping[str, int | Sequence[int] | Sequence[Sequence[int]]] | Iterable[str | Shape]
#: Values by the names of an operator's parameters, {"M": 1024}, or texts, "M=1024".
Parameters = str | Mapping[str, object] | Iterable[str | Parameter]
#: Numbers or lists of them by the names of a model's inputs, {"sr": 16000}, or texts, "sr=16000".
Fixed = Parameters

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DIMENSION = re.compile(r"\d+|\{\d+(?:,\d+)*\}")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)([dhms]))")


def parse_duration(text: str) -> float:
    """Seconds of "90s", "30m", "2h", "1h30m". Raises ValueError for anything else, zero included."""
    cleaned = text.strip().lower()
    parts = _DURATION.findall(cleaned)
    if not parts or "".join(number + unit for number, unit in parts) != cleaned:
        raise ValueError(f"'{text}' is not a duration: write 90s, 30m, 2h or 1h30m")
    units = [unit for _, unit in parts]
    if units != sorted(set(units), key="dhms".index):
        raise ValueError(f"'{text}' is not a duration: each unit once, the longest first, as in 1h30m")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"'{text}' is no time at all")
    return seconds


def parse_shape(text: str) -> Shape:
    """ "data=1,3,224,224" as a Shape, or "x=1,3,48,{160,320}" with alternatives. Raises ValueError. A name may itself
    hold "=".
    """
    name, equals, dims = text.rpartition("=")
    if not equals or not name.strip():
        raise ValueError(f"'{text}' is not a shape: write INPUT=1,3,224,224")
    dims = "".join(dims.split())
    parts = _DIMENSION.findall(dims)
    if not parts or ",".join(parts) != dims:
        if "-" in dims:
            raise ValueError(f"'{text}': no dimension is negative; leave the option out to leave it open")
        raise ValueError(f"'{dims}' is no list of whole numbers: write {name}=1,3,224,224 or '{name}=1,{{160,320}}'")
    choices = [tuple(int(size) for size in part.strip("{}").split(",")) for part in parts]
    counts = {len(choice) for choice in choices if len(choice) > 1}
    if len(counts) > 1:
        raise ValueError(f"'{text}': braces go together and hold equally many sizes")
    number = counts.pop() if counts else 1
    first, *others = (tuple(c[at if len(c) > 1 else 0] for c in choices) for at in range(number))
    if len({first, *others}) < number:
        raise ValueError(f"'{text}' names one shape twice")
    return Shape(name=name.strip(), dims=first, others=tuple(Dims(sizes) for sizes in others))


def parse_parameter(text: str) -> Parameter:
    """ "M=1024" as a Parameter. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ValueError(f"'{text}' sets no parameter: write NAME=VALUE, as in M=1024")
    return Parameter(name.strip(), value.strip())


def parse_fixed(text: str) -> Parameter:
    """ "sr=16000" or "mask=[1,1,0]" as a Parameter whose value is JSON. Raises ValueError. A name may hold "="."""
    name, equals, value = text.rpartition("=")
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not equals or not name.strip() or not _numbers(found):
        raise ValueError(f"'{text}' fixes no input: write INPUT=NUMBER, INPUT=true or INPUT=[1,2,3]")
    return Parameter(name.strip(), json.dumps(found))


def _numbers(value: object) -> bool:
    return all(map(_numbers, value)) if isinstance(value, list) else isinstance(value, int | float)


def parse_target(text: str) -> str:
    """A JSON object, unchanged; "" is none. Raises ValueError."""
    try:
        fields = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{text} is not JSON ({error}): write \'{{"mcpu": "cortex-a76"}}\'') from None
    if not isinstance(fields, dict):
        raise ValueError(f'{text} is not a JSON object: write \'{{"mcpu": "cortex-a76"}}\'')
    return text


def parse_whole(text: str, least: int, most: int) -> int:
    """A whole number in [least, most]. Raises ValueError."""
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a whole number") from None
    if not least <= number <= most:
        raise ValueError(f"{number} is not in {least}..{most}")
    return number


def seconds_of(given: float | str) -> float:
    """A duration in seconds, or as text. Raises ValueError where it is none."""
    if isinstance(given, str):
        return parse_duration(given)
    if not 0 < given < float("inf"):
        raise ValueError(f"{given!r} is no duration: give seconds, or a text as '30m'")
    return float(given)


def shapes_of(given: Shapes) -> tuple[Shape, ...]:
    """Raises ValueError."""
    return _all_of(given, parse_shape, _shape)


def parameters_of(given: Parameters) -> tuple[Parameter, ...]:
    """Raises ValueError."""
    return _all_of(given, parse_parameter, lambda name, value: parse_parameter(f"{name}={_literal(value)}"))


def fixed_of(given: Fixed) -> tuple[Parameter, ...]:
    """Raises ValueError."""
    return _all_of(given, parse_fixed, lambda name, value: parse_fixed(f"{name}={_json(value)}"))


def target_of(given: str | Mapping[str, object]) -> str:
    """Raises ValueError."""
    return parse_target(given if isinstance(given, str) else _json(given))


def _all_of(given: Any, read: Callable[[str], T], make: Callable[[str, Any], T]) -> tuple[T, ...]:
    if isinstance(given, Mapping):
        return tuple(make(str(name), value) for name, value in given.items())
    texts = [given] if isinstance(given, str) else given
    return tuple(read(each) if isinstance(each, str) else each for each in texts)


def _shape(name: str, value: Any) -> Shape:
    try:
        sizes = [value] if not isinstance(value, Iterable) else list(value)
        choices = [tuple(map(_size, each)) for each in (sizes if _nested(sizes) else [sizes])]
    except TypeError:
        raise ValueError(f"{value!r} is no shape of {name}: give whole numbers, as (1, 3, 224, 224)") from None
    first, *others = choices
    return Shape(name, first, tuple(map(Dims, others)))


def _nested(sizes: Sequence[object]) -> bool:
    return bool(sizes) and all(isinstance(each, Iterable) for each in sizes)


def _size(given: Any) -> int:
    size: int = given.__index__() if not isinstance(given, bool) and hasattr(given, "__index__") else -1
    if size < 0:
        raise TypeError(given)
    return size


def _literal(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _json(value: Any) -> str:
    """Arrays and numbers of numpy as lists and numbers."""
    return json.dumps(value, default=lambda each: each.tolist() if hasattr(each, "tolist") else repr(each))
