"""Markdown as the site reads it: blocks, links and anchors."""

from __future__ import annotations

import pytest

from website.markdown import anchors, blocks, relinked, table

PAGE = """\
# A page

See [one](a.md#b) and ![two](c.png), not `[three](d.md)`.

```console
$ echo [four](e.md)
# no heading
```

- An item

  ```python
  x = 1
  ```

[`five`](f.md) ends it.
"""


def test_blocks_are_found_where_they_are_indented_too() -> None:
    assert [(block.language, block.text) for block in blocks(PAGE)] == [
        ("console", "$ echo [four](e.md)\n# no heading\n"),
        ("python", "  x = 1\n"),
    ]


def test_links_in_code_stay() -> None:
    seen = []

    def change(text: str, target: str, picture: bool) -> str | None:
        seen.append((text, target, picture))
        return None if picture else f"<{text}>"

    changed = relinked(PAGE, change)
    assert seen == [("one", "a.md#b", False), ("two", "c.png", True), ("`five`", "f.md", False)]
    assert changed == PAGE.replace("[one](a.md#b)", "<one>").replace("[`five`](f.md)", "<`five`>")


@pytest.mark.parametrize(
    ("page", "slugs"),
    [
        ("# One two\n", {"one-two"}),
        ("## ONNX's node tests\n", {"onnxs-node-tests"}),
        ("## `farm tune` — once\n", {"farm-tune--once"}),
        ("## A [link](x.md) in it\n", {"a-link-in-it"}),
        ("## Same\n## Same\n", {"same", "same-1"}),
        ("```\n# not\n```\ntext\n", set()),
    ],
)
def test_anchors_are_those_of_code_hosts(page: str, slugs: set[str]) -> None:
    assert anchors(page) == slugs


def test_a_table_holds_what_would_end_a_cell() -> None:
    assert table(("a", "b"), [("x | y", "two\nlines")]) == "| a | b |\n| --- | --- |\n| x \\| y | two lines |"
