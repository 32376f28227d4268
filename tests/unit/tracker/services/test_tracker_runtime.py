"""Which runtime a board is offered, which versions work together, and what is said where they do not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tvm_farm.tracker.domain import Artifact, Runtime, RuntimeLibrary, RuntimeRequest
from tvm_farm.tracker.domain.compatibility import check_release, check_tvm
from tvm_farm.tracker.domain.errors import InvalidRequest, StateFolderUnusable, StoreFull, VersionMismatch
from tvm_farm.tracker.domain.runtime import LIBRARIES, TVM_FFI_VERSION, TVM_VERSION, glibc_of_tags, unfit
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.host_runtime import HostRuntime, find_host_runtime
from tvm_farm.tracker.services.runtimes import Runtimes

ROOT = Path(__file__).parents[4]
BOARD = RuntimeRequest("aarch64", "glibc 2.36")


def test_the_versions_are_those_that_the_project_installs() -> None:
    pinned = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r'"(apache-tvm==.*)"', pinned) == [f"apache-tvm=={TVM_VERSION}"]
    assert set(re.findall(r'"(apache-tvm-ffi==[^"]*)"', pinned)) == {f"apache-tvm-ffi=={TVM_FFI_VERSION}"}


@pytest.mark.parametrize(
    ("tags", "glibcs"),
    [
        (["manylinux_2_28_aarch64", "manylinux_2_27_aarch64"], {"aarch64": (2, 27)}),
        (["manylinux2014_x86_64"], {"x86_64": (2, 17)}),
        (["manylinux_2_5_x86_64", "manylinux1_x86_64"], {"x86_64": (2, 5)}),
        (["manylinux_2_9_x86_64", "manylinux_2_28_aarch64"], {"x86_64": (2, 9), "aarch64": (2, 28)}),
        (["any", "linux_aarch64", "musllinux_1_2_aarch64", "macosx_11_0_arm64", "win_amd64"], {}),
    ],
)
def test_what_a_wheel_needs(tags: list[str], glibcs: dict[str, tuple[int, int]]) -> None:
    assert glibc_of_tags(tags) == glibcs


@pytest.mark.parametrize(
    ("libc", "said"),
    [
        ("glibc 2.28", ""),
        ("glibc 2.36", ""),
        ("glibc 3.0", ""),
        ("glibc 2.9", "needs glibc 2.28 and this board has glibc 2.9: a newer system"),
        ("glibc 2.27", "needs glibc 2.28 and this board has glibc 2.27"),
        ("musl 1.2.5", "needs glibc and this board has musl 1.2.5"),
        ("", "needs glibc and this board has another C library"),
    ],
)
def test_a_board_needs_a_c_library_that_is_new_enough(libc: str, said: str) -> None:
    why = unfit(Runtime("aarch64", "glibc 2.28"), libc)
    assert said in why
    assert bool(why) == bool(said)


@pytest.mark.parametrize(
    ("agent", "tracker", "side"),
    [
        ("0.1.0", "0.1.0", ""),
        ("0.1.0", "0.2.3", ""),  # one minor version older
        ("0.3.0", "0.2.3", ""),
        ("0.1.0.dev3", "0.2.0rc1", ""),
        ("", "0.2.0", ""),
        ("0.1.9", "0.3.0", "agent"),
        ("0.4.0", "0.2.0", "tracker"),
        ("1.3.0", "2.3.0", "agent"),
        ("2.0.0", "1.9.0", "tracker"),
    ],
)
def test_releases_work_together_one_minor_version_apart(agent: str, tracker: str, side: str) -> None:
    if not side:
        check_release(agent, tracker)
        return
    with pytest.raises(VersionMismatch, match=f"agent is of release {agent} .* {tracker}, .*: upgrade the {side}$"):
        check_release(agent, tracker)


@pytest.mark.parametrize("version", ["", TVM_VERSION, "0.27.0", "0.27.0.post9"])
def test_tvm_of_the_same_release(version: str) -> None:
    check_tvm(version, "agent", "pi")


@pytest.mark.parametrize(
    ("side", "said"),
    [
        ("agent", r"the agent on pi has TVM 0\.26\.0 and this farm works with 0\.27\.0.*, or upgrade that agent"),
        ("worker", r"the worker on pi has TVM 0\.26\.0 .* apache-tvm-ffi==0\.1\.14\.post1` there$"),
    ],
)
def test_tvm_of_another_release(side: str, said: str) -> None:
    with pytest.raises(VersionMismatch, match=said):
        check_tvm("0.26.0", side, "pi")


class Host:
    """A tracker's state folder, and the packages of its host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installed: HostRuntime | None = None
        self.looked = 0
        self.restart()

    def restart(self) -> None:
        self.artifacts = ArtifactStore(self.folder / "artifacts")
        self.runtimes = Runtimes(self.artifacts, self.folder / "runtimes.jsonl", self.find)

    def find(self) -> HostRuntime | None:
        self.looked += 1
        return self.installed

    async def send(self, arch: str = "aarch64", libc: str = "glibc 2.28") -> Runtime:
        """A runtime whose libraries are on the tracker."""

        async def chunks(data: bytes) -> AsyncIterator[bytes]:
            yield data

        libraries = [
            RuntimeLibrary(library.name, await self.artifacts.put(chunks(f"{arch} {library.name}".encode())))
            for library in LIBRARIES
        ]
        return Runtime(arch, libc, TVM_VERSION, TVM_FFI_VERSION, tuple(libraries))

    def install(self, arch: str, libc: str = "glibc 2.27") -> None:
        files = {}
        for library in LIBRARIES:
            files[library.name] = self.folder / library.name
            files[library.name].write_text(f"installed {library.name}")
        self.installed = HostRuntime(arch, libc, files)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_an_added_runtime_is_offered_and_outlives_the_tracker(host: Host) -> None:
    kept = await host.runtimes.put(await host.send())
    assert kept.added_unix_s > 0
    host.restart()
    offer = await host.runtimes.offer(BOARD)
    assert offer.runtime == kept
    assert (offer.reason, offer.tvm_version) == ("", TVM_VERSION)
    assert await host.runtimes.all() == [kept]


