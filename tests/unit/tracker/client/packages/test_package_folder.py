"""A package on disk: whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tvm_farm.tracker.client.artifacts import file_digest
from tvm_farm.tracker.client.errors import BadInput, FarmError
from tvm_farm.tracker.client.packages.owned import Owner, owned_files, owner_of
from tvm_farm.tracker.client.packages.package import check_destination, read_package, write_package
from tvm_farm.tracker.domain import Artifact, PackageFile

CONTENT = {"model.so": b"library", "params.bin": b"weights"}


def manifest(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "format": 1,
        "model": "squeezenet",
        "entry": "main",
        "library": "model.so",
        "params": "params.bin",
        "inputs": [{"name": "data", "shape": [1, 3], "dtype": "float32"}],
        "outputs": [{"name": "prob", "shape": [1, 9], "dtype": "float32"}],
        "param_names": ["w"],
        "target": "{}",
        "digests": {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()},
    }
    return json.dumps({**fields, **changes}).encode()


FILES = {**CONTENT, "manifest.json": manifest()}
NAMED = tuple(PackageFile(name, Artifact(hashlib.sha256(data).hexdigest(), len(data))) for name, data in FILES.items())


def fetch(content: Artifact, path: Path) -> None:
    path.write_bytes(next(data for data in FILES.values() if hashlib.sha256(data).hexdigest() == content.digest))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_folder_is_made_with_its_parents_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "squeezenet"
    write_package(NAMED, folder, fetch)
    assert contents(folder) == FILES
    assert list(folder.parent.iterdir()) == [folder]
    (other := tmp_path / "other").mkdir()
    assert folder.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize(("name", "made"), [("model.so", "model.so/mine.txt"), ("deep/model.so", "deep")])
def test_what_is_in_the_way_leaves_everything_as_it_was(tmp_path: Path, name: str, made: str) -> None:
    write_package(NAMED[1:], tmp_path, fetch)
    (tmp_path / made).parent.mkdir(exist_ok=True)
    (tmp_path / made).write_bytes(b"mine")
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(FarmError, match=r"model.so is a folder|Cannot write .*File exists"):
        write_package((PackageFile(name, NAMED[0].content), *NAMED[1:]), tmp_path, fetch)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert owner_of(tmp_path) == Owner("squeezenet")


def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (mine := tmp_path / "mine").mkdir()
    (package := tmp_path / "package").mkdir()
    (package / "model.so").symlink_to(mine)
    write_package(NAMED, package, fetch)
    assert contents(package) == FILES
    assert list(mine.iterdir()) == []


def test_an_older_package_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "model.so").write_bytes(b"old")
    (tmp_path / "manifest.json").write_bytes(b"{}")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    write_package(NAMED, tmp_path, fetch)
    assert contents(tmp_path) == {**FILES, "notes.txt": b"mine"}


def test_nothing_of_an_older_package_remains(tmp_path: Path) -> None:
    old = manifest(digests={"model.so": "0", "model-1.so": "0", "deep/inputs.npz": "0", "../mine.txt": "0"})
    package = tmp_path / "package"
    (package / "deep").mkdir(parents=True)
    (tmp_path / "mine.txt").write_bytes(b"mine")
    for name in ("model.so", "model-1.so", "deep/inputs.npz", "notes.txt"):
        (package / name).write_bytes(b"old")
    (package / "manifest.json").write_bytes(old)
    write_package(NAMED, package, fetch)
    assert contents(package) == {**FILES, "notes.txt": b"old"}
    assert (tmp_path / "mine.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("text", ["", "[]", '{"digests": 3}', '{"digests": {"": 0}}', '{"digests": {"/etc/x": 0}}'])
def test_a_manifest_that_is_none_owns_itself_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert owned_files(tmp_path) == {"manifest.json"}
    assert owner_of(tmp_path) is None


def test_the_classes_that_a_list_names_are_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pi4").mkdir()
    (tmp_path / "pi4" / "manifest.json").write_bytes(FILES["manifest.json"])
    entries = [{"folder": name} for name in ("pi4", "pi5", "..", "/etc", "a/b", 5, "")]
    (tmp_path / "classes.json").write_text(json.dumps({"model": "net", "classes": [*entries, "pi4"]}))
    names = {"manifest.json", "model.so", "params.bin"}
    assert owned_files(tmp_path) == {"classes.json", *(f"pi4/{name}" for name in names)}
    assert owner_of(tmp_path) == Owner("net")


@pytest.mark.parametrize(
    "before", [None, {"manifest.json": b"{}", "model.so": b"old"}], ids=["new", "over an older one"]
)
def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, before: dict[str, bytes] | None) -> None:
    folder = tmp_path / "package"
    for name, data in (before or {}).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)

    def full(content: Artifact, path: Path) -> None:
        if path.name == "params.bin":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fetch(content, path)

    with pytest.raises(FarmError, match=r"No space left on device: the package takes 462 B"):
        write_package(NAMED, folder, full)
    assert [path.name for path in tmp_path.iterdir()] == ([] if before is None else ["package"])
    assert before is None or contents(folder) == before


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", ""])
def test_a_file_name_cannot_leave_the_package(tmp_path: Path, name: str) -> None:
    with pytest.raises(FarmError, match="outside the package"):
        write_package((PackageFile(name, NAMED[0].content),), tmp_path / "package", fetch)
    assert list(tmp_path.iterdir()) == []


def test_destinations(tmp_path: Path) -> None:
    check_destination(tmp_path / "new" / "deeper", force=False)
    check_destination(tmp_path, force=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty and holds no package"):
        check_destination(tmp_path, force=False)
    check_destination(tmp_path, force=True)
    (tmp_path / "manifest.json").write_text("{}")
    check_destination(tmp_path, force=False)
    check_destination(tmp_path, False, Owner("squeezenet"))
    (tmp_path / "manifest.json").write_text('{"model": "squeezenet"}')
    check_destination(tmp_path, False, Owner("squeezenet"))
    with pytest.raises(BadInput, match=r"holds the package of squeezenet\. Name another folder, or say force=True"):
        check_destination(tmp_path, False, Owner("resnet50"))
    check_destination(tmp_path, True, Owner("resnet50"))
    for name in ("manifest.json", "classes.json"):
        (tmp_path / "manifest.json").unlink(missing_ok=True)
        (tmp_path / name).write_text('{"model": "model", "model_sha256": "0123456789abcdef"}')
        check_destination(tmp_path, False, Owner("model", "0123456789abcdef"))
        said = r"package of another file of the name model \(its sha256 is 0123456789ab…, this one's fedcba987654…\)"
        with pytest.raises(BadInput, match=said):
            check_destination(tmp_path, False, Owner("model", "fedcba9876543210"))
        check_destination(tmp_path, True, Owner("model", "fedcba9876543210"))
    with pytest.raises(BadInput, match="is a file"):
        check_destination(tmp_path / "notes.txt", force=True)
    with pytest.raises(BadInput, match="Cannot write"):
        check_destination(tmp_path / "notes.txt" / "package", force=False)


def test_a_package_is_read_back(tmp_path: Path) -> None:
    write_package(NAMED, tmp_path, fetch)
    package = read_package(tmp_path, file_digest)
    assert (package.model, package.library, package.params) == (
        "squeezenet",
        tmp_path / "model.so",
        tmp_path / "params.bin",
    )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("model.so", b"changed", "not the file that was packaged"),
        ("model.so", None, "No such file"),
        ("manifest.json", None, "holds no manifest.json"),
        ("manifest.json", b"{", "damaged"),
        ("manifest.json", b"[]", "damaged"),
        ("manifest.json", manifest(format=2), "format 2"),
        ("manifest.json", b'{"format": 1}', "damaged"),
        ("manifest.json", manifest(digests={"../x": "0"}), "outside the package"),
        ("manifest.json", manifest(library="other.so"), "names the file 'other.so' and not its digest"),
    ],
)
def test_what_is_no_package_is_refused_in_a_sentence(tmp_path: Path, name: str, data: bytes | None, said: str) -> None:
    write_package(NAMED, tmp_path, fetch)
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(FarmError, match=said):
        read_package(tmp_path, file_digest)


@pytest.mark.parametrize("outside", ["/etc/hostname", "../params.bin", "sub/../../x", "a\0b"])
@pytest.mark.parametrize(
    "named",
    [
        lambda name: {"digests": {name: "0"}},
        lambda name: {"library": name},
        lambda name: {"params": name},
        lambda name: {"variants": [{"library": name}]},
        lambda name: {
            "kind": "operator",
            "kernels": [{"name": "k", "entry": "main", "arguments": [], "library": name}],
        },
    ],
    ids=["digest", "library", "params", "variant", "kernel"],
)
def test_a_manifest_that_names_a_file_outside_is_refused_before_anything_is_read(
    tmp_path: Path, named: Callable[[str], dict[str, object]], outside: str
) -> None:
    write_package(NAMED, tmp_path, fetch)
    (tmp_path / "manifest.json").write_bytes(manifest(**named(outside)))
    read: list[Path] = []

    def digest_of(path: Path) -> tuple[str, int]:
        read.append(path)
        return file_digest(path)

    with pytest.raises(BadInput, match="which is outside the package"):
        read_package(tmp_path, digest_of)
    assert read == []
