"""Every command that a page shows is one that there is, with the options that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from website.commands import PROGRAMS
from website.markdown import blocks
from website.pages import places

ROOT = Path(__file__).parents[2]
PAGES = sorted({*places(ROOT), *(str(path.relative_to(ROOT)) for path in ROOT.glob("*.md"))})
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
#: What ends a command in a shell.
ENDS = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"}


def split(line: str) -> Iterator[list[str]]:
    """The commands of a line as a shell reads it, a comment left out, each without the program's folder."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    for word in (*lexer, ";"):
        if word not in ENDS:
            words.append(word)
            continue
        if words[:2] == ["sh", "-c"] or words[:3] == ["sudo", "sh", "-c"]:
            yield from split(words[-1])
        elif words:
            words = words[1:] if words[0] == "sudo" else words
            yield [words[0].rpartition("/")[2], *words[1:]]
        words = []


def shown() -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with its page."""
    for page in PAGES:
        for block in blocks((ROOT / page).read_text(encoding="utf-8")):
            if block.language == "console":
                text = block.text.replace("\\\n", "")
                for line in re.findall(r"^ *\w*[$#] (.*)$", text, re.MULTILINE):
                    for words in split(line):
                        yield page, words


def check(words: list[str]) -> None:
    """Raises click.UsageError where the command would refuse ``words`` before it looks for files and trackers."""
    command: click.Command = PROGRAMS[words[0]]
    context, rest = click.Context(command, info_name=words[0]), words[1:]
    while True:
        if {"--help", "-h", "--version"} & set(rest):
            return
        if type(command).__name__ == "ListingGroup" and (not rest or rest[0].startswith("-")):
            rest = ["list", *rest]
        options, rest, _ = command.make_parser(context).parse_args(list(rest))
        for parameter in command.params:
            value = options.get(parameter.name)
            given = isinstance(value, (str, list, tuple, bool)) and value != ()
            if parameter.required and not given:
                raise click.MissingParameter(ctx=context, param=parameter)
            if given and not isinstance(parameter.type, (click.Path, click.File)):
                parameter.type_cast_value(context, value)
        if not isinstance(command, click.Group):
            if rest:
                raise click.UsageError(f"unexpected: {rest}", context)
            return
        if not rest:
            raise click.UsageError("a command is missing", context)
        inner = command.get_command(context, rest[0])
        if inner is None:
            raise click.UsageError(f"there is no {' '.join(words[: len(words) - len(rest) + 1])}", context)
        context = click.Context(inner, info_name=rest[0], parent=context, **inner.context_settings)
        command, rest = inner, rest[1:]


@pytest.mark.parametrize(
    ("page", "words"), [pytest.param(page, words, id=f"{page}: {' '.join(words)}"[:80]) for page, words in shown()]
)
def test_a_command_that_is_shown_is_taken(page: str, words: list[str]) -> None:
    if words[0] in PROGRAMS:
        check(words)
    if words[0] == "make":
        assert {word for word in words[1:] if re.fullmatch(r"[a-z-]+", word)} <= TARGETS


@pytest.mark.parametrize("page", PAGES)
def test_a_command_in_a_sentence_is_one_that_there_is(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in reversed(blocks(text)):
        text = text[: block.start] + text[block.end :]
    wrong = []
    for words in map(str.split, re.findall(r"`([^`]+)`", text)):
        if words and words[0] == "make" and len(words) > 1 and not set(words[1].split("|")) <= TARGETS:
            wrong.append(words)
        if words and words[0] in PROGRAMS and not known(PROGRAMS[words[0]], words[1:]):
            wrong.append(words)
    assert wrong == []


def known(command: click.Command, words: list[str]) -> bool:
    """Whether what ``words`` say of ``command`` is there: names of commands, several with "|", and options."""
    context = click.Context(command)
    while words and isinstance(command, click.Group) and re.match(r"[\[a-z]", words[0]):
        found = [command.get_command(context, name) for name in re.sub(r"[\[\]\\]", "", words[0]).split("|")]
        if None in found:
            return False
        command, words = found[-1], words[1:]  # type: ignore[assignment]
    if type(command).__name__ == "ListingGroup":
        command = command.get_command(context, "list") or command  # type: ignore[attr-defined]
    if command.context_settings.get("ignore_unknown_options"):
        return True
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    named = {re.split(r"[=,\]]", word.strip("["))[0] for word in words if re.match(r"\[?-{1,2}[a-z]", word)}
    return named <= options | {"--help", "-h", "--version"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("farm tune m.onnx --pool arm64 --budget 30m", ""),
        ("farm devices", ""),
        ("farm jobs --state refused", ""),
        ("farm jobs --state odd", "odd"),
        ("farm tune m.onnx --pol arm64", "No such option"),
        ("farm tune m.onnx", "Missing"),
        ("farm tune m.onnx --pool arm64 --budget soon", "soon"),
        ("farm tune --pool arm64", "Missing"),
        ("farm tuna m.onnx", "there is no farm tuna"),
        ("farm devices show a b", "unexpected"),
        ("agent start && tracker stop", "there is no tracker stop"),
    ],
)
def test_the_check_of_a_command(line: str, said: str) -> None:
    told = ""
    for words in split(line):
        try:
            check(words)
        except click.UsageError as error:
            told = error.format_message()
    assert said in told
    assert bool(said) == bool(told), told
