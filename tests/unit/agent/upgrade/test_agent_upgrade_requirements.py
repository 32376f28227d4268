"""What a wheel requires against what is there: PEP 440 as far as the project's own wheels need it."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from tvm_farm.agent.upgrade.requirements import lacking

HERE = {"grpcio": "1.76.0", "protobuf": "6.33.1", "click": "8.3.0rc1", "zeroconf": "0.148.0.post2", "odd": "fresh"}


def judge(*requires: str, python: str = ">=3.10,<3.14", here: str = "3.11.7") -> str:
    return lacking(requires, python, lambda name: HERE.get(name, ""), here)


@pytest.mark.parametrize(
    ("specifier", "version"),
    [
        (specifier, version)
        for specifier in (
            ">=1.76",
            ">=1.76.0",
            ">=1.76.1",
            "<2",
            "<1.76",
            "<=1.76",
            ">1.75",
            ">1.76",
            "==1.76",
            "==1.76.0",
            "==1.76.*",
            "!=1.76",
            "!=1.77.*",
            "~=1.75",
            "~=1.76.0",
            "~=2.0",
            "<2,>=1.76",
            ">=1.70,!=1.76.0",
        )
        for version in ("1.76.0", "1.76", "1.76.1", "1.77.0", "2.0", "1.76.0.post1", "1.75.9")
    ],
)
def test_as_packaging_judges(specifier: str, version: str) -> None:
    fits = Requirement(f"x{specifier}").specifier.contains(version, prereleases=True)
    assert (lacking([f"x{specifier}"], "", lambda name: version, "3.11.7") == "") is fits


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        (["grpcio>=1.76", "protobuf<7,>=6.31.1"], ""),
        (["zeroconf>=0.130", "grpcio"], ""),
        (["zeroconf (>=0.130)"], ""),
        (["grpcio>=1.80"], "it needs grpcio>=1.80 and this board has grpcio 1.76.0: upgrade that there with pip"),
        (["click>=8.3"], "it needs click>=8.3 and this board has click 8.3.0rc1"),
        (["numpy>=2"], "it needs numpy>=2, which is not installed on this board: install it there with pip"),
        (["numpy>=2; extra == 'tracker'"], ""),
        (["numpy; (sys_platform != 'darwin' or platform_machine == 'arm64') and extra == 'tracker'"], ""),
        (["tomli>=2; python_version < '3.11'"], "which this agent cannot judge: upgrade it by hand, with pip"),
        (["grpcio @ https://example.org/grpcio.whl"], "which this agent cannot judge"),
        (["grpcio===1.76"], "which this agent cannot judge"),
        (["grpcio>=1.76rc1"], "which this agent cannot judge"),
        (["grpcio[reflection]>=1.76"], "which this agent cannot judge"),
        (["odd>=1"], "which this agent cannot judge"),
    ],
)
def test_what_is_lacking(requires: list[str], said: str) -> None:
    found = judge(*requires)
    assert (said in found) if said else (found == "")


@pytest.mark.parametrize(
    ("python", "here", "said"),
    [
        (">=3.10,<3.14", "3.11.7", ""),
        (">=3.10,<3.14", "3.14.0", "it needs Python >=3.10,<3.14 and this board has 3.14.0"),
        (">=3.12", "3.11.7", "it needs Python >=3.12 and this board has 3.11.7"),
        ("", "3.9.0", ""),
        (">=3.x", "3.11.7", "which this agent cannot judge"),
    ],
)
def test_its_python(python: str, here: str, said: str) -> None:
    found = judge(python=python, here=here)
    assert (said in found) if said else (found == "")
