"""What a person chose, checked: the options of ``agent start`` as values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import SettingsError
from agent.runner import SyntheticModel
from protos.address import is_ipv4

__all__ = ["RunnerKind", "RuntimeMode", "Settings", "default_state_dir"]

RunnerKind = str  # "native" | "synthetic": click.Choice has checked it
RuntimeMode = str  # "auto" | "full" | "micro"


@dataclass(frozen=True)
class Settings:
    """One agent's choices. ``tracker`` is host:port, "" means: find one by mDNS (of ``farm`` where it is named).

    ``threads`` 0: one a CPU. ``synthetic`` belongs to the synthetic runner, as ``runtime_dir``,
    ``mode`` and ``threads`` do to the native one. Raises SettingsError for an option that would
    have no effect.
    """

    state_dir: Path
    name: str = ""
    tracker: str = ""
    farm: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    runner: RunnerKind = "native"
    synthetic: SyntheticModel | None = None
    runtime_dir: Path | None = None
    mode: RuntimeMode = "auto"
    threads: int = 0
    prefetch: int = 2
    cache_bytes: int = 512 << 20
    metrics_port: int | None = None
    mdns_interface: str | None = None

    def __post_init__(self) -> None:
        if self.tracker and (self.farm or self.mdns_interface):
            raise SettingsError("--tracker names the tracker already: leave out --farm and --mdns-interface")
        if self.mdns_interface and not is_ipv4(self.mdns_interface):
            raise SettingsError(f"{self.mdns_interface!r} is not an IPv4 address of this board: see `ip -4 address`")
        if self.runner != "synthetic" and self.synthetic is not None:
            raise SettingsError("--synthetic-* options need --runner synthetic")
        if self.runner == "synthetic" and (self.runtime_dir or self.threads or self.mode != "auto"):
            raise SettingsError("the synthetic runner runs nothing: leave out --runtime, --mode and --threads")
        if self.mode == "micro" and self.runtime_dir:
            raise SettingsError("micro mode does without TVM's runtime: leave out --runtime")

    @property
    def takes_runtime(self) -> bool:
        """Whether TVM's runtime may come from the tracker: nobody chose another, or none."""
        return self.runner == "native" and self.mode != "micro" and self.runtime_dir is None

    @property
    def slots(self) -> int:
        """Trials held at once: the one running and those prefetched."""
        return 1 + self.prefetch

    @property
    def short_slots(self) -> int:
        """The same while they take milliseconds: what is fetched ahead covers the way to the tracker and back."""
        return 1 + 7 * self.prefetch


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_STATE_HOME/tvm-farm/agent``, by the XDG base directory specification."""
    base = environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "tvm-farm" / "agent"
