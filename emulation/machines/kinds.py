"""The machines that can be emulated whole, and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One machine as QEMU knows it, with the Debian on its card.

    In ``qemu`` the words ``{card}``, ``{console}`` and ``{commands}`` stand for files of the machine at hand: its disk,
    what its console says, and the socket by which commands reach it without a network.
    """

    name: str
    #: For a person.
    title: str
    #: Debian's name of the architecture of the programs on its card.
    userland: str
    qemu: tuple[str, ...]
    #: The kernel's command line.
    append: str
    #: QEMU's device for its network.
    network: Mapping[str, str]
    #: A file below Debian's device trees, with what is not emulated taken out; "" where QEMU has its own.
    device_tree: str = ""
    #: What ``fdtput`` changes in it, ``{file}``.
    changes: tuple[tuple[str, ...], ...] = ()
    #: Modules of the kernel that are to find the card.
    card_modules: tuple[str, ...] = ()
    #: Those that its own devices need, loaded at each boot.
    modules: tuple[str, ...] = ()
    #: Those that fail where QEMU has no such part, after seconds or with a crash.
    without: tuple[str, ...] = ()


_SD = "/soc/mmc@7e300000"

_RPI3 = Kind(
    "rpi3",
    "Raspberry Pi 3 Model B with 64-bit Debian",
    "arm64",
    (
        *("-M", "raspi3b"),
        *("-drive", "file={card},if=sd,format=qcow2"),
        *("-serial", "unix:{commands},server=on,wait=off"),
        *("-chardev", "file,id=console,path={console},append=on", "-serial", "chardev:console"),
    ),
    "console=ttyS1,115200 rw quiet",
    {"driver": "usb-net"},
    "broadcom/bcm2837-rpi-3-b.dtb",
    (
        # Bluetooth has the serial port that takes commands here, as `dtoverlay=disable-bt` gives it back on a board.
        ("-t", "s", "{file}", "/soc/serial@7e201000/bluetooth", "status", "disabled"),
        # QEMU forgets in a snapshot that the card was moved to the faster controller: it stays where a reset puts it.
        ("-t", "s", "{file}", "/soc/mmc@7e202000", "status", "disabled"),
        ("-d", "{file}", _SD, "pinctrl-0", "pinctrl-names", "mmc-pwrseq"),
        ("-r", "{file}", f"{_SD}/wifi@1"),
    ),
    ("bcm2835-dma", "sdhci-iproc"),
    ("dwc2", "cdc_ether", "bcm2835_thermal", "raspberrypi_hwmon"),
    ("vchiq", "vc4", "v3d", "snd_bcm2835", "brcmfmac", "bluetooth", "raspberrypi_cpufreq"),
)

_VIRT = Kind(
    "virt",
    "generic arm64 machine with Debian",
    "arm64",
    (
        *("-M", "virt", "-cpu", "cortex-a72", "-smp", "4", "-m", "1G"),
        *("-drive", "file={card},if=virtio,format=qcow2"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", "socket,id=commands,path={commands},server=on,wait=off"),
        *("-device", "virtserialport,chardev=commands,name=org.qemu.guest_agent.0"),
        *("-chardev", "file,id=console,path={console},append=on", "-serial", "chardev:console"),
        *("-device", "pcie-root-port,id=wire-port"),  # a network can be plugged in there while it runs
    ),
    "console=ttyAMA0 rw quiet",
    {"driver": "virtio-net-pci", "bus": "wire-port", "romfile": ""},
    card_modules=("virtio_pci", "virtio_blk"),
    modules=("virtio_console", "virtio_net"),
)

#: By name.
KINDS = {
    kind.name: kind
    for kind in (
        _RPI3,
        # 64-bit kernel, 32-bit programs: as Raspberry Pi OS is in its 32-bit edition.
        replace(_RPI3, name="rpi3-32", title="Raspberry Pi 3 Model B with 32-bit Debian", userland="armhf"),
        _VIRT,
    )
}
