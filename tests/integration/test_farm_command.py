"""``farm`` as a process against a tracker whose jobs the test moves: what a person sees and what a script gets."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import grpc
import pytest
from click.testing import CliRunner

from tests.support.farm_command import FarmTerminal, farm
from tests.support.onnx_like import onnx_like
from tests.support.stand_in_farm import StandInFarm
from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.tracker.cli import farm as farm_group
from tvm_farm.tracker.cli import tracker
from tvm_farm.tracker.cli.terminal.connection import Connection
from tvm_farm.tracker.client.errors import FarmError, TrackerFull
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.domain import (
    Artifact,
    Device,
    DeviceState,
    Job,
    JobKind,
    JobResult,
    JobSpec,
    JobState,
    Measurement,
    Outcome,
    Pool,
    ProgramKind,
    Record,
    Task,
    TaskResult,
    TimingPlan,
)

LIBRARY = b"library" * 300_000  # three chunks
#: As runtime.SaveParamsToFile writes them: w0 of float32 (2, 3) and w1, a scalar of int64.
PARAMS = (
    struct.pack("<QQQ", 0xF7E58D4F05049CB7, 0, 2)
    + struct.pack("<Q2sQ2s", 2, b"w0", 2, b"w1")
    + struct.pack("<Q", 2)
    + struct.pack("<QQiiiBBH2qQ24s", 0xDD5E40F096B4A13F, 0, 1, 0, 2, 2, 32, 1, 2, 3, 24, b"")
    + struct.pack("<QQiiiBBHQ8s", 0xDD5E40F096B4A13F, 0, 1, 0, 0, 0, 64, 1, 8, b"")
)
CLOSING = "squeezenet: 241 ms -> 12.1 ms (19.9x), outputs equal (max |diff| 3e-07)"

JOB = "squeezenet-ab2cde"
SPEC = JobSpec(JobKind.TUNE, "squeezenet", Artifact("ab" * 32, 1), "arm64", max_trials=64)


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        board = Fingerprint(
            arch="aarch64",
            board_model="Raspberry Pi 4 Model B Rev 1.4",
            hostname="pi3",
            clusters=(CpuCluster((0, 1, 2, 3), "0x41", "0xd08", "Cortex-A72", 600_000, 1_500_000, "ondemand"),),
            memory_bytes=4 << 30,
        )
        device = Device(
            "0123abcd",
            "rpi4-3",
            board,
            RunnerInfo(RunnerMode.FULL, 1, "0.27.0", "0.1.14", 4, ("llvm",)),
            labels={"room": "cold"},
            pools=("arm64",),
            device_class="rpi4",
            target='{"kind":"llvm","mcpu":"cortex-a72"}',
            target_origin="CPU part 0xd08 is Cortex-A72",
            state=DeviceState.IDLE,
            last_heard_unix_s=time.time(),
            telemetry=Telemetry(time.time(), temperature_c=61.4, throttling=("under-voltage",)),
        )
        control.devices = [
            device,
            replace(device, id="0199ffff", name="rpi4-7", state=DeviceState.LOST, telemetry=None),
        ]
        control.pools = [Pool("arm64", {"arch": "arm64"}, True, ("rpi4-3", "rpi4-7"), 1)]
        yield control


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "squeezenet.onnx"
    path.write_bytes(onnx_like(2_800_000))
    return path


def manifest() -> bytes:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in (("model.so", LIBRARY), ("params.bin", PARAMS))}
    fields = {
        "format": 1,
        "model": "squeezenet",
        "entry": "main",
        "library": "model.so",
        "params": "params.bin",
        "inputs": [{"name": "data", "shape": [1, 3, 224, 224], "dtype": "float32"}],
        "outputs": [{"name": "prob", "shape": [1, 1000], "dtype": "float32"}],
        "param_names": ["w0", "w1"],
        "target": "{}",
        "device_class": "rpi4",
        "digests": digests,
        "latency": {"untuned_s": 0.2413, "tuned_s": 0.0121, "device": "rpi4-3"},
    }
    return json.dumps(fields).encode()


def running(job: Job, **changes: object) -> Job:
    tasks = (Task(f"{job.id}/0", "fused_conv2d_add_relu", "w0", 2, 1e9, 40, 3, 0.1, 0.005),)
    started = replace(job, state=JobState.RUNNING, phase="tuning", tasks=tasks, trials=40, devices=1, tuned_for_s=20.0)
    return replace(started, **changes)  # type: ignore[arg-type]


def done(control: StandInFarm, job: Job, **changes: object) -> Job:
    files = tuple(
        control.put_file(name, data)
        for name, data in (("model.so", LIBRARY), ("params.bin", PARAMS), ("manifest.json", manifest()))
    )
    tasks = (TaskResult("fused_conv2d_add_relu", 2, 1e9, 40, 0.1, 0.005),)
    result = JobResult(files, tasks, 0.2413, 0.0121, 3.1e-7, 1e-4, 1e-5, True, "rpi4-3")
    return replace(job, state=JobState.DONE, result=replace(result, **changes))  # type: ignore[arg-type]


def tune(control: StandInFarm, model: Path, *options: str) -> list[str]:
    return ["tune", str(model), "--pool", "arm64", "--tracker", control.address, *options]


def test_a_tune_is_watched_to_its_end_and_its_package_is_fetched(control: StandInFarm, model: Path) -> None:
    options = ["--budget", "2m", "--shape", "data=1,3,224,224", "--seed", "7", "--priority", "-1"]
    command = tune(control, model, *options)
    with FarmTerminal(*command, cwd=model.parent) as terminal:
        job = control.await_job()
        control.put_job(running(job))
        terminal.await_text(r"fused_conv2d_add_relu +2 +40 +3 +5\.00 ms")
        terminal.await_text(r"estimated model latency 10\.0 ms")
        terminal.await_text(r"40 trials \(3 failed\) · 1m \d\ds left · 1 device 0 % busy")
        control.put_job(done(control, running(job)))
        assert terminal.await_exit() == 0
        assert terminal.text.rstrip().splitlines()[-1] == CLOSING
    [(_, spec)] = control.submitted
    assert (spec.model_name, spec.budget_s, spec.max_trials, spec.seed) == ("squeezenet", 120.0, 0, 7)
    assert (spec.priority, spec.user) == (-1, getpass.getuser())
    assert spec.shapes[0].dims == (1, 3, 224, 224)
    assert control.artifacts[spec.model.digest] == model.read_bytes()
    folder = model.parent / "squeezenet-tuned"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "model.so": LIBRARY,
        "params.bin": PARAMS,
        "manifest.json": manifest(),
    }


def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(control: StandInFarm, model: Path) -> None:
    with FarmTerminal(*tune(control, model, "--trials", "64"), cwd=model.parent) as terminal:
        job = control.await_job()
        control.put_job(running(job))
        terminal.await_text("fused_conv2d_add_relu")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
        terminal.await_text(f"farm jobs watch {job.id} -o squeezenet-tuned\n")
        terminal.await_text(f"farm jobs cancel {job.id}")
    assert farm("jobs", "show", job.id, "--tracker", control.address).returncode == 0
    with FarmTerminal(
        "jobs", "watch", job.id, "-o", "later", "--tracker", control.address, cwd=model.parent
    ) as terminal:
        terminal.await_text("fused_conv2d_add_relu")
        control.put_job(done(control, running(job)))
        assert terminal.await_exit() == 0
        assert terminal.text.rstrip().splitlines()[-1] == CLOSING
    assert (model.parent / "later" / "model.so").read_bytes() == LIBRARY


@pytest.mark.parametrize(
    ("options", "named"), [(["-o", "my folder"], "-o 'my folder'"), (["-o", "x", "--force"], "-o x --force")]
)
def test_who_comes_back_is_told_where_the_package_goes(
    control: StandInFarm, model: Path, options: list[str], named: str
) -> None:
    with FarmTerminal(*tune(control, model, *options), cwd=model.parent) as terminal:
        job = control.await_job()
        terminal.await_text("waiting for a worker|queued")
        terminal.send(signal.SIGTERM)
        assert terminal.await_exit() == 130
        terminal.await_text(f"farm jobs watch {job.id} {named}\n")


def test_another_file_of_the_same_name_does_not_replace_the_package(control: StandInFarm, model: Path) -> None:
    """By any command that writes one; and nothing of the package that is replaced remains."""
    folder = model.parent / "squeezenet-tuned"
    other = model.parent / "other" / model.name
    other.parent.mkdir()
    other.write_bytes(onnx_like(50))
    assert farm(*tune(control, other, "--detach")).returncode == 0
    job = done(control, running(control.await_job()))
    control.put_job(job)
    folder.mkdir()
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    told = {**json.loads(manifest()), "model_sha256": digest, "digests": {"model-1.so": "0"}}
    before = {"manifest.json": json.dumps(told).encode(), "model-1.so": b"a smaller shape", "notes.txt": b"mine"}
    for name, data in before.items():
        (folder / name).write_bytes(data)
    watch = ["jobs", "watch", job.id, "-o", folder.name, "--tracker", control.address]
    commands = [tune(control, other), ["compile", *tune(control, other)[1:]], watch, ["jobs", "resume", *watch[2:]]]
    for command in commands:
        refused = farm(*command, cwd=model.parent)
        assert refused.returncode == 2, refused.stderr
        said = (
            f"squeezenet-tuned holds the package of another file of the name squeezenet (its sha256 is {digest[:12]}…"
        )
        assert said in refused.stderr
        assert refused.stderr.endswith("Name another folder with -o, or add --force.\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(control.submitted) == 1
    forced = farm(*watch, "--force", cwd=model.parent)
    assert forced.returncode == 0, forced.stderr
    assert {path.name for path in folder.iterdir()} == {"model.so", "params.bin", "manifest.json", "notes.txt"}


def test_a_tracker_that_restarts_is_waited_for(control: StandInFarm, model: Path) -> None:
    with FarmTerminal(*tune(control, model), cwd=model.parent) as terminal:
        job = control.await_job()
        control.put_job(running(job))
        terminal.await_text("fused_conv2d_add_relu")
        control.stop()
        terminal.await_text("does not answer: waiting")
        with StandInFarm(control.port) as restarted:
            restarted.put_job(running(job, trials=41))
            terminal.await_text("The tracker is back")
            terminal.await_text("41 trials")
            restarted.put_job(done(restarted, running(job)))
            assert terminal.await_exit() == 0
            assert terminal.text.rstrip().splitlines()[-1] == CLOSING


def test_a_connection_lost_while_submitting_is_tried_again(control: StandInFarm, model: Path) -> None:
    lost = [(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")]
    control.failures = {"PutArtifact": [*lost], "SubmitJob": [*lost]}
    submitted = farm(*tune(control, model, "--detach"))
    assert submitted.returncode == 0, submitted.stderr
    assert len(control.submitted) == 1
    control.failures = {"PutArtifact": lost * 2}
    assert farm(*tune(control, model, "--detach")).returncode == 3


@pytest.mark.parametrize("content", [b"hello\n", b"", b"PK\x03\x04 cut off"], ids=["text", "nothing", "cut archive"])
def test_what_is_no_model_makes_no_job(control: StandInFarm, model: Path, content: bytes) -> None:
    model.write_bytes(content)
    for command in (tune(control, model), ["check", str(model), "--tracker", control.address]):
        refused = farm(*command)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert str(model) in refused.stderr
    assert (control.submitted, control.artifacts) == ([], {})


def test_a_board_that_is_not_there_yet_is_waited_for(control: StandInFarm, model: Path) -> None:
    none = (grpc.StatusCode.ABORTED, "no device of the pool 'arm64' can take work: pi is lost")
    control.failures = {"SubmitJob": [none] * 3}
    refused = farm(*tune(control, model, "--detach"))
    assert (refused.returncode, refused.stderr) == (
        4, "Error: No device of the pool 'arm64' can take work: pi is lost. Wait for one with --wait.\n",
    )  # fmt: skip
    control.devices = []
    over = farm(*tune(control, model, "--detach", "--wait", "1s"))
    assert (over.returncode, "Waited 1s." in over.stderr) == (4, True)
    assert control.submitted == []
    control.devices = [
        Device("d", "pi", Fingerprint(), RunnerInfo(RunnerMode.FULL), pools=("arm64",), state=DeviceState.IDLE)
    ]
    waited = farm(*tune(control, model, "--detach", "--wait"))
    assert waited.returncode == 0, waited.stderr
    assert "Waiting for a board. No device of the pool 'arm64' can take work: pi is lost." in waited.stderr
    assert len(control.submitted) == 1


def test_a_full_tracker_is_an_error_of_its_own(control: StandInFarm, model: Path) -> None:
    full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "the disk of this tracker is full")
    large = (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5 vs. 4)")
    control.failures = {"PutArtifact": [full, large]}
    with Farm(control.address) as client:
        with pytest.raises(TrackerFull, match=r"^The disk of this tracker is full\.$"):
            client.artifacts.put(model)
        with pytest.raises(FarmError, match="larger than max") as refused:  # waiting would not help
            client.artifacts.put(model)
        assert not isinstance(refused.value, TrackerFull)
        client.artifacts.put(model)


def test_detached_and_json(control: StandInFarm, model: Path) -> None:
    submitted = farm(*tune(control, model, "--detach", "--json", "--trials", "9"))
    assert submitted.returncode == 0, submitted.stderr
    job_id = json.loads(submitted.stdout)["id"]
    control.put_job(done(control, running(control.await_job())))
    watched = farm("jobs", "watch", job_id[:4], "--json", "--tracker", control.address)
    assert watched.returncode == 0, watched.stderr
    job = json.loads(watched.stdout)
    assert (job["state"], job["spec"]["kind"], job["result"]["tuned_s"]) == ("done", "tune", 0.0121)
    assert farm(*tune(control, model, "--detach", "-o", "x")).returncode == 2


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        (
            {"state": JobState.FAILED, "error": "conv9: the operator Foo is not supported.", "input_error": True},
            2,
            "Foo",
        ),
        ({"state": JobState.FAILED, "error": "The worker died three times."}, 1, "The worker died three times."),
        ({"state": JobState.FAILED}, 1, "failed without saying why"),
        ({"state": JobState.CANCELLED}, 1, "was cancelled"),
    ],
    ids=["bad model", "farm's fault", "no reason", "cancelled"],
)
def test_a_job_that_fails_is_one_sentence_and_an_exit_code(
    control: StandInFarm, model: Path, changes: dict[str, object], code: int, said: str
) -> None:
    detached = farm(*tune(control, model, "--detach"))
    job = control.await_job()
    assert job.id in detached.stdout
    control.put_job(running(job, **changes))
    watched = farm("jobs", "watch", job.id, "-o", "package", "--tracker", control.address, cwd=model.parent)
    assert watched.returncode == code
    assert said in watched.stderr
    assert not (model.parent / "package").exists()


def test_outputs_that_differ_fail_the_command_and_keep_the_package(control: StandInFarm, model: Path) -> None:
    assert farm(*tune(control, model, "--detach")).returncode == 0
    job = control.await_job()
    control.put_job(done(control, running(job), outputs_equal=False, max_abs_diff=0.25))
    watched = farm("jobs", "watch", job.id, "-o", "package", "--tracker", control.address, cwd=model.parent)
    assert watched.returncode == 1
    assert watched.stdout.splitlines()[-1].endswith("outputs DIFFER (max |diff| 2e-01)")
    assert (model.parent / "package" / "model.so").exists()


def test_a_package_that_arrives_damaged_is_not_kept(control: StandInFarm, model: Path) -> None:
    assert farm(*tune(control, model, "--detach")).returncode == 0
    job = done(control, running(control.await_job()))
    control.put_job(job)
    assert job.result is not None
    control.artifacts[job.result.files[0].content.digest] = b"something else"
    watched = farm("jobs", "watch", job.id, "-o", "package", "--tracker", control.address, cwd=model.parent)
    assert watched.returncode == 1
    assert "model.so arrived damaged" in watched.stderr
    assert f"farm jobs watch {job.id} -o DIR" in watched.stderr
    assert [path.name for path in model.parent.iterdir()] == [model.name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system to fill needs the right to mount one")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    control: StandInFarm, model: Path, small_disk: Path
) -> None:
    assert farm(*tune(control, model, "--detach")).returncode == 0
    job = control.await_job()
    control.put_job(done(control, running(job)))
    for folder in (small_disk, small_disk / "package"):
        watched = farm("jobs", "watch", job.id, "-o", str(folder), "--tracker", control.address)
        assert watched.returncode == 1
        assert "No space left on device: the package takes 2.00 MiB" in watched.stderr
        assert f"farm jobs watch {job.id} -o DIR" in watched.stderr
        assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(
    ("prepare", "arguments", "said"),
    [
        (None, ["tune", "none.onnx", "--pool", "p"], "There is no file none.onnx"),
        (None, ["tune", ".", "--pool", "p"], "is a folder"),
        ("empty.onnx", ["tune", "empty.onnx", "--pool", "p"], "is empty"),
        ("m.onnx", ["tune", "m.onnx"], "Missing option '--pool'"),
        ("torn.onnx", ["tune", "torn.onnx", "--pool", "p"], "torn.onnx is damaged, or no model that the farm takes"),
        ("m.onnx", ["tune", "m.onnx", "--pool", "p", "--budget", "30"], "'30' is not a duration"),
        ("m.onnx", ["tune", "m.onnx", "--pool", "p", "--trials", "0"], "0 is not in 1.."),
        ("m.onnx", ["tune", "m.onnx", "--pool", "p", "--shape", "data"], "is not a shape"),
        ("m.onnx", ["compile", "m.onnx", "--pool", "p", "--shape", "a=1", "--shape", "a=2"], "names a twice"),
        ("m.onnx", ["tune", "m.onnx", "--pool", "p", "-o", "."], "is not empty and holds no package"),
        ("m.onnx", ["tune", "m.onnx", "--pool", "p", "-o", "m.onnx"], "is a file"),
        ("m.onnx", ["bench", ".", "--pool", "p"], "holds no manifest.json"),
        (None, ["jobs", "watch", "x", "--force"], "needs -o DIR"),
        (None, ["records", "query", "--outcome", "sad"], "there is no outcome 'sad'"),
        (None, ["pools", "create", "p", "--selector", "a=1", "--selector", "a=2"], "one label twice"),
        (None, ["devices", "--tracker", "http://x"], "is not an address"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked_of_the_farm(
    tmp_path: Path, prepare: str | None, arguments: list[str], said: str
) -> None:
    if prepare:
        (tmp_path / prepare).write_bytes({"empty": b"", "torn": b"onnx" * 4}.get(prepare[:-5], onnx_like(16)))
    # The address leads nowhere: an answer other than 3 shows that nothing was asked.
    refused = farm(*arguments, cwd=tmp_path, TVMFARM_TRACKER="127.0.0.1:9")
    assert refused.returncode == 2, refused.stderr
    assert said in refused.stderr.replace("\n", " ")
    assert "Traceback" not in refused.stderr


def test_an_unreachable_tracker_is_named_with_what_to_do() -> None:
    for environment, arguments in (({}, ["--tracker", "127.0.0.1:9"]), ({"TVMFARM_TRACKER": "127.0.0.1:9"}, [])):
        lost = farm("devices", *arguments, **environment)
        assert lost.returncode == 3
        assert "127.0.0.1:9" in lost.stderr
        assert "connection refused" in lost.stderr
        assert "tracker start" in lost.stderr


def test_an_option_beats_the_environment_and_works_before_and_after_the_command(control: StandInFarm) -> None:
    elsewhere = {"TVMFARM_TRACKER": "127.0.0.1:9"}
    assert farm("--tracker", control.address, "devices", **elsewhere).returncode == 0
    assert farm("devices", "--tracker", control.address, **elsewhere).returncode == 0
    wrong = farm("devices", "--tracker", control.address, "--farm", "lab")
    assert (wrong.returncode, "is the farm stand-in, not lab" in wrong.stderr) == (2, True)


def test_tracker_status_finds_its_tracker_as_farm_does(control: StandInFarm) -> None:
    asked = CliRunner().invoke(tracker, ["status", "--json"], env={"TVMFARM_TRACKER": control.address})
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.output)["farm"] == "stand-in"


def test_an_empty_variable_is_none() -> None:
    names = ("TVMFARM_TRACKER", "TVMFARM_FARM", "TVMFARM_MDNS_INTERFACE")
    outer = Connection.of_environment(dict.fromkeys(names, ""))
    assert Connection("lab").over(outer) == Connection("lab", None, None)


@pytest.mark.parametrize("command", [farm_group, tracker], ids=["farm", "tracker"])
def test_an_interface_that_is_no_address_is_refused(command: click.Group) -> None:
    refused = CliRunner().invoke(command, ["status", "--mdns-interface", "foo"])
    assert (refused.exit_code, "'foo' is no IP address and no interface of this host" in refused.output) == (2, True)


def test_another_protocol_version_is_refused_with_the_side_to_update(control: StandInFarm) -> None:
    control.protocol_version += 1
    refused = farm("status", "--tracker", control.address)
    assert refused.returncode == 1
    assert "Update this program" in refused.stderr


def test_listings_for_people_and_for_programs(control: StandInFarm) -> None:
    env = {"TVMFARM_TRACKER": control.address}
    listed = farm("devices", **env)
    assert "rpi4-3" in listed.stdout
    assert "Raspberry Pi 4 Model B Rev 1.4" in listed.stdout
    assert "61 °C" in listed.stdout
    devices = json.loads(farm("devices", "--json", **env).stdout)
    assert [(d["name"], d["state"], d["runner"]["mode"]) for d in devices] == [
        ("rpi4-3", "idle", "full"),
        ("rpi4-7", "lost", "full"),
    ]
    assert json.loads(farm("pools", "list", "--json", **env).stdout)[0]["selector"] == {"arch": "arm64"}
    assert json.loads(farm("status", "--json", **env).stdout)["farm"] == "stand-in"
    assert json.loads(farm("jobs", "--json", **env).stdout) == []
    assert json.loads(farm("records", "query", "--json", **env).stdout) == []


def test_a_device_is_shown_whole_by_the_start_of_its_name_or_id(control: StandInFarm) -> None:
    env = {"TVMFARM_TRACKER": control.address}
    for name in ("rpi4-3", "0123"):
        shown = farm("devices", "show", name, **env).stdout
        for fact in (
            "Cortex-A72, 0.60-1.50 GHz, governor ondemand",
            "CPU part 0xd08",
            "throttled: under-voltage",
            "room=cold",
        ):
            assert fact in shown
    for name, said in (
        ("rpi4", "may be any of rpi4-3, rpi4-7"),
        ("pi5", "There is no device pi5. The farm has: rpi4-3, rpi4-7"),
    ):
        refused = farm("devices", "show", name, **env)
        assert (refused.returncode, said in refused.stderr) == (2, True)


def test_times_are_told_by_the_trackers_clock(control: StandInFarm) -> None:
    """That of the desk may be another."""
    env = {"TVMFARM_TRACKER": control.address}
    control.ahead_s = 214 * 86400.0
    heard_s = time.time() + control.ahead_s - 40
    control.devices = [replace(each, last_heard_unix_s=heard_s) for each in control.devices]
    assert len(re.findall(r"\b[4-9]\ds ago", farm("devices", **env).stdout)) == 2
    assert re.search(r"idle, heard [4-9]\ds ago", farm("devices", "show", "rpi4-3", **env).stdout)


def test_records_are_queried_with_every_filter_and_streamed_as_one_array(control: StandInFarm) -> None:
    measurement = Measurement("t1", Outcome.CRASH, "signal SIGSEGV", 11, device_name="rpi4-3", device_class="rpi4")
    record = Record("t1", JOB, f"{JOB}/0", "ab" * 16, "fused_conv2d", "{}", "ansor", "[]", measurement, TimingPlan())
    fast = replace(
        measurement, trial_id="t2", outcome=Outcome.OK, run_secs=(0.003, 0.001, 0.004, 0.002), cut_short=True
    )
    control.records = [record, replace(record, trial_id="t2", measurement=fast)]
    control.put_job(running(Job(JOB, SPEC)))
    env = {"TVMFARM_TRACKER": control.address}
    options = "--job squeeze --task squeezenet-ab2c/0 --workload abab --name conv --pool arm64 --device 0123"
    before_s = time.time()
    queried = farm(
        "records", "query", *options.split(), "--device-class", "rpi4", "--target", "{}", "--engine", "ansor",
        "--outcome", "crash", "--since", "1h", "--limit", "9", "--oldest-first", "--json", **env,
    )  # fmt: skip
    assert [r["measurement"]["outcome"] for r in json.loads(queried.stdout)] == ["crash", "ok"]
    [wanted] = control.filters
    assert before_s - 3600 <= wanted.since_unix_s <= time.time() - 3600
    assert (wanted.job_id, wanted.task_id, wanted.workload, wanted.workload_name) == (JOB, f"{JOB}/0", "abab", "conv")
    assert (wanted.pool, wanted.device, wanted.device_class, wanted.target) == ("arm64", "0123abcd", "rpi4", "{}")
    assert (wanted.engine, wanted.outcome, wanted.limit, wanted.newest_first) == ("ansor", Outcome.CRASH, 9, False)
    table = farm("records", "best", **env).stdout
    assert "2.50 ms" in table  # the median by which the tracker ranks
    assert "fused_conv2d" in table
    assert table.count("ok, cut short") == 1


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--job", "resnet", "There is no job resnet"),
        ("--task", "resnet/0", "There is no job resnet"),
        ("--task", "squeeze/7", f"There is no task {JOB}/7: job {JOB} has 1 task."),
        ("--task", "7", "7 is not a task: write JOB/NUMBER"),
        ("--device", "pi5", "There is no device pi5. The farm has: rpi4-3, rpi4-7"),
        ("--device", "rpi4", "rpi4 may be any of rpi4-3, rpi4-7"),
    ],
)
def test_records_of_what_does_not_exist_are_bad_input(control: StandInFarm, option: str, value: str, said: str) -> None:
    control.put_job(running(Job(JOB, SPEC)))
    refused = farm("records", "query", option, value, TVMFARM_TRACKER=control.address)
    assert (refused.returncode, said in refused.stderr, refused.stdout) == (2, True, ""), refused.stderr


def test_bench_sends_the_package_and_prints_its_timings(control: StandInFarm, tmp_path: Path) -> None:
    for name, data in (("model.so", LIBRARY), ("params.bin", PARAMS), ("manifest.json", manifest())):
        (tmp_path / name).write_bytes(data)
    env = {"TVMFARM_TRACKER": control.address}
    options = ["--pool", "arm64", "--repeat", "3", "--seed", "5", "--priority", "2", "--json"]
    timed = farm("bench", str(tmp_path), *options, **env)
    assert timed.returncode == 0, timed.stderr
    figures = json.loads(timed.stdout)
    assert (figures["min_s"], figures["median_s"], figures["p90_s"]) == (0.001, 0.002, 0.003)
    [(opening, request)] = control.measured
    assert (opening.pool, opening.device_class, opening.whole_models) == ("arm64", "rpi4", True)
    assert (opening.user, opening.priority) == (getpass.getuser(), 2)
    program = request.program
    assert (program.kind, program.entry, program.library.inline) == (ProgramKind.MODEL, "main", LIBRARY)
    assert [(arg.shape, arg.dtype, arg.fill_seed, arg.param) for arg in program.args] == [
        ((1, 3, 224, 224), "float32", 5, None),
        ((2, 3), "float32", None, "w0"),
        ((), "int64", None, "w1"),
    ]
    assert program.params is not None
    assert control.artifacts[program.params.digest] == PARAMS
    assert request.plan == TimingPlan(number=1, repeat=3, min_repeat_ms=100)

    control.measurement = Measurement("", Outcome.RUN_TIMEOUT, "took longer than 120 s", device_name="rpi4-3")
    failed = farm("bench", str(tmp_path), "--pool", "arm64", **env)
    assert failed.returncode == 1
    assert "did not run on rpi4-3: run timeout: took longer than 120 s" in failed.stderr

    control.capacity.devices = 0
    nowhere = farm("bench", str(tmp_path), "--pool", "arm64", **env)
    assert nowhere.returncode == 4
    assert "no connected device of class rpi4 that runs whole models" in nowhere.stderr

    (tmp_path / "params.bin").write_bytes(b"other weights")
    changed = farm("bench", str(tmp_path), "--pool", "arm64", **env)
    assert changed.returncode == 2
    assert "is not the file that was packaged" in changed.stderr
