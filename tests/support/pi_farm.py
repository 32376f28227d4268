"""A farm whose boards are whole emulated machines: the tracker at one end of a cable, a switch at the other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from emulation.machines import Machine, Snapshot, Switch, missing_for_machines
from tests.support.cable import MISSING as NO_CABLE
from tests.support.cable import Cable
from tests.support.networks import small_network
from tests.support.waiting import wait_until
from tests.support.whole_farm import WholeFarm
from tvm_farm.tracker.domain import Job, JobState, Record

__all__ = ["MISSING", "SERVICE", "STATE", "PiFarm", "Tuning"]

#: Why there can be none here, "" where there can.
MISSING = str(missing_for_machines()) or NO_CABLE

SERVICE = "tvm-farm-agent"
#: The agent's folder on such a machine.
STATE = "/var/lib/tvm-farm/agent"


@dataclass(frozen=True)
class Tuning:
    """A ``farm tune`` that runs. ``with`` ends it, whatever happens."""

    pis: PiFarm
    name: str
    trials: int
    process: subprocess.Popen[str]

    def __enter__(self) -> Tuning:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.process.kill()
        self.process.communicate()

    def job(self) -> Job | None:
        jobs = [job for job in self.pis.farm.jobs() if job.spec.model_name == self.name]
        return jobs[0] if jobs else None

    def wait_for_trials(self, count: int, timeout_s: float = 300) -> None:
        def measured() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            job = self.job()
            return job is not None and job.trials >= count

        wait_until(measured, f"{count} trials of {self.name}", timeout_s)

    def finish(self, timeout_s: float = 500) -> str:
        """What it printed. Fails unless the job is done, each trial was counted once, and its answers are right."""
        out, err = self.process.communicate(timeout=timeout_s)
        assert self.process.returncode == 0, out + err + self.pis.farm.worker_log()
        assert "every output equal to what ONNX Runtime" in " ".join(out.split())
        job = self.job()
        assert job is not None
        assert (job.state, job.trials) == (JobState.DONE, self.trials)
        assert len(self.pis.searched(job.id)) == self.trials
        return out


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

        wait_until(full, f"{count} boards in full mode", timeout_s)

    def tune(self, name: str, trials: int, seed: int) -> Tuning:
        """Begin to tune a small network of that name, once a board is there; ``finish`` waits for its end."""
        wait_until(self.farm.tracker.devices, "a board that joins", 300)
        (self.farm.folder / f"{name}.onnx").write_bytes(small_network(seed=seed, channels=16, size=28))
        options = ["--pool", "arm64", "--trials", str(trials), "-o", f"{name}-tuned"]
        return Tuning(self, name, trials, self.farm.start_farm("tune", f"{name}.onnx", *options))

    def searched(self, job_id: str) -> list[Record]:
        """The records of a job's search; fails where a trial was counted twice."""
        found = [record for record in self.farm.records(job_id=job_id) if record.engine == "ansor"]
        assert len({record.trial_id for record in found}) == len(found)
        return found
