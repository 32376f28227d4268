"""The page of the screens shows those of 80 columns."""

from __future__ import annotations

from pathlib import Path

from website.screens import screens_page


def test_screens_of_one_width_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "screens"
    folder.mkdir(parents=True)
    (folder / "jobs-80.txt").write_text("$ farm jobs\njob\n\n")
    (folder / "jobs-40.txt").write_text("narrow")
    assert screens_page(tmp_path) == "```text\n$ farm jobs\njob\n```"
