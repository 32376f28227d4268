"""What a person chose, checked: the options of ``agent start`` as values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tvm_farm.agent.errors import SettingsError
from tvm_farm.agent.runner import SyntheticModel, parse_via
from tvm_farm.protos.address import is_ipv4

__all__ = ["RunnerKind", "RuntimeMode", "Settings", "default_state_dir"]

RunnerKind = str  # "native" | "synthetic": click.Choice has checked it
RuntimeMode = str  # "auto" | "full" | "micro"


@dataclass(frozen=True)
class Settings:
    """One agent's choices. ``tracker`` is host:port, "" means: find one by mDNS (of ``farm`` where it is named).

    ``via`` names the device that executes kernels, "": this machine. ``name`` "": the device's host name.
    ``threads`` 0: one a CPU. ``cluster``: the kind of cores to serve alone, "": each kind is a device. ``libc_dir``
    belongs to ``via``. ``synthetic`` belongs to the synthetic runner, as ``runtime_dir``, ``mode`` and ``threads`` do
    to the native one. ``no_upgrade``: the installed agent runs and no other.
    Raises SettingsError for an option that would have no effect.
    """

    state_dir: Path
    name: str = ""
    tracker: str = ""
    farm: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    via: str = ""
    runner: RunnerKind = "native"
    synthetic: SyntheticModel | None = None
    runtime_dir: Path | None = None
    libc_dir: Path | None = None
    mode: RuntimeMode = "auto"
    threads: int = 0
    cluster: str = ""
    prefetch: int = 2
    cache_bytes: int = 512 << 20
    metrics_port: int | None = None
    mdns_interface: str | None = None
    no_upgrade: bool = False

    def __post_init__(self) -> None:
        if self.tracker and (self.farm or self.mdns_interface):
            raise SettingsError("--tracker names the tracker already: leave out --farm and --mdns-interface")
        if self.mdns_interface and not is_ipv4(self.mdns_interface):
            raise SettingsError(f"{self.mdns_interface!r} is not an IPv4 address of this board: see `ip -4 address`")
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
        """Whether TVM's runtime may come from the tracker: for this machine, where nobody chose another or none."""
        return self.runner == "native" and self.mode != "micro" and self.runtime_dir is None and not self.via

    @property
    def slots(self) -> int:
        """Trials held at once: the one running and those prefetched."""
        return 1 + self.prefetch

    @property
    def short_slots(self) -> int:
        """The same while they take milliseconds: what is fetched ahead covers the way to the tracker and back."""
        return 1 + 7 * self.prefetch


def default_state_dir(environ: Mapping[str, str] = os.environ, via: str = "") -> Path:
    """``$XDG_STATE_HOME/tvm-farm/agent``, by the XDG base directory specification; of a device behind this machine
    ``agent-`` and what names it, since each has an identity of its own."""
    base = environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    device = re.sub(r"[^\w.@]+", "-", via).strip("-")
    return root / "tvm-farm" / (f"agent-{device}" if via else "agent")
