"""Wheels of Apache TVM: fetched with pip, and the runtime's libraries taken out of them."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.tracker.client.errors import BadInput, FarmError
from tvm_farm.tracker.domain.runtime import LIBRARIES, TVM_FFI_VERSION, TVM_VERSION, glibc_of_tags

__all__ = ["PINNED", "Unpacked", "download", "unpack"]

#: Distribution -> the version whose libraries fit what this farm compiles.
PINNED = {"apache-tvm": TVM_VERSION, "apache-tvm-ffi": TVM_FFI_VERSION}

#: Their wheels bear this tag beside that of the glibc that they were found to need.
_PLATFORM = "manylinux_2_28"


@dataclass(frozen=True)
class Unpacked:
    """The libraries of LIBRARIES as files, in that order. ``libc``: the oldest they work with, as in a fingerprint."""

    libc: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Wheel:
    path: Path
    distribution: str
    version: str
    glibcs: Mapping[str, tuple[int, int]]  # by architecture


def download(arch: str, folder: Path) -> list[Path]:
    """The pinned wheels of ``arch`` in ``folder``, by pip, which shows its progress on standard error.

    Raises FarmError with what to do where there is no pip or it fails.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--platform", f"{_PLATFORM}_{arch}", "--dest", str(folder)]
    command += [f"{name}=={version}" for name, version in PINNED.items()]
    by_hand = "Give the two wheels where there is no index: " + " ".join(f"--wheel {name}-….whl" for name in _stems())
    if subprocess.run([sys.executable, "-c", "import pip"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise FarmError(f"{sys.executable} has no pip (`python -m ensurepip` installs it). {by_hand}")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False)
    if done.returncode != 0:
        raise FarmError(f"pip could not fetch the wheels for {arch}; what it wrote above says why. {by_hand}")
    return sorted(folder.glob("*.whl"))


def unpack(wheels: Sequence[Path], arch: str, folder: Path) -> Unpacked:
    """Take the libraries out of ``wheels`` into ``folder``. Raises BadInput for a wheel that is not the right one."""
    read = [_read(path) for path in wheels]
    by_name: dict[str, _Wheel] = {}
    for wheel in read:
        _check(wheel, arch)
        if wheel.distribution in by_name:
            raise BadInput(f"{by_name[wheel.distribution].path} and {wheel.path} are both {wheel.distribution}.")
        by_name[wheel.distribution] = wheel
    if missing := [f"{name}=={version}" for name, version in PINNED.items() if name not in by_name]:
        raise BadInput(f"The wheel of {' and that of '.join(missing)} is missing: the runtime is in the two together.")
    needs = max(wheel.glibcs[arch] for wheel in by_name.values())
    files = []
    for library in LIBRARIES:
        wheel, target = by_name[library.distribution], folder / library.name
        try:
            with zipfile.ZipFile(wheel.path) as archive, archive.open(library.path) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
        except KeyError:
            raise BadInput(f"{wheel.path} has no {library.path}: it is not the wheel that was published.") from None
        except zipfile.BadZipFile as error:
            raise BadInput(f"{wheel.path} is damaged ({error}): fetch it again.") from None
        files.append(target)
    return Unpacked(f"glibc {needs[0]}.{needs[1]}", tuple(files))


def _check(wheel: _Wheel, arch: str) -> None:
    pinned = PINNED.get(wheel.distribution)
    if pinned is None:
        raise BadInput(f"{wheel.path} is {wheel.distribution}: the runtime is in {' and '.join(PINNED)}.")
    if wheel.version != pinned:
        raise BadInput(
            f"{wheel.path} is {wheel.distribution} {wheel.version}, and this farm compiles with {pinned}: "
            f"fetch {wheel.distribution}=={pinned}."
        )
    if arch not in wheel.glibcs:
        of = f"is for {' and '.join(sorted(wheel.glibcs))}" if wheel.glibcs else "is for no Linux with glibc"
        raise BadInput(f"{wheel.path} {of}, not for {arch}.")


def _read(path: Path) -> _Wheel:
    """What a wheel says of itself, whatever its file is called. Raises BadInput."""
    try:
        with zipfile.ZipFile(path) as archive:
            [folder] = [n.partition("/")[0] for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
            about = email.message_from_bytes(archive.read(f"{folder}/METADATA"))
            tags = email.message_from_bytes(archive.read(f"{folder}/WHEEL")).get_all("Tag", [])
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadInput(f"{path} is not a wheel ({error}).") from None
    name = str(about["Name"]).lower().replace("_", "-")
    return _Wheel(path, name, str(about["Version"]), glibc_of_tags(str(tag).rpartition("-")[2] for tag in tags))


def _stems() -> list[str]:
    return [f"{name.replace('-', '_')}-{version}" for name, version in PINNED.items()]
