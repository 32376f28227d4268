"""Which of a host's addresses mDNS uses, and in which order another host's are tried."""

from __future__ import annotations

import errno
import ipaddress

import pytest

from tvm_farm.protos.networks import OwnAddress, mdns_interfaces, nearest_first, own_addresses


def own(interface: str, address: str, **marks: bool) -> OwnAddress:
    return OwnAddress(interface, ipaddress.ip_interface(address), **marks)


LO = own("lo", "127.0.0.1/8", loopback=True, multicast=False)
LO6 = own("lo", "::1/128", loopback=True, multicast=False)
ETH = own("eth0", "192.168.50.2/24")
ETH_SECOND = own("eth0", "192.168.60.2/24")
ETH6 = own("eth0", "fd00:5::2/64")
ETH6_LINK = own("eth0", "fe80::2/64")
VPN = own("wg0", "10.8.0.2/24", multicast=False)
DOCKER = own("docker0", "172.17.0.1/16")
ALL = (ETH, ETH_SECOND, DOCKER, ETH6, ETH6_LINK, VPN, LO, LO6)


def test_an_address_of_a_link_has_its_interface() -> None:
    assert [each.host for each in (ETH, ETH6, ETH6_LINK)] == ["192.168.50.2", "fd00:5::2", "fe80::2%eth0"]


@pytest.mark.parametrize(
    ("chosen", "its", "listens"),
    [
        (None, ALL, ["192.168.50.2", "172.17.0.1", "fe80::2", "127.0.0.1"]),
        (None, (ETH6, LO, LO6), ["fd00:5::2", "127.0.0.1"]),
        (None, (LO, LO6), ["127.0.0.1"]),
        ("eth0", ALL, ["192.168.50.2", "fe80::2"]),
        ("192.168.60.2", ALL, ["192.168.60.2"]),
        ("fe80::2", ALL, ["fe80::2"]),
        ("fe80::2%eth0", ALL, ["fe80::2"]),
        ("wg0", ALL, ["10.8.0.2"]),
    ],
)
def test_one_address_of_each_kind_of_each_interface(
    chosen: str | None, its: tuple[OwnAddress, ...], listens: list[str]
) -> None:
    assert sorted(mdns_interfaces(chosen, its)) == sorted(listens)


@pytest.mark.parametrize(
    ("chosen", "its", "number"),
    [(None, (), errno.ENETDOWN), (None, (VPN, LO6), errno.ENETDOWN), ("eth9", ALL, errno.EADDRNOTAVAIL)],
)
def test_no_interface(chosen: str | None, its: tuple[OwnAddress, ...], number: int) -> None:
    with pytest.raises(OSError, match="no network interface") as raised:
        mdns_interfaces(chosen, its)
    assert raised.value.errno == number


@pytest.mark.parametrize(
    ("hosts", "tried"),
    [
        (["172.17.0.1", "192.168.50.1"], ["192.168.50.1", "172.17.0.1"]),
        (["10.1.2.3", "172.17.0.1"], ["10.1.2.3", "172.17.0.1"]),
        (["10.9.9.9", "fe80::1%eth0", "192.168.50.1"], ["192.168.50.1", "fe80::1%eth0", "10.9.9.9"]),
        (["2001:db8::1", "fd00:5::1"], ["fd00:5::1", "2001:db8::1"]),
        (["172.17.0.1", "192.168.50.2"], ["172.17.0.1", "192.168.50.2"]),
    ],
)
def test_those_of_our_networks_come_first_and_our_own_last(hosts: list[str], tried: list[str]) -> None:
    assert nearest_first(hosts, ALL) == tried


def test_another_system_than_linux_is_believed_what_it_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_farm.protos.networks.sys.platform", "darwin")
    found = own_addresses()
    assert "127.0.0.1" in [each.host for each in found if each.loopback]
    assert all(each.loopback == each.address.is_loopback and each.multicast for each in found)
