"""The files of a distant device's /proc and /sys that the agent reads, as files here."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from tvm_farm.agent.board.fingerprint import System
from tvm_farm.agent.runner import DeviceAwayError
from tvm_farm.agent.runner.shell import ShellTransport

__all__ = ["DistantFiles"]

#: A reading takes the device some milliseconds, perhaps from a kernel that is being timed.
_READ_EVERY_S = 5.0
_ANSWER_WITHIN_S, _END_WITHIN_S = 20.0, 5.0

#: The files and patterns to copy. A pattern that fits nothing stays as it is, and names no file.
_FILES = """
/proc/cpuinfo /proc/meminfo /proc/stat /proc/loadavg /proc/self/status
/proc/device-tree/model /sys/firmware/devicetree/base/model
/sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name
/etc/os-release /usr/lib/os-release
/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_min_freq
/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq
/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor
/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq
/sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count
/sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp
/sys/class/hwmon/hwmon*/name /sys/class/hwmon/hwmon*/temp*_input /sys/class/hwmon/hwmon*/in0_lcrit_alarm
/sys/devices/platform/soc*/soc*:firmware/get_throttled
"""

#: The header of a program tells whether the device's programs are 32-bit on a 64-bit kernel.
_LOOK = """
for file in {files}; do
  [ -r "$file" ] && echo "{mark}$file" && cat "$file" 2>/dev/null && echo
done
echo "{mark}=uname"; uname -m; uname -n; uname -r
echo "{mark}=libc"
getconf GNU_LIBC_VERSION 2>/dev/null || (ls /system/bin/linker* >/dev/null 2>&1 && echo bionic) \
  || (ls /lib/ld-musl-* >/dev/null 2>&1 && echo musl)
echo "{mark}=program"; dd if=/proc/self/exe bs=20 count=1 2>/dev/null
echo; echo "{mark}=end"
"""

#: A script of the shell's own words: a process for each sensor would take more of the device than a kernel can spare.
_WATCH = """
while read -r go; do
  for file in {files}; do
    value=
    read -r value < "$file"
    [ -n "$value" ] && echo "$file $value"
  done 2>/dev/null
  while read -r key rest; do
    [ "$key" = MemAvailable: ] && echo "/proc/meminfo $key $rest" && break
  done < /proc/meminfo
  echo .
done
"""


class DistantFiles:
    """A copy of a device's files below ``root``, as far as a fingerprint and telemetry need them.

    ``look`` fills ``root`` once. ``watch`` renews the readings in place, so that whoever keeps a file open reads on:
    readings are ``_READ_EVERY_S`` old at most.
    """

    def __init__(self, transport: ShellTransport, root: Path) -> None:
        self._transport = transport
        self.root = root

    async def look(self) -> System:
        """Copy the files, and say what the files do not tell. Raises OSError, DeviceAwayError."""
        mark = f"--{secrets.token_hex(8)}--"
        answer = await self._transport.ask(_LOOK.format(files=" ".join(_FILES.split()), mark=mark))
        told: dict[str, bytes] = {}
        for part in answer.split(mark.encode())[1:]:
            head, _, content = part.partition(b"\n")
            told[head.decode()] = content[:-1]
        for name, content in told.items():
            if name.startswith("/") and ".." not in name:  # a device has no business anywhere else on this machine
                here = self._here(name)
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_bytes(content)
        try:
            machine, hostname, kernel = told["=uname"].decode().splitlines()[:3]
            is_64_bit = told["=program"][4:5] != b"\x01"  # EI_CLASS of an ELF header: elf(5)
            return System(machine, 64 if is_64_bit else 32, hostname, kernel, told["=libc"].decode().strip())
        except (KeyError, ValueError):
            raise OSError("its shell does not say what `uname` says") from None

    def affinity(self) -> list[int]:
        """The CPUs that a program there may use."""
        status = self._here("/proc/self/status").read_text(errors="replace")
        found = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
        cpus: list[int] = []
        for piece in found[1].split(",") if found else ():
            first, _, last = piece.partition("-")
            cpus += range(int(first), int(last or first) + 1)
        return cpus

    async def watch(self, files: Sequence[Path]) -> None:
        """Renew ``files``, which lie below ``root``, for ever.

        Raises DeviceAwayError once the device does not answer.
        """
        there = [str(PurePosixPath("/") / file.relative_to(self.root)) for file in files]
        there = [name for name in there if name != "/proc/meminfo"]
        process = await self._transport.start(_WATCH.format(files=shlex.join(there)))
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while True:
                process.stdin.write(b"go\n")
                await asyncio.wait_for(self._renew(process.stdout, {*there, "/proc/meminfo"}), _ANSWER_WITHIN_S)
                await asyncio.sleep(_READ_EVERY_S)
        except (asyncio.TimeoutError, ConnectionError):
            raise DeviceAwayError(f"{self._transport.name} does not answer any more") from None
        except OSError as error:  # this machine's disk
            raise DeviceAwayError(f"{self._transport.name}: {self.root} cannot be written: {error.strerror}") from error
        finally:
            process.stdin.close()  # which ends it there, and so here
            try:
                await asyncio.wait_for(process.wait(), _END_WITHIN_S)
            except asyncio.TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _renew(self, stream: asyncio.StreamReader, names: Collection[str]) -> None:
        while (line := (await stream.readline()).decode("utf-8", "replace")) != ".\n":
            if not line:
                raise ConnectionError
            name, _, value = line.partition(" ")
            if name in names:
                self._here(name).write_text(value)

    def _here(self, name: str) -> Path:
        return self.root / name.lstrip("/")
