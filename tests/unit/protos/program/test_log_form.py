"""One form of log lines for the three programs: text, JSON, and systemd's journal."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator

import pytest

from tvm_farm.protos.program import log as form
from tvm_farm.protos.program.log import log_to_stderr

log = logging.getLogger("tvm_farm.tracker.services.fleet")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TVMFARM_LOG_FORMAT", "")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fail() -> None:
    try:
        raise ValueError("bad\nnews")
    except ValueError:
        log.exception("it failed", extra={"trial": "t1"})


def test_an_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("info", "text")
    log.info("%s lost: %s", "rpi", "a\nline\x1b[2J of \u2028 it\x85", extra={"device": "rpi"})
    log.debug("not told")
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO    tracker\.services\.fleet: "
        r"rpi lost: a\\nline\\x1b\[2J of \\u2028 it\\x85\n",
        said,
    )


def test_no_line_of_a_traceback_can_be_taken_for_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("info", "text")
    fail()
    first, *more = capsys.readouterr().err.splitlines()
    assert first.endswith(" ERROR   tracker.services.fleet: it failed")
    assert more[0] == "  | Traceback (most recent call last):"
    assert all(line.startswith("  | ") for line in more)
    assert more[-2:] == ["  | ValueError: bad", "  | news"]


def test_a_machine_reads_objects(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("warning", "json", worker="local-1")
    log.info("not told")
    log.warning("%s lost: %s", "rpi", "a\nline", extra={"device": "rpi", "job": ""})
    fail()
    lost, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lost.pop("time"))
    assert lost == {
        "level": "warning",
        "logger": "tracker.services.fleet",
        "message": "rpi lost: a\nline",
        "device": "rpi",
        "worker": "local-1",
    }
    assert (failed["trial"], failed["message"]) == ("t1", "it failed")
    assert failed["traceback"].endswith("ValueError: bad\nnews")


def test_what_another_process_told_of_its_fault_stays_behind_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("info", "text")
    log.warning("job j failed", extra={"traceback": "Traceback:\n2026-01-01 INFO forged"})
    assert capsys.readouterr().err.splitlines()[1:] == ["  | Traceback:", "  | 2026-01-01 INFO forged"]


def test_a_process_that_is_started_writes_as_its_parent(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("info", "json")
    assert os.environ["TVMFARM_LOG_FORMAT"] == "json"
    log_to_stderr("info", job="squeezenet-ab2cde")
    log.info("tuning")
    assert json.loads(capsys.readouterr().err)["job"] == "squeezenet-ab2cde"


def test_the_journal_has_times_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "is_journal", lambda: True)
    log_to_stderr("info", "text", job="j")
    log.warning("a\nb")
    log_to_stderr("info", "json")
    log.warning("a")
    first, second = capsys.readouterr().err.splitlines()
    assert first == "<4>job j: a\\nb"
    assert second.startswith("{")
