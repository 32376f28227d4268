"""Names of ARM cores by what the register MIDR_EL1 says.

Sources: Linux arch/arm64/include/asm/cputype.h and util-linux sys-utils/lscpu-arm.c.
"""

from __future__ import annotations

__all__ = ["core_name", "nameless"]

_IMPLEMENTERS = {
    0x41: "ARM",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "APM",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x56: "Marvell",
    0x61: "Apple",
    0x6D: "Microsoft",
    0x70: "Phytium",
    0xC0: "Ampere",
}

_CORES = {
    (0x41, 0xB76): "ARM1176",
    (0x41, 0xC05): "Cortex-A5",
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xC08): "Cortex-A8",
    (0x41, 0xC09): "Cortex-A9",
    (0x41, 0xC0D): "Cortex-A17",
    (0x41, 0xC0E): "Cortex-A17",
    (0x41, 0xC0F): "Cortex-A15",
    (0x41, 0xD01): "Cortex-A32",
    (0x41, 0xD02): "Cortex-A34",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD06): "Cortex-A65",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD0E): "Cortex-A76AE",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4A): "Neoverse-E1",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4C): "Cortex-X1C",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4E): "Cortex-X3",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD82): "Cortex-X4",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD85): "Cortex-X925",
    (0x41, 0xD87): "Cortex-A725",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x42, 0x516): "ThunderX2",
    (0x43, 0x0A1): "ThunderX",
    (0x43, 0x0AF): "ThunderX2",
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "TSV110",
    (0x4E, 0x000): "Denver",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
    (0x50, 0x000): "X-Gene",
    (0x51, 0x06F): "Krait",
    (0x51, 0x201): "Kryo",
    (0x51, 0x205): "Kryo",
    (0x51, 0x211): "Kryo",
    (0x51, 0x800): "Kryo-2XX-Gold",
    (0x51, 0x801): "Kryo-2XX-Silver",
    (0x51, 0x802): "Kryo-3XX-Gold",
    (0x51, 0x803): "Kryo-3XX-Silver",
    (0x51, 0x804): "Kryo-4XX-Gold",
    (0x51, 0x805): "Kryo-4XX-Silver",
    (0x51, 0xC00): "Falkor",
    (0x51, 0xC01): "Saphira",
    (0x51, 0x001): "Oryon",
    (0x56, 0x131): "Feroceon-88FR131",
    (0x56, 0x581): "PJ4",
    (0x56, 0x584): "PJ4B-MP",
    (0x61, 0x020): "Icestorm-A14",
    (0x61, 0x021): "Firestorm-A14",
    (0x61, 0x022): "Icestorm-M1",
    (0x61, 0x023): "Firestorm-M1",
    (0x61, 0x024): "Icestorm-M1-Pro",
    (0x61, 0x025): "Firestorm-M1-Pro",
    (0x61, 0x028): "Icestorm-M1-Max",
    (0x61, 0x029): "Firestorm-M1-Max",
    (0x61, 0x030): "Blizzard-A15",
    (0x61, 0x031): "Avalanche-A15",
    (0x61, 0x032): "Blizzard-M2",
    (0x61, 0x033): "Avalanche-M2",
    (0x61, 0x034): "Blizzard-M2-Pro",
    (0x61, 0x035): "Avalanche-M2-Pro",
    (0x61, 0x038): "Blizzard-M2-Max",
    (0x61, 0x039): "Avalanche-M2-Max",
    (0x61, 0x048): "Sawtooth-M3-Max",
    (0x61, 0x049): "Everest-M3-Max",
    (0x6D, 0xD49): "Azure-Cobalt-100",
    (0x70, 0x663): "FTC663",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}


def core_name(implementer: str, part: str) -> str:
    """A core's name by its MIDR fields as /proc/cpuinfo writes them ("0x41", "0xd08").

    A name may stand for several parts ("Kryo"). Cores of other makes than the table knows: see ``nameless``.
    """
    try:
        maker, number = int(implementer, 16), int(part, 16)
    except ValueError:
        return ""
    return _CORES.get((maker, number)) or nameless(implementer, part)


def nameless(implementer: str, part: str) -> str:
    """What a core is called that the table does not know: "ARM part 0xfff". Fields as for ``core_name``."""
    try:
        maker = int(implementer, 16)
    except ValueError:
        return ""
    return f"{_IMPLEMENTERS.get(maker, implementer)} part {part}"
