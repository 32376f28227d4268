"""Option values as people write them: durations, shapes, labels, addresses."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import click

from tvm_farm.protos.address import parse_address
from tvm_farm.protos.labels import parse_label
from tvm_farm.protos.names import parse_farm_name, parse_name
from tvm_farm.tracker.domain.job import Dims, Parameter, Shape
from tvm_farm.tracker.domain.workload_shapes import parse_dims

__all__ = [
    "ADDRESS",
    "COUNT",
    "DIMS",
    "DURATION",
    "DURATION_OR_NEVER",
    "FARM_NAME",
    "FIXED",
    "LABEL",
    "LABEL_CHANGE",
    "MORE_COUNT",
    "MORE_DURATION",
    "PARAMETER",
    "POOL_NAME",
    "SEED",
    "SHAPE",
    "TARGET",
    "parse_duration",
    "parse_fixed",
    "parse_label_change",
    "parse_parameter",
    "parse_shape",
    "parse_target",
]

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
    except ValueError:
        found = None
    if not equals or not name.strip() or not _numbers(found):
        raise ValueError(f"'{text}' fixes no input: write INPUT=NUMBER, INPUT=true or INPUT=[1,2,3]")
    return Parameter(name.strip(), json.dumps(found))


def _numbers(value: object) -> bool:
    return all(map(_numbers, value)) if isinstance(value, list) else isinstance(value, int | float)


def parse_label_change(text: str) -> tuple[str, str | None]:
    """ "rack=3" as (key, value), "rack-" as (key, None). Raises ValueError."""
    if "=" in text or not text.endswith("-"):
        return parse_label(text)
    return parse_label(f"{text[:-1]}=")[0], None


def parse_target(text: str) -> str:
    """A JSON object, unchanged; "" is none. Raises ValueError."""
    try:
        fields = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f'{text} is not JSON ({error}): write \'{{"mcpu": "cortex-a76"}}\'') from None
    if not isinstance(fields, dict):
        raise ValueError(f'{text} is not a JSON object: write \'{{"mcpu": "cortex-a76"}}\'')
    return text


class _Parsed(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    def __init__(self, name: str, parse: Any) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_whole(text: str, least: int, most: int) -> int:
    """A whole number in [least, most]. Raises ValueError."""
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a whole number") from None
    if not least <= number <= most:
        raise ValueError(f"{number} is not in {least}..{most}")
    return number


ADDRESS = _Parsed("HOST:PORT", parse_address)
COUNT = _Parsed("N", lambda text: parse_whole(text, 1, 2**32 - 1))
SEED = _Parsed("N", lambda text: parse_whole(text, 0, 2**63 - 1))
DURATION = _Parsed("DURATION", parse_duration)
DURATION_OR_NEVER = _Parsed("DURATION|never", lambda text: math.inf if text == "never" else parse_duration(text))
# More than there was: the sign says so to a reader, and may be left out.
MORE_COUNT = _Parsed("+N", lambda text: parse_whole(text, 1, 2**31 - 1))
MORE_DURATION = _Parsed("+DURATION", lambda text: parse_duration(text.removeprefix("+")))
PARAMETER = _Parsed("NAME=VALUE", parse_parameter)
DIMS = _Parsed("DIMS", parse_dims)
FIXED = _Parsed("INPUT=VALUE", parse_fixed)
SHAPE = _Parsed("INPUT=DIMS", parse_shape)
TARGET = _Parsed("JSON", parse_target)
FARM_NAME = _Parsed("NAME", parse_farm_name)
POOL_NAME = _Parsed("NAME", lambda text: parse_name(text, "a pool"))
LABEL = _Parsed("KEY=VALUE", parse_label)
LABEL_CHANGE = _Parsed("KEY=VALUE|KEY-", parse_label_change)
