"""A farm whose boards are whole emulated machines: the tracker at one end of a cable, a switch at the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from emulation.machines import Machine, Snapshot, Switch
from tests.support.cable import Cable
from tests.support.waiting import wait_until
from tests.support.whole_farm import WholeFarm
from tracker.domain import Record

__all__ = ["SERVICE", "STATE", "PiFarm"]

SERVICE = "tvm-farm-agent"
#: The agent's folder on such a machine.
STATE = "/var/lib/tvm-farm/agent"


@dataclass
class PiFarm:
    """``with PiFarm.of(folder) as pis``: a farm, and a network that machines can be plugged into."""

    farm: WholeFarm
    cable: Cable
    switch: Switch
    folder: Path
    machines: list[Machine] = field(default_factory=list)

    @classmethod
    @contextmanager
    def of(cls, folder: Path, *agents: str) -> Iterator[PiFarm]:
        with Cable() as cable, cable.switch() as switch:
            farm = WholeFarm(folder, *agents, cable=cable)
            pis = cls(farm, cable, switch, folder)
            try:
                yield pis
            finally:
                for machine in pis.machines:
                    machine.__exit__(None, None, None)
                farm.close()

    def machine(self, source: Snapshot) -> Machine:
        """One more, not powered on yet; its power is cut at the end."""
        number = len(self.machines) + 1
        machine = Machine(source, self.folder / f"pi{number}", self.switch, number)
        self.machines.append(machine)
        return machine

    def journal(self, machine: Machine) -> str:
        """What the agent's service has said there."""
        return machine.shell(f"journalctl -u {SERVICE} --no-pager -o cat")

    def wait_for_full_mode(self, count: int = 1, timeout_s: float = 240) -> None:
        def full() -> bool:
            devices = self.farm.tracker.devices()
            return sum(not each.runner.full_mode_missing and each.state in (1, 2) for each in devices) == count

        wait_until(full, timeout_s, f"{count} boards in full mode")

    def searched(self, job_id: str) -> list[Record]:
        """The records of a job's search; fails where a trial was counted twice."""
        found = [record for record in self.farm.records(job_id=job_id) if record.engine == "ansor"]
        assert len({record.trial_id for record in found}) == len(found)
        return found
