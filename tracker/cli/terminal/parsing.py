"""Option values as people write them, as click's types."""

from __future__ import annotations

import math
from typing import Any

import click

from tvm_farm.protos.address import parse_address
from tvm_farm.protos.labels import parse_label
from tvm_farm.protos.names import parse_farm_name, parse_name
from tvm_farm.tracker.client.asking.values import (
    MAX_MORE_TRIALS,
    MAX_SEED,
    MAX_TRIALS,
    parse_duration,
    parse_fixed,
    parse_parameter,
    parse_shape,
    parse_target,
    parse_whole,
)
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
    "WholeNumber",
    "parse_label_change",
]

_ROOM = 2**31 - 1


def parse_label_change(text: str) -> tuple[str, str | None]:
    """ "rack=3" as (key, value), "rack-" as (key, None). Raises ValueError."""
    if "=" in text or not text.endswith("-"):
        return parse_label(text)
    return parse_label(f"{text[:-1]}=")[0], None


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


class WholeNumber(click.IntRange):
    """One of at least ``min`` for which the wire has room."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number > _ROOM:
            self.fail(f"{number} is too much: {_ROOM} is the most.", param, ctx)
        return number


ADDRESS = _Parsed("HOST:PORT", parse_address)
COUNT = _Parsed("N", lambda text: parse_whole(text, 1, MAX_TRIALS))
SEED = _Parsed("N", lambda text: parse_whole(text, 0, MAX_SEED))
DURATION = _Parsed("DURATION", parse_duration)
DURATION_OR_NEVER = _Parsed("DURATION|never", lambda text: math.inf if text == "never" else parse_duration(text))
# More than there was: the sign says so to a reader, and may be left out.
MORE_COUNT = _Parsed("+N", lambda text: parse_whole(text, 1, MAX_MORE_TRIALS))
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
