"""Options that several commands of ``agent`` have."""

from __future__ import annotations

from pathlib import Path

import click

from tvm_farm.agent.runner import FORMS
from tvm_farm.protos.address import parse_address

__all__ = ["cluster", "farm", "interface", "libc", "mode", "runtime", "state", "threads", "tracker", "via"]


def _address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


tracker = click.option(
    "--tracker", callback=_address, metavar="HOST:PORT", help="The tracker's address. Default: found by mDNS."
)
farm = click.option("--farm", default="", metavar="NAME", help="Which farm to join, where several are heard by mDNS.")
state = click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for this device's identity, its artifact cache and TVM's runtime; one agent each. "
    "Default: $XDG_STATE_HOME/tvm-farm/agent, or ~/.local/state/tvm-farm/agent; with --via one a device.",
)
runtime = click.option(
    "--runtime",
    "runtime_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder that holds libtvm_ffi.so and libtvm_runtime.so, with --via for the device. Default: this Python's "
    "packages where they are of the farm's version, else what the tracker sends; with --via none.",
)
mode = click.option(
    "--mode",
    type=click.Choice(["auto", "full", "micro"]),
    default="auto",
    show_default=True,
    help="full: kernels run with TVM's own runtime, whole models too. micro: with the runner alone, kernels only. "
    "auto: full where TVM's runtime is here or the tracker has it for this board.",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Threads a parallel kernel gets. Default: one a CPU that this process may use.",
)
cluster = click.option(
    "--cluster",
    default="",
    metavar="KIND",
    help="On a board of unlike cores, as big.LITTLE has, serve those of one kind alone: a72. Default: each kind is a "
    "device of its own, and one at a time executes.",
)
via = click.option(
    "--via",
    default="",
    metavar="WAY",
    help=f"Run kernels on a device behind this machine, which needs a shell and nothing else: {FORMS}. Default: this "
    "machine is the device.",
)
libc = click.option(
    "--libc",
    "libc_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="With --via, for a device that lacks glibc 2.28 or later, as Android and OpenWrt do: a folder with the one of "
    "its architecture, which is brought there. Debian's libc6-arm64-cross has it in /usr/aarch64-linux-gnu/lib.",
)
interface = click.option(
    "--mdns-interface",
    metavar="IP|NAME",
    help="Listen for mDNS only on the network interface with this address or name.",
)
