"""Where a tracker keeps its state."""

from __future__ import annotations

import click
import pytest

from tvm_farm.tracker.cli.server.start import default_state


def test_a_user_without_a_home_names_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    with pytest.raises(click.UsageError, match="no home folder: name one for the tracker with --state"):
        default_state()
