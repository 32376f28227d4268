"""Addresses and labels, which mean the same to the agent and to the command line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tvm_farm.agent.cli import main as agent
from tvm_farm.protos.address import grpc_target, is_interface, parse_address, split_address
from tvm_farm.protos.labels import parse_label, parse_labels
from tvm_farm.tracker.cli import farm


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("farm.local:7000", "farm.local:7000"),
        ("10.0.0.7", "10.0.0.7:9195"),
        (" farm ", "farm:9195"),
        ("[fe80::1%eth0]:80", "[fe80::1%eth0]:80"),
        ("[fe80::1%br-lan]", "[fe80::1%br-lan]:9195"),
        ("[::1]", "[::1]:9195"),
        ("lab:65535", "lab:65535"),
    ],
)
def test_an_address(text: str, address: str) -> None:
    assert parse_address(text) == address


def test_another_default_port() -> None:
    assert parse_address("farm", 80) == "farm:80"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://farm",
        "farm:",
        "farm:x",
        "farm:0",
        "farm:65536",
        "fe80::1",
        "a b",
        ":9195",
        "[::1%]",
        "[1:2]",
        "[lab]",
    ],
)
def test_not_an_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address.*HOST:PORT"):
        parse_address(text)


def test_an_interface_is_named_or_has_an_address() -> None:
    assert all(is_interface(text) for text in ("10.0.0.1", "::1", "fe80::1%eth0", "lo"))
    assert not any(is_interface(text) for text in ("nowhere0", "10.0.0", "10.0.0.1/24", ""))


@pytest.mark.parametrize(
    ("address", "parts", "target"),
    [
        ("lab:9195", ("lab", 9195), "lab:9195"),
        ("10.0.0.7:1", ("10.0.0.7", 1), "10.0.0.7:1"),
        ("[::1]:9195", ("::1", 9195), "ipv6:[::1]:9195"),
        ("[fe80::1%br-lan]:80", ("fe80::1%br-lan", 80), "ipv6:[fe80::1%25br-lan]:80"),
    ],
)
def test_what_python_and_grpc_make_of_an_address(address: str, parts: tuple[str, int], target: str) -> None:
    assert split_address(address) == parts
    assert grpc_target(address) == target


def test_labels() -> None:
    assert parse_labels(["rack=3", "tvm.dev/owner=ada", "empty=", " a = b "]) == {
        "rack": "3",
        "tvm.dev/owner": "ada",
        "empty": "",
        "a": "b",
    }


def test_a_device_class_is_a_value() -> None:
    name = "raspberry-pi-4-model-b-rev-1.4-4xcortex-a72-ondemand-full-4t-tvm0.27.0"
    assert parse_label(f"device_class={name}") == ("device_class", name)


@pytest.mark.parametrize("text", ["rack", "=3", "a b=1", "note=a=b", "x=" + "y" * 256, "y" * 64 + "=x", "a=-"])
def test_not_a_label(text: str) -> None:
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse_label(text)


def test_a_label_twice() -> None:
    with pytest.raises(ValueError, match="'rack' is given twice"):
        parse_labels(["rack=3", "rack=4"])


@pytest.mark.parametrize("label", ["rack", "a b=1"])
def test_agent_and_farm_refuse_the_same_label(label: str) -> None:
    for command, arguments in (
        (agent, ["start", "--label", label]),
        (farm, ["pools", "create", "p", "--selector", label]),
    ):
        refused = CliRunner().invoke(command, arguments)
        assert refused.exit_code == 2
        assert "is not a label" in refused.output
