"""What things may be called, and where a name is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tvm_farm.agent.cli import main as agent
from tvm_farm.protos.labels import parse_label
from tvm_farm.protos.names import nearest_name, parse_given_name, parse_line, parse_name
from tvm_farm.tracker.cli import farm, tracker


@pytest.mark.parametrize("name", ["a", "pi-3", "rpi4.lab_2", "7", "x" * 63])
def test_names(name: str) -> None:
    assert parse_name(name, "a pool") == name
    assert nearest_name(name, "device") == name
    assert parse_label(f"name={name}") == ("name", name)  # a pool can select the device


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("", "device"),
        ("-pi", "pi"),
        ("pi-", "pi"),
        ("my pi", "my-pi"),
        ("a\tb\x1b[31m", "a-b-31m"),
        ("root@router.local:22", "root-router.local-22"),
        ("küche", "k-che"),
        ("\u202eip", "ip"),
        ("...", "device"),
        ("x" * 64, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
    ],
)
def test_what_is_no_name_is_told_and_the_nearest_one_is_made(text: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=r"cannot name a pool: give 1 to 63 letters") as refused:
        parse_name(text, "a pool")
    assert str(refused.value).isprintable()
    assert nearest_name(text, "device") == nearest
    parse_name(nearest, "a device")


@pytest.mark.parametrize("text", ["", "ada", "LAB\\ada", "ada@lab", "Ada Lovelace", "résumé (1)"])
def test_names_that_were_given_elsewhere(text: str) -> None:
    assert parse_given_name(text, "a user's name") == text


@pytest.mark.parametrize("text", ["-ada", "a\nb", "a\x1b[2J", " ada", "ada ", "x" * 201])
def test_what_would_spoil_a_line_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="a user's name") as refused:
        parse_given_name(text, "a user's name")
    assert str(refused.value).isprintable()
    assert parse_line("- new fan", "a reason") == "- new fan"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (agent, ["start", "--name", "my pi"]),
        (agent, ["install-service", "--print", "--name", "my pi"]),
        (farm, ["pools", "create", "my pi", "--selector", "rack=3"]),
        (tracker, ["start", "--farm", "my pi"]),
    ],
)
def test_commands_refuse_it_before_anything_is_done(command: object, arguments: list[str], tmp_path: Path) -> None:
    options = ["--state", str(tmp_path / "state")] if "start" in arguments else []
    refused = CliRunner().invoke(command, [*arguments, *options])  # type: ignore[arg-type]
    assert refused.exit_code in (1, 2)
    assert "'my pi' cannot name" in refused.output
    assert list(tmp_path.iterdir()) == []