async def test_one_architecture_has_one_runtime(host: Host) -> None:
    await host.runtimes.put(await host.send(libc="glibc 2.40"))
    await host.runtimes.put(await host.send("x86_64"))
    last = await host.runtimes.put(await host.send())
    assert (await host.runtimes.offer(BOARD)).runtime == last
    assert [runtime.arch for runtime in await host.runtimes.all()] == ["aarch64", "x86_64"]


@pytest.mark.parametrize(
    ("arch", "libc", "said"),
    [
        ("x86_64", "glibc 2.36", "this farm has no TVM runtime for x86_64: run `tracker runtime add x86_64`"),
        ("armv7l", "glibc 2.36", "TVM's runtime is not published for armv7l"),
        ("", "", "not published for a board that does not say what it is"),
        ("aarch64", "glibc 2.24", "needs glibc 2.28 and this board has glibc 2.24"),
    ],
)
async def test_a_board_without_runtime_is_told_why(host: Host, arch: str, libc: str, said: str) -> None:
    await host.runtimes.put(await host.send())
    offer = await host.runtimes.offer(RuntimeRequest(arch, libc))
    assert offer.runtime is None
    assert said in offer.reason
    assert offer.tvm_version == TVM_VERSION


async def test_the_hosts_own_runtime_needs_no_add(host: Host) -> None:
    host.install("aarch64")
    for _ in range(2):
        runtime = (await host.runtimes.offer(BOARD)).runtime
        assert runtime is not None
        assert (runtime.libc, runtime.added_unix_s) == ("glibc 2.27", 0.0)
        assert [each.name for each in runtime.libraries] == [library.name for library in LIBRARIES]
        for each in runtime.libraries:
            pieces = [piece async for piece in host.artifacts.get(each.artifact.digest)]
            assert b"".join(pieces) == f"installed {each.name}".encode()
    assert host.looked == 1
    added = await host.runtimes.put(await host.send())
    assert (await host.runtimes.offer(BOARD)).runtime == added


async def test_host_files_that_cannot_be_read_are_no_reason_to_refuse_boards(host: Host) -> None:
    host.install("aarch64")
    (host.folder / LIBRARIES[0].name).unlink()
    assert (await host.runtimes.offer(BOARD)).runtime is None
    host.install("aarch64")
    assert (await host.runtimes.offer(BOARD)).runtime is not None


def test_the_packages_of_this_host() -> None:
    found = find_host_runtime()
    assert found is not None  # the tracker's extra installs them, wherever these tests run
    assert list(found.files) == [library.name for library in LIBRARIES]
    assert all(path.is_file() for path in found.files.values())
    assert re.fullmatch(r"glibc 2\.\d+", found.libc)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arch": "armv7l"}, "TVM's runtime exists for aarch64 and x86_64"),
        ({"tvm_version": "0.26.0"}, r"is of apache-tvm 0\.26\.0 .*: add those"),
        ({"tvm_ffi_version": "0.1.15"}, r"apache-tvm-ffi 0\.1\.15; this farm works with"),
        ({"libc": "musl"}, "does not say which glibc it needs: 'musl'"),
        ({"libraries": ()}, r"is not libtvm_ffi\.so, libtvm_runtime\.so, libtvm_runtime_extra\.so"),
        (
            {"libraries": tuple(RuntimeLibrary(lib.name, Artifact("0" * 64, 1)) for lib in LIBRARIES)},
            r"libtvm_ffi\.so of the runtime for 'aarch64' was not sent before",
        ),
    ],
)
async def test_a_runtime_that_is_not_whole_changes_nothing(host: Host, change: dict[str, object], said: str) -> None:
    kept = await host.runtimes.put(await host.send())
    with pytest.raises(InvalidRequest, match=said):
        await host.runtimes.put(replace(kept, **change))  # type: ignore[arg-type]
    assert await host.runtimes.all() == [kept]


async def test_a_disk_without_room_changes_nothing(host: Host) -> None:
    kept = await host.runtimes.put(await host.send())
    (host.folder / "runtimes.new").mkdir()  # what is to be written cannot be
    with pytest.raises(StoreFull, match=r"runtimes\.jsonl cannot be written"):
        await host.runtimes.put(await host.send(libc="glibc 2.40"))
    assert await host.runtimes.all() == [kept]
    host.restart()
    assert await host.runtimes.all() == [kept]


async def test_a_runtime_of_a_release_before_is_not_offered(host: Host) -> None:
    await host.runtimes.put(await host.send())
    file = host.folder / "runtimes.jsonl"
    file.write_text(file.read_text().replace(TVM_VERSION, "0.26.0"))
    host.restart()
    assert "run `tracker runtime add aarch64`" in (await host.runtimes.offer(BOARD)).reason
    assert await host.runtimes.all() == []


@pytest.mark.parametrize("text", ["{", "[1]\n", '{"arch": 1, "libraries": 7}\n'])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "runtimes.jsonl").write_text(text)
    with pytest.raises(StateFolderUnusable, match=r"is damaged .*: remove it and add the runtimes again"):
        Host(tmp_path)
