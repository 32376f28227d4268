"""The page of the wire has every service, message and field of the protos, with their comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from website.wire import descriptors, wire_page


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tvm_farm" / "protos" / "farm" / "v1"
    folder.mkdir(parents=True)
    (folder / "lab.proto").write_text(
        """\
syntax = "proto3";
package farm.v1;
// Who asks for boards.
service Lab {
  rpc Watch(Wish) returns (stream Board);  // until *all* is told
}
message Wish {}
// A board.
message Board {
  enum State { STATE_UNSET = 0; }
  string name = 1;  // "" | none
  map<string, double> readings = 2;
  repeated Wish wishes = 3;
  optional double heat_c = 4;
  State state = 5;
}
"""
    )
    return tmp_path


def test_what_the_protos_say_is_told(root: Path) -> None:
    page = wire_page(descriptors(root))
    assert "## lab.proto\n\n### Lab (service)\n\nWho asks for boards." in page
    assert "| `Watch` | `Wish` | stream of `Board` | until \\*all\\* is told |" in page
    assert "### Wish\n\nIt has no fields." in page
    assert '| 1 | `name` | `string` | "" \\| none |' in page
    assert "| 2 | `readings` | map of `string` to `double` |" in page
    assert "| 3 | `wishes` | repeated `Wish` |" in page
    assert "| 4 | `heat_c` | optional `double` |" in page
    assert "### Board.State (enum)" in page


def test_a_file_that_protoc_does_not_take(root: Path) -> None:
    (root / "tvm_farm" / "protos" / "farm" / "v1" / "lab.proto").write_text("message Wish {")
    with pytest.raises(ValueError, match="does not take"):
        descriptors(root)
