"""A tuned package on disk: fetched whole or not at all, and read back with its digests checked."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_farm.protos import quantities
from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.client.asking.names import ARGUMENTS, Names
from tvm_farm.tracker.client.errors import BadInput, FarmError
from tvm_farm.tracker.client.packages.owned import (
    CLASSES,
    MANIFEST,
    Owner,
    inside,
    owned_files,
    owner_of,
    remove_files,
)
from tvm_farm.tracker.domain.job_result import PackageFile

__all__ = ["Package", "check_destination", "read_package", "write_package"]

INPUTS, ANSWERS = "inputs.npz", "answers.npz"
FORMAT = 1


def is_package(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def check_destination(folder: Path, force: bool, owner: Owner | None = None, names: Names = ARGUMENTS) -> None:
    """Raises BadInput where a package must not or cannot be written, before anything is spent on making it.

    ``owner``: whose package it is, where that of another model is not to be replaced.
    """
    try:
        _check_content(folder, force, owner, names)
        beside = folder.absolute()
        while not beside.exists():
            beside = beside.parent
        with tempfile.TemporaryDirectory(prefix=".tvm-farm-", dir=beside):
            pass  # only an attempt knows of read-only disks, quotas and the rights of a container's root
    except OSError as error:
        raise BadInput(f"Cannot write {folder} ({error.strerror}). {names.other_folder}.") from None
    except ValueError as error:  # a null byte
        raise BadInput(f"{str(folder)!r} names no folder ({error}). {names.other_folder}.") from None


def _check_content(folder: Path, force: bool, owner: Owner | None, names: Names) -> None:
    """Raises BadInput for what is there and must not be replaced; OSError, ValueError."""
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise BadInput(f"{folder} is a file; the package needs a folder. {names.other_folder}.")
        return
    mine = is_package(folder) or (folder / CLASSES).is_file()
    if any(folder.iterdir()) and not mine and not force:
        raise BadInput(f"{folder} is not empty and holds no package. {names.other_folder}, or {names.anyway}.")
    other = owner_of(folder)
    if owner and other and not other.same_as(owner) and not force:
        raise BadInput(f"{folder} holds the package of {_told(other, owner)}. {names.other_folder}, or {names.anyway}.")


def _told(there: Owner, new: Owner) -> str:
    if there.model != new.model:
        return there.model
    return f"another file of the name {there.model} (its sha256 is {there.digest[:12]}…, this one's {new.digest[:12]}…)"


def write_package(files: tuple[PackageFile, ...], folder: Path, fetch: Callable[[Artifact, Path], None]) -> None:
    """Fetch ``files`` and put them into ``folder``, made if need be; of a package that is there nothing remains, other
    files there stay.

    Everything is fetched into a temporary folder first: on any error ``folder`` is as it was.
    Raises FarmError.
    """
    if not files:
        raise FarmError("The package of this job is not kept here: another farm made it, and only its log was merged.")
    size = sum(file.content.size for file in files)
    made = not folder.exists()
    staging: Path | None = None
    try:
        if made:
            folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        # Beside its destination, never in /tmp: a rename must not cross file systems.
        place = folder.absolute().parent if made else folder
        staging = Path(tempfile.mkdtemp(prefix=".tvm-farm-", dir=place))
        whole = staging / "package"  # of mkdir's rights, as its own folder is for its maker alone
        whole.mkdir()
        for file in files:
            fetch(file.content, _inside(whole, file.name))
        if made:
            whole.rename(folder)
        else:
            # Without a manifest it is no package: a crash between two renames leaves none that lies.
            names = sorted((file.name for file in files), key=lambda name: name == MANIFEST)
            _check_room(folder, names)
            remove_files(folder, [MANIFEST, *(owned_files(folder) - {*names})])
            for name in names:
                target = _inside(folder, name)
                _inside(whole, name).replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"{reason}: the package takes {quantities.size(size)}"
        raise FarmError(f"Cannot write {folder} ({reason}).") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _check_room(folder: Path, names: Iterable[str]) -> None:
    """Raises FarmError where a folder has a file's place, and OSError where a file has a folder's: nothing is changed
    before.
    """
    for target in [_inside(folder, name) for name in names]:
        if target.is_dir() and not target.is_symlink():
            raise FarmError(
                f"{target} is a folder, and the package has a file there. Remove it, or name another place."
            )


def _inside(folder: Path, name: str) -> Path:
    """``name`` under ``folder``, its parents made. Raises FarmError for a name that would leave it."""
    if not inside(name):
        raise FarmError(
            f"The tracker names a package file {name!r}, which is outside the package. Nothing was written."
        )
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@dataclass(frozen=True)
class Package:
    """A package as its manifest describes it; ``library`` and ``params`` are files whose digests were right.

    ``inputs``, ``answers``: NPZ files with what it was judged on and what the judge answered; None where it has none.
    Of an operator ``kernels`` has the manifest's entries, and ``library`` is the first one's.
    """

    folder: Path
    manifest: dict[str, Any]
    library: Path
    params: Path | None
    kernels: tuple[dict[str, Any], ...] = ()
    inputs: Path | None = None
    answers: Path | None = None

    @property
    def model(self) -> str:
        return str(self.manifest["model"])


def _files_of(manifest: Mapping[str, Any]) -> list[str]:
    """All files that a manifest names in one place or another."""
    parts = [manifest, *manifest.get("kernels", ()), *manifest.get("variants", ())]
    return [part[key] for part in parts for key in ("library", "params", "module", "trace") if part.get(key)]


def _check_inside(folder: Path, name: object, digests: Mapping[str, str]) -> None:
    """Raises BadInput for a file that a package cannot have. Nothing is read before."""
    text = str(name)
    if not inside(text):
        raise BadInput(f"{folder / MANIFEST} names the file {name!r}, which is outside the package. Nothing was read.")
    if text not in digests:
        raise BadInput(f"{folder / MANIFEST} names the file {name!r} and not its digest. Fetch the package anew.")


def read_package(folder: Path, digest_of: Callable[[Path], tuple[str, int]]) -> Package:
    """The package in ``folder``. Raises BadInput when it is none, or is not as it was made."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder. Name one that `farm tune -o` or `farm compile -o` has written.")
    if not is_package(folder) and (folder / CLASSES).is_file():
        packages = ", ".join(sorted(str(path.parent) for path in folder.glob(f"*/{MANIFEST}")))
        raise BadInput(f"{folder} holds packages for several classes of device. Name one of them: {packages}.")
    if not is_package(folder):
        raise BadInput(f"{folder} holds no {MANIFEST}: it is not a package of `farm tune` or `farm compile`.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, digests = manifest["format"], manifest["digests"]
        if version != FORMAT:
            raise BadInput(f"{folder} is a package of format {version}; this command reads format {FORMAT}. Update it.")
        kernels = tuple(manifest["kernels"]) if manifest.get("kind") == "operator" else ()
        for name in (*digests, *_files_of(manifest)):
            _check_inside(folder, name, digests)
        for name, digest in digests.items():
            if digest_of(folder / name)[0] != digest:
                raise BadInput(
                    f"{folder / name} is not the file that was packaged (its sha256 differs). Fetch it anew."
                )
        library = folder / (kernels[0] if kernels else manifest)["library"]
        params = manifest.get("params")
        for key in ("model", "target", *(() if kernels else ("entry", "inputs", "outputs", "param_names"))):
            manifest[key]
        for kernel in kernels:
            _ = kernel["name"], kernel["entry"], kernel["library"], kernel["arguments"]
    except OSError as error:
        raise BadInput(f"Cannot read the package in {folder}: {error.filename}: {error.strerror}.") from error
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{folder / MANIFEST} is damaged ({type(error).__name__}: {error}). Fetch the package anew."
        ) from error
    inputs, answers = (folder / name if name in digests else None for name in (INPUTS, ANSWERS))
    return Package(folder, manifest, library, folder / params if params else None, kernels, inputs, answers)
