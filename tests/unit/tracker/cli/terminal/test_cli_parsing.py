"""Changes of labels as people write them."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.cli.terminal.parsing import parse_label_change


@pytest.mark.parametrize(
    ("text", "change"),
    [("rack=3", ("rack", "3")), ("rack=", ("rack", "")), ("rack-", ("rack", None)), ("a-b-", ("a-b", None))],
)
def test_label_changes(text: str, change: tuple[str, str | None]) -> None:
    assert parse_label_change(text) == change


@pytest.mark.parametrize("text", ["rack", "-", "a b-", "rack=3-", "rack--"])
def test_what_is_no_label_change(text: str) -> None:
    with pytest.raises(ValueError, match="is not a label"):
        parse_label_change(text)
