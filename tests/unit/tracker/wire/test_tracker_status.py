"""Every error of the tree has a status, and a bug is told as one."""

from __future__ import annotations

import logging
from urllib.parse import quote

import grpc
import pytest

from tvm_farm.tracker.domain import errors
from tvm_farm.tracker.wire.status import STATUS, status_of


def subclasses(root: type) -> set[type]:
    return {c for child in root.__subclasses__() for c in {child, *subclasses(child)}}


def test_the_table_is_complete() -> None:
    assert set(STATUS) == subclasses(errors.TrackerError)


def test_the_sentence_goes_to_the_caller() -> None:
    status = status_of(errors.NotFound("there is no job 'x'"), "GetJob")
    assert status == (grpc.StatusCode.NOT_FOUND, "there is no job 'x'")


@pytest.mark.parametrize("letter", ["x", "%", "\n", "é", "漢", "😀"])
def test_a_long_sentence_fits_into_a_status(letter: str) -> None:
    _, sentence = status_of(errors.NotFound(f"there is no job {letter * 1_000_000}"), "GetJob")
    assert sentence.startswith(f"there is no job {letter}")
    assert sentence.endswith("…")
    assert 5900 < len(quote(sentence, safe=" ")) < 6100


def test_a_bug_is_logged_with_its_traceback_and_told_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        code, sentence = status_of(ZeroDivisionError("secret detail"), "GetJob")
    assert code is grpc.StatusCode.INTERNAL
    assert "GetJob" in sentence
    assert "secret" not in sentence
    assert caplog.records[0].exc_info is not None
