"""Which code starts next: the rules as a table, and a file that is whole whatever happens to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

import pytest

from tvm_farm.agent.errors import (
    EXIT_ABORTED,
    EXIT_OK,
    RefusedError,
    RunnerUnusableError,
    SettingsError,
    SeveralTrackersError,
    StateInUseError,
    at_fault,
)
from tvm_farm.agent.upgrade.choice import STARTS, Choice, ChoiceFile, dropped, fell, joined, ordered, spared, started

Change: TypeAlias = Callable[[Choice], Choice]

NEW, NEWER = "a" * 64, "b" * 64
TRACKERS = ("farm:9195",)


def order(upgrade_id: str, digest: str, version: str) -> Change:
    return lambda choice: ordered(choice, upgrade_id, digest, version, "0.1.0", TRACKERS)


FIRST = order("u1", NEW, "0.2.0")
SECOND = order("u2", NEWER, "0.3.0")
JOINS: Change = lambda choice: joined(choice, NEW)  # noqa: E731
JOINS_NEWER: Change = lambda choice: joined(choice, NEWER)  # noqa: E731
FALLS: Change = lambda choice: fell(choice, NEW, "it crashed")  # noqa: E731
FALLS_NEWER: Change = lambda choice: fell(choice, NEWER, "it crashed")  # noqa: E731
SPARED: Change = lambda choice: spared(choice, NEW)  # noqa: E731

ON_TRIAL = Choice(NEW, "0.2.0", trial=True, upgrade_id="u1", installed="0.1.0", trackers=TRACKERS)
STANDS = replace(ON_TRIAL, trial=False, trackers=())
NEWER_ON_TRIAL = Choice(
    NEWER,
    "0.3.0",
    trial=True,
    previous=NEW,
    previous_version="0.2.0",
    upgrade_id="u2",
    installed="0.1.0",
    trackers=TRACKERS,
)
FELL = Choice(installed="0.1.0", failed_upgrade="u1", failed_version="0.2.0", failure="it crashed")

STORIES: dict[str, tuple[Sequence[Change], Choice]] = {
    "nothing was ever ordered: the installed one": ([started], Choice()),
    "ordered: on trial": ([FIRST], ON_TRIAL),
    "each start is counted": ([FIRST, started, started], replace(ON_TRIAL, starts=2)),
    "a join ends the trial": ([FIRST, started, JOINS], STANDS),
    "which no other code's join does": ([FIRST, started, JOINS_NEWER], replace(ON_TRIAL, starts=1)),
    "one that stands is started as often as may be": ([FIRST, started, JOINS, *[started] * 9], STANDS),
    "and does not fall": ([FIRST, started, JOINS, FALLS], STANDS),
    "a start without a word too many": (
        [FIRST, *[started] * (STARTS + 1)],
        replace(FELL, failure="it ended 3 times before it joined, without a word"),
    ),
    "as many as may be": ([FIRST, *[started] * STARTS], replace(ON_TRIAL, starts=STARTS)),
    "while no tracker is there they do not count": ([FIRST, *[started, SPARED] * 9], ON_TRIAL),
    "on trial it falls: the installed one runs again": ([FIRST, started, FALLS], FELL),
    "once": ([FIRST, started, FALLS, FALLS], FELL),
    "and is not started": ([FIRST, started, FALLS, started], FELL),
    "the next order forgets that": ([FIRST, started, FALLS, FIRST], ON_TRIAL),
    "a second upgrade remembers the first": ([FIRST, started, JOINS, SECOND], NEWER_ON_TRIAL),
    "and falls back to it": (
        [FIRST, started, JOINS, SECOND, started, FALLS_NEWER],
        Choice(
            NEW,
            "0.2.0",
            installed="0.1.0",
            failed_upgrade="u2",
            failed_version="0.3.0",
            failure="it crashed",
        ),
    ),
    "what is on trial is nothing to fall back to": (
        [FIRST, SECOND],
        replace(NEWER_ON_TRIAL, previous="", previous_version=""),
    ),
    "damaged files of one that stands": (
        [FIRST, started, JOINS, lambda choice: dropped(choice, "damaged")],
        replace(FELL, failure="damaged"),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str, tmp_path: Path) -> None:
    changes, after = STORIES[story]
    file = ChoiceFile(tmp_path)
    for change in changes:
        file.update(change)
    assert file.read() == after


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"digest": 7}', '{"trial": "yes"}', '{"trackers": 5}', '{"digest": null}', "\xff"],
)
def test_a_file_that_is_none_is_the_installed_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "chosen.json").write_bytes(text.encode("latin-1"))
    assert ChoiceFile(tmp_path).read() == Choice()


def test_what_a_later_version_adds_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "chosen.json").write_text(json.dumps({**asdict(ON_TRIAL), "colour": "blue"}))
    assert ChoiceFile(tmp_path).read() == ON_TRIAL


def test_half_a_file_beside_the_whole_one_is_nothing(tmp_path: Path) -> None:
    file = ChoiceFile(tmp_path)
    file.update(FIRST)
    (tmp_path / "chosen.json.new").write_text('{"digest": "')  # the power was cut
    assert file.read() == ON_TRIAL
    assert file.update(JOINS) == STANDS
    assert file.read() == STANDS


def test_what_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    file = ChoiceFile(tmp_path)
    file.update(FIRST)
    before = (tmp_path / "chosen.json").stat().st_ino
    file.update(JOINS_NEWER)
    assert (tmp_path / "chosen.json").stat().st_ino == before


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (EXIT_OK, False),
        (EXIT_ABORTED, False),
        (1, True),
        (SettingsError.exit_code, True),
        (RefusedError.exit_code, True),
        (SeveralTrackersError.exit_code, False),
        (StateInUseError.exit_code, False),
        (RunnerUnusableError.exit_code, True),
    ],
)
def test_what_an_end_says_of_the_code(code: int, fault: bool) -> None:
    assert at_fault(code) is fault
