"""Files of real boards under a temporary root: /proc, /sys and /etc as the agent reads them.

Sources, shortened to the fields in question:
  Raspberry Pi 4, 32-bit image   wiki.osdev.org/Raspberry_Pi_4; clocks: raspberrypi.com, processors, BCM2711
  ROC-RK3399-PC                  github.com/hrw/arm-socs-table issue 5; clocks: rk3399-opp.dtsi of Linux
  Milk-V Mars (riscv64)          github.com/fastfetch-cli/fastfetch issue 1529
  an AMD EPYC virtual machine    read on one
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["MARS", "RASPBERRY_PI_4", "ROC_RK3399", "X86_SERVER", "grow", "two_of_an_rk3399"]


def grow(root: Path, files: Mapping[str, str]) -> Path:
    """Write ``files`` (path under ``root`` -> text); the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _cpufreq(cpus: range, least: int, most: int, now: int, governor: str) -> dict[str, str]:
    files = {}
    for cpu in cpus:
        freq = f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        files |= {
            f"{freq}/cpuinfo_min_freq": f"{least}\n",
            f"{freq}/cpuinfo_max_freq": f"{most}\n",
            f"{freq}/scaling_cur_freq": f"{now}\n",
            f"{freq}/scaling_governor": f"{governor}\n",
        }
    return files


_PI_CPU = """\
processor\t: {}
model name\t: ARMv7 Processor rev 3 (v7l)
BogoMIPS\t: 108.00
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32
CPU implementer\t: 0x41
CPU architecture: 7
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""

RASPBERRY_PI_4 = {
    "proc/cpuinfo": "".join(_PI_CPU.format(cpu) for cpu in range(4))
    + "Hardware\t: BCM2711\nRevision\t: c03114\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:        3884368 kB\nMemFree:         3000000 kB\nMemAvailable:    3500000 kB\n",
    "proc/loadavg": "0.52 0.58 0.59 1/189 4242\n",
    "proc/stat": "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 25 0 25 175 25 0 0 0 0 0\n",
    "etc/os-release": 'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nNAME="Raspbian GNU/Linux"\n',
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "61342\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
    **_cpufreq(range(4), 600000, 1500000, 1000000, "ondemand"),
}

_ROCK_CPU = """\
processor       : {}
BogoMIPS        : 48.00
Features        : fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer : 0x41
CPU architecture: 8
CPU variant     : 0x0
CPU part        : {}
CPU revision    : 4

"""

ROC_RK3399 = {
    "proc/cpuinfo": "".join(_ROCK_CPU.format(cpu, "0xd03" if cpu < 4 else "0xd08") for cpu in range(6)),
    "proc/device-tree/model": "Firefly ROC-RK3399-PC Board\0",
    "proc/meminfo": "MemTotal:        3919684 kB\nMemAvailable:    3600000 kB\n",
    "usr/lib/os-release": "NAME=Armbian\nPRETTY_NAME='Armbian 24.2 bookworm'\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48333\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "90000\n",
    **_cpufreq(range(4), 408000, 1416000, 408000, "schedutil"),
    **_cpufreq(range(4, 6), 408000, 1800000, 1800000, "performance"),
}


def two_of_an_rk3399(little: int, big: int) -> dict[str, str]:
    """An RK3399 with one core of each kind, of these numbers."""
    files = {name: text for name, text in ROC_RK3399.items() if "cpufreq" not in name}
    files["proc/cpuinfo"] = _ROCK_CPU.format(little, "0xd03") + _ROCK_CPU.format(big, "0xd08")
    files |= _cpufreq(range(little, little + 1), 408000, 1416000, 408000, "performance")
    return files | _cpufreq(range(big, big + 1), 408000, 1800000, 1800000, "performance")


_MARS_CPU = """\
processor       : {}
hart            : {}
isa             : rv64imafdc_zicntr_zicsr_zifencei_zihpm_zca_zcd_zba_zbb
mmu             : sv39
uarch           : sifive,u74-mc
mvendorid       : 0x489
marchid         : 0x8000000000000007
mimpid          : 0x4210427
hart isa        : rv64imafdc_zicntr_zicsr_zifencei_zihpm_zca_zcd_zba_zbb

"""

MARS = {"proc/cpuinfo": "".join(_MARS_CPU.format(cpu, hart) for cpu, hart in enumerate((2, 1, 3, 4)))}

_X86_CPU = """\
processor\t: {}
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
cpu MHz\t\t: 2596.136
flags\t\t: fpu sse2 avx2 fma avx512f
bugs\t\t: sysret_ss_attrs null_seg
power management:

"""

X86_SERVER = {
    "proc/cpuinfo": "".join(_X86_CPU.format(cpu) for cpu in range(2)),
    "proc/meminfo": "MemTotal:       24684096 kB\n",
    "sys/class/dmi/id/sys_vendor": "Supermicro\n",
    "sys/class/dmi/id/product_name": "AS -1114S-WN10RT\n",
    "sys/class/hwmon/hwmon0/name": "k10temp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "54750\n",
    "sys/class/hwmon/hwmon0/temp3_input": "47000\n",
    "sys/class/hwmon/hwmon1/name": "nvme\n",
    "sys/class/hwmon/hwmon1/temp1_input": "81000\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "7\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "2\n",
}
