"""How long a version on trial is waited for: the watching thread with a clock and a network of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tvm_farm.agent.upgrade import trial
from tvm_farm.agent.upgrade.choice import Choice, ChoiceFile, joined

LOOKS = int(trial._JOIN_WITHIN_S / trial._LOOK_EVERY_S)
DIGEST = "a" * 64
ON_TRIAL = Choice(
    DIGEST, "0.2.0", trial=True, starts=2, upgrade_id="u1", installed="0.1.0", trackers=("farm:1", "[::1]:2")
)


class Ended(Exception):
    """The thread became what is chosen, or the test has seen enough."""


def watch(folder: Path, monkeypatch: pytest.MonkeyPatch, answers: Iterator[bool]) -> Choice:
    """What is chosen when the tracker was asked for as often as ``answers`` says, or it went back."""
    choices = ChoiceFile(folder)
    choices.update(lambda _: ON_TRIAL)
    asked: list[str] = []

    def answer(address: str) -> bool:
        asked.append(address)
        if address == ON_TRIAL.trackers[0]:
            return False  # it has another way
        try:
            return next(answers)
        except StopIteration:
            raise Ended from None

    def restart() -> None:
        raise Ended

    monkeypatch.setattr(trial, "_answers", answer)
    monkeypatch.setattr(trial, "restart", restart)
    monkeypatch.setattr(trial.time, "sleep", lambda seconds: None)
    with pytest.raises(Ended):
        trial._watch(choices, DIGEST)
    assert set(asked) == set(ON_TRIAL.trackers)
    return choices.read()


def test_a_tracker_that_answers_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch(tmp_path, monkeypatch, iter([True] * (LOOKS - 1))) == ON_TRIAL
    after = watch(tmp_path, monkeypatch, iter([True] * LOOKS))
    assert after.failure == "it did not join within 300 s, though the tracker could be reached"
    assert (after.digest, after.failed_upgrade) == ("", "u1")


def test_a_tracker_that_is_away_for_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after = watch(tmp_path, monkeypatch, iter([False] * 100 * LOOKS))
    assert (after.digest, after.trial, after.starts) == (DIGEST, True, 0)


def test_a_link_that_flaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that it is there counts."""
    assert watch(tmp_path, monkeypatch, iter([True, False] * (LOOKS - 1))).trial
    assert not watch(tmp_path, monkeypatch, iter([True, False] * LOOKS)).trial


def test_one_that_joins_is_watched_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = ChoiceFile(tmp_path)
    choices.update(lambda _: joined(ON_TRIAL, DIGEST))
    monkeypatch.setattr(trial.time, "sleep", lambda seconds: None)
    trial._watch(choices, DIGEST)
    assert not choices.read().trial


def test_one_that_joined_is_watched_no_more_though_the_disk_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would fall by the first word that the disk takes again."""
    ChoiceFile(tmp_path).update(lambda _: ON_TRIAL)
    monkeypatch.setenv("TVMFARM_AGENT_JOINED", DIGEST)
    monkeypatch.setattr(trial, "_answers", lambda address: pytest.fail("it is watched"))
    monkeypatch.setattr(trial.time, "sleep", lambda seconds: None)
    trial._watch(ChoiceFile(tmp_path), DIGEST)


def test_nobody_answers_there() -> None:
    assert not trial._answers("127.0.0.1:1")
    assert not trial._answers("no address")
