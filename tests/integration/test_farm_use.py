"""``farm use``: the commands and scripts of a user talk to the farm that was chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.farm_command import farm
from tests.support.stand_in_farm import StandInFarm
from tvm_farm import Farm


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        yield control


def use(folder: Path, *arguments: str, code: int = 0) -> str:
    ended = farm("use", *arguments, XDG_CONFIG_HOME=str(folder))
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


def test_the_chosen_farm_is_talked_to(control: StandInFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no context" in use(tmp_path)
    assert f"Using lab: the tracker at {control.address}." in use(tmp_path, "--tracker", control.address, "lab")
    use(tmp_path, "--tracker", "127.0.0.1:1", "nowhere")
    use(tmp_path, "lab")
    assert json.loads(use(tmp_path, "--json"))["current"] == "lab"
    assert farm("jobs", XDG_CONFIG_HOME=str(tmp_path)).returncode == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for named in ((), ("lab",)):
        with Farm(*named) as client:
            assert client.address == control.address
    use(tmp_path, "nowhere")
    assert "; this one is of the context nowhere, see `farm use`." in farm("jobs", XDG_CONFIG_HOME=str(tmp_path)).stderr
    use(tmp_path, "lab")
    # Option and environment go before it.
    assert farm("jobs", "--tracker", "127.0.0.1:1", XDG_CONFIG_HOME=str(tmp_path)).returncode == 3
    assert farm("jobs", XDG_CONFIG_HOME=str(tmp_path), TVMFARM_TRACKER="127.0.0.1:1").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--delete", "lba"), "There is no context lba. Did you mean 'lab'?"),
        (("--delete",), "This needs the NAME of a context."),
        (("--delete", "--tracker", "lab", "lab"), "--delete and --none stand alone"),
        (("--tracker", "lab", "of mine"), "'of mine' cannot name a context"),
        (("--tracker", "http://lab", "lab"), "'http://lab' is not an address"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    use(tmp_path, "--tracker", "127.0.0.1:1", "lab")
    assert said in use(tmp_path, *arguments, code=2)
    use(tmp_path, "--delete", "lab")
    assert "There is no context" in use(tmp_path)
