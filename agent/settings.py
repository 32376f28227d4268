"""The options of ``agent start`` as values, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tvm_farm.agent.errors import SettingsError
from tvm_farm.agent.runner import SyntheticModel, parse_via
from tvm_farm.protos.address import is_interface
from tvm_farm.protos.folders import own_folder
from tvm_farm.protos.names import parse_name

__all__ = ["RunnerKind", "RuntimeMode", "Settings", "default_state_dir"]

RunnerKind = str  # "native" | "synthetic": click.Choice has checked it
RuntimeMode = str  # "auto" | "full" | "micro"


@dataclass(frozen=True)
class Settings:
    """One agent's choices. Raises SettingsError for an option that would have no effect."""

    #: The folder of the agent's identity, its cache and TVM's runtime.
    state_dir: Path
    #: The device's name in the farm; "": its host name.
    name: str = ""
    #: The tracker's host:port; "": the tracker is found by mDNS.
    tracker: str = ""
    #: The farm to join among those that mDNS finds; "": whichever is heard.
    farm: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    #: The device behind this machine that executes kernels; "": this machine.
    via: str = ""
    runner: RunnerKind = "native"
    #: The model of the synthetic runner; None: its own.
    synthetic: SyntheticModel | None = None
    #: The folder of TVM's runtime, for the native runner; None: what is installed here, or what the tracker sends.
    runtime_dir: Path | None = None
    #: The folder of a C library for the device behind this machine; None: the device's own.
    libc_dir: Path | None = None
    #: The mode of the native runner.
    mode: RuntimeMode = "auto"
    #: Threads that a parallel kernel of the native runner gets; 0: one for each CPU.
    threads: int = 0
    #: The kind of cores to serve alone; "": each kind is a device.
    cluster: str = ""
    #: Trials to hold beside the one running.
    prefetch: int = 2
    #: Room for artifacts on the disk.
    cache_bytes: int = 512 << 20
    #: The port of Prometheus metrics, 0: any; None: no metrics.
    metrics_port: int | None = None
    #: The interface to listen on for mDNS, by its name or by an address of it; None: all.
    mdns_interface: str | None = None
    #: The installed agent runs, and none that the farm sends.
    no_upgrade: bool = False

    def __post_init__(self) -> None:
        if self.name:
            try:
                parse_name(self.name, "a device")
            except ValueError as error:
                raise SettingsError(f"--name: {error}") from error
        if self.tracker and (self.farm or self.mdns_interface):
            raise SettingsError("--tracker names the tracker already: leave out --farm and --mdns-interface")
        if self.mdns_interface and not is_interface(self.mdns_interface):
            raise SettingsError(
                f"{self.mdns_interface!r} is no IP address and no network interface of this board: see `ip address`"
            )
        if self.runner != "synthetic" and self.synthetic is not None:
            raise SettingsError("--synthetic-* options need --runner synthetic")
        if self.runner == "synthetic" and (self.runtime_dir or self.threads or self.mode != "auto"):
            raise SettingsError("the synthetic runner runs nothing: leave out --runtime, --mode and --threads")
        if self.via:
            self._check_via()
        elif self.libc_dir:
            raise SettingsError("--libc is for a device behind this machine: leave it out, or name one with --via")
        if self.mode == "micro" and self.runtime_dir:
            raise SettingsError("micro mode does without TVM's runtime: leave out --runtime")

    def _check_via(self) -> None:
        try:
            parse_via(self.via)
        except ValueError as error:
            raise SettingsError(f"--via: {error}") from error
        if self.runner == "synthetic":
            raise SettingsError("the synthetic runner needs no device: leave out --via")
        if self.mode == "full" and self.runtime_dir is None:
            raise SettingsError("full mode with --via needs the device's runtime: name its folder with --runtime DIR")

    @property
    def takes_runtime(self) -> bool:
        """Whether TVM's runtime may come from the tracker: for this machine, where nobody chose a runtime or none."""
        return self.runner == "native" and self.mode != "micro" and self.runtime_dir is None and not self.via

    @property
    def slots(self) -> int:
        """Trials held at once: the running trial and those prefetched."""
        return 1 + self.prefetch

    @property
    def short_slots(self) -> int:
        """``slots`` while trials take milliseconds: those fetched ahead cover the way to the tracker and back."""
        return 1 + 7 * self.prefetch


def default_state_dir(environ: Mapping[str, str] = os.environ, via: str = "") -> Path:
    """The state folder where nobody names one: ``$XDG_STATE_HOME/tvm-farm/agent``, by the XDG base directory
    specification.

    A device behind this machine has an identity of its own, and so a folder: ``agent-`` and what names the device.
    Raises SettingsError for a user without a home folder.
    """
    try:
        root = own_folder("XDG_STATE_HOME", ".local/state", environ)
    except FileNotFoundError as error:
        raise SettingsError(f"name a folder for the agent's state with --state: {error.strerror}") from None
    device = re.sub(r"[^\w.@]+", "-", via).strip("-")
    return root / "tvm-farm" / (f"agent-{device}" if via else "agent")
